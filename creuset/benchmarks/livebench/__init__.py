"""LiveBench: the task, and its scorers by family. The rules are those of its repository in August 2025."""
