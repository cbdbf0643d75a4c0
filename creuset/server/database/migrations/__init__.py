"""Alembic's migrations of the server's database. server/database runs them."""
