"""Verbs of people and keys: they work on the server's database, on the machine where it is."""
