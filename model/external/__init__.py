"""Models that other packages made, from their files: each is loaded by its package and answers for a batch of beads.

A package is imported when a file of it is loaded, and not before.
"""
