"""Stereotypes and groups of people."""
