"""Strings to tokens and back; no torch."""
