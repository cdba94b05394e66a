"""What a tenant may use: tiers as data, what is in force for one tenant, and the gates that other modules ask."""
