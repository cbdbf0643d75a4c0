"""Servers that count together: in PostgreSQL, and in Redis where there is one."""
