"""Ions with charges that do not change, by name."""
