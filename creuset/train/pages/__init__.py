"""Pages of training runs: one run, several runs."""
