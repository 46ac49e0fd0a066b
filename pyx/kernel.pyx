"""Compiled kernel."""
