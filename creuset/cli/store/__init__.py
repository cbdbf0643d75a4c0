"""Verbs about models of others: pull, list, show, rm."""
