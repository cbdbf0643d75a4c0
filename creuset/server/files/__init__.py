"""Files that clients upload, whole or in parts, and that batches write."""
