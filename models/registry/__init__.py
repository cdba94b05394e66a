"""Rules of a bundle's life that gateway and cloud share."""
