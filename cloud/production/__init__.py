"""What presses produce and what that is of what they could: counts by hour, and OEE after ISO 22400-2."""
