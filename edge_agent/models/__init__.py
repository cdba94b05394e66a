"""Which bundle scores which press, how it gets here, and how well it does."""
