"""A double well in units of k_B T of known free energy, exact samples, how right errors are, and harmonic members."""

from itertools import pairwise

import numpy as np
from ase.units import kB
from scipy.integrate import quad
from scipy.signal import lfilter

TEMPERATURE = 300.0
THERMAL_ENERGY = kB * TEMPERATURE
EDGES = np.linspace(-1.4, 1.4, 29)


def reduced_double_well(x):
    return 6 * (x**2 - 1) ** 2 + 0.5 * x


def exact_free_energy(edges=EDGES):
    """−kT ln p of bins by quadrature, p being normalised over the range."""
    weights = [quad(lambda x: np.exp(-reduced_double_well(x)), a, b)[0] for a, b in pairwise(edges)]
    return -THERMAL_ENERGY * np.log(weights / (np.sum(weights) * np.diff(edges)))


def normalised(profile):
    """−kT ln p without the shift of the minimum."""
    with np.errstate(divide="ignore"):
        return -THERMAL_ENERGY * np.log(profile.density)


def draws(reduced_energy, count, random):
    """Samples of exp(−u) by the inverse of its integral on a fine grid."""
    grid = np.linspace(-2.2, 2.2, 20001)
    integral = np.cumsum(np.exp(-reduced_energy(grid)))
    return np.interp(random.random(count), integral / integral[-1], grid)


def autoregressive(count, kept, random):
    """Exact samples of a Gaussian with ⟨x x(t)⟩ = kept^t."""
    noise = random.normal(size=count) * np.sqrt(1 - kept**2)
    noise[0] /= np.sqrt(1 - kept**2)
    return lfilter([1.0], [1.0, -kept], noise)


def ratio_of_errors(profiles):
    """Mean error that was said over the spread that there is, mean over bins."""
    curves = np.array([normalised(profile) for profile in profiles])
    said = np.sqrt(np.mean([np.square(profile.standard_error) for profile in profiles], axis=0))
    return np.mean(said / curves.std(axis=0, ddof=1))


CHANGES = np.array([-0.16, -0.02, 0.06, 0.12])  # of the stiffness of each member, relative to the mean


def harmonic_energies(values, changes=CHANGES):
    """k_B T Σ x² (1 + change)/2 of particles (samples, particles) whose mean stiffness is one, (samples, members)."""
    return THERMAL_ENERGY * np.square(values).sum(axis=1)[:, None] * (1 + changes) / 2


def standardised(values):
    """Values whose mean and covariance, over samples, are exactly zero and one."""
    values = values - values.mean(axis=0)
    return values @ np.linalg.inv(np.linalg.cholesky(values.T @ values / len(values)).T)
