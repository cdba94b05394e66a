"""Customers of the platform with a known worth, and the evidence of it that a company would have: months of it."""
