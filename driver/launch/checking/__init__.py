"""A run without i-PI: all that is looked at before it starts, and one answer of each server."""
