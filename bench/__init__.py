"""One script a claim; each prints figures and ends with one JSON line."""
