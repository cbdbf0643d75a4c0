"""Anthropic's Messages dialect: its requests become ours, our events become its events."""
