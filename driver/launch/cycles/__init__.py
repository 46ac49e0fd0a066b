"""Whole cycles of free energies: every i-PI run that a crystal needs, here or on Dask, from where they were left."""
