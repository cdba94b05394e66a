"""Where shots come from: OPC UA presses and recorded files."""
