"""Training from the command line: one run, fine-tuning, several runs, and their comparison."""
