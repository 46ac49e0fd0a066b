"""Electron densities of molecules in Gaussian functions on atoms: coefficients, integrals, and what follows."""
