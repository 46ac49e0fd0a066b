"""Readers of series, one file for each format; which of them reads a file is decided by its first bytes."""
