"""The cloud program: a modular monolith over one database and one telemetry store."""
