"""Recipes: functions that return settings, named for what they produce."""
