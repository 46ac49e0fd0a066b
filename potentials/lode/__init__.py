"""Long-distance equivariants: potentials 1/r^p of all atoms, expanded around each, and what heads read of it.

A. Grisafi, M. Ceriotti, J. Chem. Phys. 151, 204105 (2019); other exponents: K. K. Huguenin-Dumittan, P. Loche,
N. Haoran, M. Ceriotti, J. Phys. Chem. Lett. 14, 9612 (2023).
"""
