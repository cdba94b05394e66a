"""Instruments that stand in for a plant, with documented physics."""
