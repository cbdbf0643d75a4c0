"""The page of administration: its files, and what it says in both languages."""
