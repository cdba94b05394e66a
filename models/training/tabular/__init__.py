"""Labelled tables of anybody's own columns: read, judged under a stated protocol, and made a bundle."""
