"""The store of shots: one port, DuckDB and its memory twin."""
