"""Scores of a model, with their intervals and their provenance."""
