"""Signed calls to other systems, from an outbox, with retries."""
