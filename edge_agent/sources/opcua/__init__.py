"""Presses with an OPC 40077 (EUROMAP 77) server."""
