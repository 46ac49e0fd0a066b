"""Free energies of crystals: harmonic, anharmonic, at constant pressure, of isotopes, and the sum of all."""
