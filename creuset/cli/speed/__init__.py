"""How fast a model answers here."""
