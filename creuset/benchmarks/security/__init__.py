"""Attacks on the instructions a model was given."""
