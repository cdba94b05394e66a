"""How each tier is served: options sold, margins watched."""
