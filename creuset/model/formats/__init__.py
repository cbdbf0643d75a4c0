"""Weights in and out: Hugging Face folders, GGUF files and our own artifacts."""
