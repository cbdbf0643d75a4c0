"""Verbs that write a model anew: in another format, with lighter weights."""
