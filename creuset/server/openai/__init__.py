"""OpenAI's wire format: what requests may say, what replies look like. No HTTP here, and no engine."""
