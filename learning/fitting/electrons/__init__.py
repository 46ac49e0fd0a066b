"""Densities of states as labels: levels that become curves, one zero of energy, the basis they are fitted in."""
