"""Crystals: a minimum, the Hessian there, and a potential that is switched on over the harmonic crystal of the two."""
