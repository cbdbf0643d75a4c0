"""What computes: one folder for each kind of machine."""
