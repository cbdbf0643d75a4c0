"""Providers side by side: what was measured, reported, declared, and what nobody knows."""
