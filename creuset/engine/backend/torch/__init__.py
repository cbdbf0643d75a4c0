"""The backend that runs on torch: the reference, and GPUs."""
