"""Programs that are run, and programs that are read."""
