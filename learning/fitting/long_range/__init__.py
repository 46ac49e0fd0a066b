"""Fits of the long-range part of an energy."""
