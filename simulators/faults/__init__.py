"""Failure modes as physical causes with a progression law."""
