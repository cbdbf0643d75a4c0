"""Arithmetic about scale and cost; no torch."""
