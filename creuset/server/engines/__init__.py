"""Engines in processes of their own, and how the server talks with them."""
