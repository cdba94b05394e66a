"""People, sessions and API keys: who asks, and how we know."""
