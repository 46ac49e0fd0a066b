"""Compiled kernels: flat arrays in, caller-owned arrays out."""
