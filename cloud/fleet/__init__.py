"""Plants, gateways and presses as they are born, and whether they are online, stale or offline."""
