"""Questions that take more than recall."""
