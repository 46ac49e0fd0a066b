"""Commands about free energies of crystals."""
