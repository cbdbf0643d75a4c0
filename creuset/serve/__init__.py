"""The HTTP face; no torch: the worker process is the one that loads it."""
