"""What every customer is really worth, and which tier follows from it: evidence, scores, tiers."""
