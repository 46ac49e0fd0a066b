"""Fits of electron densities to coefficients or projections that a quantum-chemistry program gives."""
