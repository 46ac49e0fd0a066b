"""Models out of several: the energy of some, the dipole of another, in one answer."""
