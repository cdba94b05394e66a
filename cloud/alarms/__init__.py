"""Alarms raised from scores."""
