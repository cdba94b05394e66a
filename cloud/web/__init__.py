"""The shell of the pages, their static files and texts, and the pages that join several modules."""
