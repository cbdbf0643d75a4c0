"""Documents judged and repaired, one at a time."""
