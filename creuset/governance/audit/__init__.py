"""The audit: what a model does beside answering well, requirement by requirement. Evidence, never a verdict."""
