"""The whole system on one machine: what `make demo` runs."""
