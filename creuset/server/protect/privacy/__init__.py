"""Retention, zero retention, legal hold, export, erasure and its receipts, over every store of the server."""
