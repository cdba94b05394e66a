"""Maintenance: what is to be done by when, when it is planned, what was found, and how far moulds are from service."""
