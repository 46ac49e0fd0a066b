"""From data sets to a fitted model: reading, fitting, error reports."""
