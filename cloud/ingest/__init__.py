"""From the broker to the store: batches, de-duplication and the commit back to the gateway."""
