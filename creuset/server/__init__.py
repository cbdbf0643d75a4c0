"""HTTP in front of the engine: OpenAI's API and the chat page."""
