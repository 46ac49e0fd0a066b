"""Thermostats of colored noise that give the normal modes of a few beads the fluctuations of quantum oscillators.

PIGLET: M. Ceriotti and D. E. Manolopoulos, Phys. Rev. Lett. 109, 100604 (2012).  The centroid has a classical
thermostat; an internal mode k of frequency √(ω² + ω_k²) gets k_B T P f(ω)/(ω² + ω_k²)/m in place of f = 1, so that the
sum over all modes is exact for every harmonic frequency ω.  The factor of all internal modes is taken to be the same
here,

    f(ω) = (coth x/x − 1/x²) / Σ_k≥1 1/(x² + (P sin πk/P)²),    x = ħω/2k_B T,

and each pair of modes has matrices of its own, fitted to its own range of frequencies.  The authors chose one function
of the frequency of the mode instead; both are exact for harmonic oscillators, and differ beyond them.

The thermostat of a mode is d(p, s)/dt = (−ω²q, 0) − A (p, s) + noise of covariance A C + C Aᵀ (M. Ceriotti, G. Bussi,
M. Parrinello, J. Chem. Theory Comput. 6, 1170 (2010)).  A = ε + L Lᵀ + K with an antisymmetric K, so that the mode is
stable at every frequency, and the noise is B Bᵀ; L, K and B are found by least squares.  Fluctuations alone would let
the coupling go to zero, so that the friction at the frequency of the mode, which is to be about that frequency, is part
of the sum with a small weight.  So are the parameters themselves: auxiliary momenta that are much faster or slower than
the modes would need short steps, or store much heat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from ...errors import BeadwiseError
from ...runs.input.nuclei import free_ring, thermal_wavenumber

LOWEST = 5.0  # cm⁻¹; below, oscillators are classical
POINTS = 40  # frequencies at which a mode is fitted
AUXILIARY = 4  # momenta of a thermostat beside that of the mode
WEIGHTS = (0.1, 0.006)  # one after the other: of the logarithm of friction over frequency beside the fluctuations
WORST = 0.03  # largest relative deviation of a fluctuation
MOST_STEPS = 200  # of the least squares with each weight
SLOWEST = 0.1  # ε, of the lowest frequency
RIDGE = 0.003  # weight of what parameters differ from those of the start
START = 0.02  # part of the couplings at the start that is random, of one seed


class ColoredNoiseError(BeadwiseError, ValueError):
    """Fluctuations that no thermostat of this size gives."""


@dataclass(frozen=True)
class ColoredNoise:
    """Thermostats of all normal modes.

    Parameters
    ----------
    drift : ndarray of float64, shape (beads, n, n)
        A in cm⁻¹ as an angular frequency; n − 1 auxiliary momenta.
    covariance : ndarray of float64, shape (beads, n, n)
        C in K.
    deviation : float
        Largest relative deviation of a fluctuation of an internal mode from what it is to be.
    """

    drift: np.ndarray
    covariance: np.ndarray
    deviation: float


def quantum_factor(wavenumbers: np.ndarray, beads: int, temperature: float) -> np.ndarray:
    """f(ω) by which fluctuations of internal modes exceed those of a ring polymer.

    Parameters
    ----------
    wavenumbers : ndarray of float64, shape (n,)
        Of harmonic oscillators, in cm⁻¹, positive.
    beads : int
    temperature : float
        In K.

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    x = wavenumbers / (2 * thermal_wavenumber(temperature))
    rings = np.square(beads * np.sin(np.pi * np.arange(1, beads) / beads))
    missing = 1 / (x * np.tanh(x)) - 1 / x**2
    return np.asarray(missing / (1 / (x**2 + rings[:, None])).sum(axis=0))


def piglet(beads: int, temperature: float, highest: float, centroid_friction: float) -> ColoredNoise:
    """Matrices for all normal modes.

    Parameters
    ----------
    beads : int
        At least 2.
    temperature : float
        In K.
    highest : float
        Highest harmonic frequency that is to be exact, in cm⁻¹.
    centroid_friction : float
        Of the white noise on the centroid, in cm⁻¹.

    Raises
    ------
    ColoredNoiseError
        If a fluctuation deviates by more than 3 %.
    """
    size = AUXILIARY + 1
    drift = np.zeros((beads, size, size))
    covariance = np.zeros((beads, size, size))
    drift[0], covariance[0] = centroid_friction * np.eye(size), np.eye(size)
    wavenumbers = np.linspace(LOWEST, highest, POINTS)
    factors, worst = quantum_factor(wavenumbers, beads, temperature), 0.0
    for mode in range(1, beads // 2 + 1):
        own = np.hypot(wavenumbers, free_ring(beads, temperature)[mode])
        drift[mode], covariance[mode], deviation = fitted_thermostat(own, factors)
        drift[beads - mode], covariance[beads - mode] = drift[mode], covariance[mode]
        worst = max(worst, deviation)
    if worst > WORST:
        raise ColoredNoiseError(
            f"with {beads} beads at {temperature:g} K the fluctuations of modes up to {highest:g} cm⁻¹ deviate by "
            f"{100 * worst:.1f} %, more than {100 * WORST:g} %; more beads, or a lower highest frequency, are needed"
        )
    return ColoredNoise(drift, covariance * beads * temperature, worst)


def fitted_thermostat(wavenumbers: np.ndarray, factors: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """A thermostat under which oscillators fluctuate by given factors more than classical ones.

    Parameters
    ----------
    wavenumbers : ndarray of float64, shape (n,)
        Of the oscillators, ascending.
    factors : ndarray of float64, shape (n,)
        ω²<q²> = <p²> in units of those of temperature 1.

    Returns
    -------
    drift : ndarray, shape (AUXILIARY + 1, AUXILIARY + 1)
        In the unit of the wavenumbers.
    covariance : ndarray, shape (AUXILIARY + 1, AUXILIARY + 1)
        In units of the temperature, of a free particle.
    deviation : float
        Largest relative one.
    """
    unit = float(np.sqrt(wavenumbers[0] * wavenumbers[-1]))
    scaled = wavenumbers / unit
    parameters = _start(scaled, factors)
    for weight in WEIGHTS:
        parameters = _least_squares(scaled, factors, parameters, weight)
    deviation = np.abs(np.log(fluctuations_of(parameters, scaled)[0] / factors)).max()
    drift, _, noise = _matrices(parameters, scaled)
    covariance = scipy.linalg.solve_continuous_lyapunov(drift, noise @ noise.T)
    return drift * unit, covariance, float(np.expm1(deviation))


def _least_squares(frequencies: np.ndarray, factors: np.ndarray, start: np.ndarray, weight: float) -> np.ndarray:
    """Parameters with the least squares of relative deviations, and of the friction with its weight."""
    kept: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
    usual = _start(frequencies, factors)

    def residuals(parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        key = parameters.tobytes()
        if key not in kept:
            kept.clear()
            values, slopes = fluctuations_of(parameters, frequencies)
            friction, friction_slopes = friction_of(parameters, frequencies)
            rows = [np.log(values / factors).ravel(), weight * np.log(friction / frequencies)]
            by = [(slopes / values[..., None]).reshape(-1, len(parameters))]
            by.append(weight * friction_slopes / friction[:, None])
            kept[key] = (
                np.concatenate([*rows, RIDGE * (parameters - usual)]),
                np.concatenate([*by, RIDGE * np.eye(len(parameters))]),
            )
        return kept[key]

    found = scipy.optimize.least_squares(
        lambda own: residuals(own)[0], start, jac=lambda own: residuals(own)[1], max_nfev=MOST_STEPS
    )
    return np.asarray(found.x)


def fluctuations_of(parameters: np.ndarray, frequencies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ω²<q²> and <p²> of oscillators under a thermostat, and their derivatives by its parameters.

    The stationary covariance S solves M S + S Mᵀ = D in the variables (ωq, p, s).

    Parameters
    ----------
    parameters : ndarray of float64, shape (m,)
        Lower triangle of L, upper triangle of K, lower triangle of B.
    frequencies : ndarray of float64, shape (n,)

    Returns
    -------
    fluctuations : ndarray, shape (2, n)
    derivatives : ndarray, shape (2, n, m)
    """
    drift, left, noise = _matrices(parameters, frequencies)
    size = len(left) + 1
    motion = np.zeros((len(frequencies), size, size))
    motion[:, 1:, 1:] = drift
    motion[:, 0, 1], motion[:, 1, 0] = -frequencies, frequencies
    diffusion = np.zeros((size, size))
    diffusion[1:, 1:] = noise @ noise.T
    unit = np.eye(size)
    both = np.einsum("fij,kl->fikjl", motion, unit) + np.einsum("ij,fkl->fikjl", unit, motion)
    system = both.reshape(len(frequencies), size**2, size**2)
    covariance = np.linalg.solve(system, diffusion.reshape(-1, 1)).reshape(-1, size, size)
    wanted = np.zeros((size**2, 2))
    wanted[0, 0] = wanted[size + 1, 1] = 1.0
    adjoint = np.linalg.solve(np.swapaxes(system, 1, 2), wanted).reshape(-1, size, size, 2)
    derivatives = _derivatives(left, noise, covariance, adjoint)
    return np.array([covariance[:, 0, 0], covariance[:, 1, 1]]), np.moveaxis(derivatives, -1, 0)


def friction_of(parameters: np.ndarray, frequencies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What damps oscillators: Re K(ω), K = A_pp − A_ps (A_ss + iω)⁻¹ A_sp, and its derivatives by the parameters.

    Parameters
    ----------
    parameters : ndarray of float64, shape (m,)
    frequencies : ndarray of float64, shape (n,)

    Returns
    -------
    friction : ndarray, shape (n,)
    derivatives : ndarray, shape (n, m)
    """
    drift, left, noise = _matrices(parameters, frequencies)
    inner = drift[1:, 1:] + 1j * frequencies[:, None, None] * np.eye(AUXILIARY)
    right = np.linalg.solve(inner, drift[1:, :1])[..., 0]
    before = np.linalg.solve(np.swapaxes(inner, 1, 2), drift[0, 1:, None])[..., 0]
    kernel = drift[0, 0] - right @ drift[0, 1:]
    ones = np.ones((len(frequencies), 1))
    by_drift = np.einsum("fi,fk->fik", np.hstack([ones, -before]), np.hstack([ones, -right])).real
    return kernel.real, _by_parameters(left, noise, by_drift[..., None], None)[..., 0]


def _derivatives(left: np.ndarray, noise: np.ndarray, covariance: np.ndarray, adjoint: np.ndarray) -> np.ndarray:
    """By the adjoint Y: of −dM S − S dMᵀ + dD, shape (n, m, 2)."""
    symmetric = adjoint + np.swapaxes(adjoint, 1, 2)
    by_drift = -np.einsum("fijo,fkj->fiko", symmetric, covariance)[:, 1:, 1:]
    return _by_parameters(left, noise, by_drift, symmetric[:, 1:, 1:])


def _by_parameters(
    left: np.ndarray, noise: np.ndarray, by_drift: np.ndarray, by_diffusion: np.ndarray | None
) -> np.ndarray:
    """Derivatives by L, K and B of those by A and by B Bᵀ, shape (n, m, outputs)."""
    by_left = np.einsum("fiko,kl->filo", by_drift + np.swapaxes(by_drift, 1, 2), left)
    by_turning = by_drift - np.swapaxes(by_drift, 1, 2)
    by_noise = np.zeros_like(by_left) if by_diffusion is None else np.einsum("fiko,kl->filo", by_diffusion, noise)
    (i, j), (k, m) = np.tril_indices(len(left)), np.triu_indices(len(left), 1)
    return np.concatenate([by_left[:, i, j], by_turning[:, k, m], by_noise[:, i, j]], axis=1)


def _matrices(parameters: np.ndarray, frequencies: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A, L and B."""
    size = AUXILIARY + 1
    lower, upper = np.tril_indices(size), np.triu_indices(size, 1)
    left, turning, noise = np.zeros((3, size, size))
    left[lower], turning[upper], noise[lower] = np.split(parameters, [len(lower[0]), len(lower[0]) + len(upper[0])])
    return SLOWEST * frequencies[0] * np.eye(size) + left @ left.T + turning - turning.T, left, noise


def _start(frequencies: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """White noise of the lowest temperature, and damped auxiliary oscillators that are as hot as their frequency."""
    size = AUXILIARY + 1
    left, turning, noise = np.zeros((3, size, size))
    left[0, 0] = np.sqrt(0.3 * frequencies[0])
    noise[0, 0] = np.sqrt(2 * factors[0]) * left[0, 0]
    for place, own in enumerate(np.geomspace(frequencies[0], 1.2 * frequencies[-1], AUXILIARY // 2)):
        first = 1 + 2 * place
        turning[first, first + 1], turning[0, first] = own, 0.6 * own
        for one in (first, first + 1):
            left[one, one] = np.sqrt(0.7 * own)
            noise[one, one] = np.sqrt(2 * 0.7 * own * np.interp(own, frequencies, factors))
    random = np.random.default_rng(0)
    left += np.tril(random.normal(size=left.shape)) * START * np.sqrt(frequencies[0])
    lower, upper = np.tril_indices(size), np.triu_indices(size, 1)
    return np.concatenate([left[lower], turning[upper], noise[lower]])
