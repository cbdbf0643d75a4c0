"""What all dialects share: a checked request for a chat, and how its answer is read. No dialect is known here."""
