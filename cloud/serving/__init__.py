"""How each tier is served: options sold, margins watched, reports of a plant's own data."""
