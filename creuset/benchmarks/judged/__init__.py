"""Replies that another model judges."""
