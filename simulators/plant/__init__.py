"""Presses as OPC UA servers with the address space of OPC 40077."""
