"""Guards: what is masked or refused before a prompt reaches a model, and before an answer reaches a client."""
