"""Documents that say the same, found and left out."""
