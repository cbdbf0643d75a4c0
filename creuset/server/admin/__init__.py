"""Administration over HTTP, in OpenAI's organization schema."""
