"""Encryption of what is kept: a data key for each organization, wrapped by a master key from outside the database."""
