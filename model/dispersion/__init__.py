"""Dispersion D3 and D4 as evaluators: ``d3:functional=NAME`` and ``d4:functional=NAME``."""
