"""Averages, distributions and profiles of a committee's runs, with model error beside sampling error."""
