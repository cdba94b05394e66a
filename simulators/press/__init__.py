"""The physics of one cycle of one press."""
