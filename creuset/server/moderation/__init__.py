"""Moderation by lists of words: a small method that says what it is."""
