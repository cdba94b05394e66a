"""From the journal to the broker: Sparkplug edge node with the commit above it."""
