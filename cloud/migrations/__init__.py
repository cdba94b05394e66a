"""The relational database's schema and the steps that bring an older one up to it."""
