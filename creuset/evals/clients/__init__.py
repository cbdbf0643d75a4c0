"""Models that can be asked: local folders and endpoints of other dialects."""
