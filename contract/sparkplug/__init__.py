"""Sparkplug B 3.0 without IO: payload codec, topics, and the sessions of an edge node and of a host."""
