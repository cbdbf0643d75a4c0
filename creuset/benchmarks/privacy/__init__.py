"""Personal data and memorised text."""
