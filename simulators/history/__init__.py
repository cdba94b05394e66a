"""Months of a plant's production on disk: what presses report, what the plant notes, and apart from them the truth."""
