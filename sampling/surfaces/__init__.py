"""Surfaces of free energy over two variables, and their pictures."""
