"""What crosses a process boundary: the shot, its vocabulary, the Sparkplug wire and the commit above it."""
