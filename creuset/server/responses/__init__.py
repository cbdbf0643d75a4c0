"""OpenAI's Responses dialect: responses that are kept, continued, resumed and cancelled, and conversations."""
