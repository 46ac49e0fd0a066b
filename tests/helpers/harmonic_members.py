"""Potentials of a committee that differ in their stiffness."""

import numpy as np
from double_well import THERMAL_ENERGY

CHANGES = np.array([-0.16, -0.02, 0.06, 0.12])  # of the stiffness of each member, relative to the mean


def harmonic_energies(values, changes=CHANGES):
    """k_B T Σ x² (1 + change)/2 of particles (samples, particles) whose mean stiffness is one, (samples, members)."""
    return THERMAL_ENERGY * np.square(values).sum(axis=1)[:, None] * (1 + changes) / 2


def standardised(values):
    """Values whose mean and covariance, over samples, are exactly zero and one."""
    values = values - values.mean(axis=0)
    return values @ np.linalg.inv(np.linalg.cholesky(values.T @ values / len(values)).T)
