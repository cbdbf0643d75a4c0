"""GGUF files of models: read and written."""
