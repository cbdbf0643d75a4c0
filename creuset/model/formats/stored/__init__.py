"""Weights of files as NumPy arrays: how they are stored, under which names, in which shapes. No torch here."""
