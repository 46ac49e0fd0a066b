"""Single-particle Hamiltonians of molecules: orbitals on atoms, blocks of numbers on pairs of atoms, levels of both."""
