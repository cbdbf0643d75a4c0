"""Harm, honesty and refusals."""
