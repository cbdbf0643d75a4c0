"""Decisions on people."""
