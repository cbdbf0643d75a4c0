"""Dialogues: from files of messages to token ids with a mask, and from there to rows of a batch."""
