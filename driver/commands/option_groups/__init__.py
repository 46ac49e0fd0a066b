"""Options that belong together, and are of a few commands only."""
