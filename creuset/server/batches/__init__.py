"""Batches: many requests in a file, carried out behind all others."""
