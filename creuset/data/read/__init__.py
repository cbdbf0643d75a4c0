"""Files in: which there are, and the records in them."""
