"""Failure models: features, the runtime that serves them, and the training that makes them."""
