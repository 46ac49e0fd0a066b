"""Free-energy profiles of biased runs."""
