"""Fits of Hamiltonians and overlaps to matrices that a quantum-chemistry program gives."""
