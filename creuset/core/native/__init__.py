"""The compiled library of `native/`: how it is found and loaded."""
