"""Token files: written, read and cut into batches."""
