"""Thermodynamics of electrons in curves that are linear in coefficients, fast enough for every step of dynamics.

The grand potential Ω(μ) = −kT ∫ g ln(1 + e^−β(E − μ)) dE is linear in g, so that each curve of a basis has its own,
made once for a temperature on nodes of μ.  Between nodes it is a polynomial of fifth degree that has its value, its
slope −N and its curvature −g_T at both ends.  The free energy of N electrons is then

    A = max_μ [μN + Σ_k c_k Ω_k(μ)],   dA/dc_k = Ω_k(μ)

and no derivative of μ is needed, since A is stationary in it (Ben Mahmoud, Grasselli, Ceriotti, Phys. Rev. B 106,
L121116 (2022)).  At T = 0, Ω_k(μ) = ∫ b_k min(E − μ, 0) dE, and A is the band energy.  Between the points of the axis a
curve is a cubic spline; beyond them it is zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import correlate1d
from scipy.special import entr, expit

from .curves import EnergyCurves
from .mermin import BOLTZMANN, ElectronError, check_temperature

REACH = 40.0  # kT from μ to where all levels are full or empty to 1e-17
FINENESS = 4.0  # points of integration in kT
LOWEST = 50.0  # K: tables grow as 1/T
COARSE = 16  # nodes between those that are looked at first
STEPS = 60  # of Newton's method, which ends far earlier
LOST = 1e-3  # of the electrons, that may be above the last energy if the curve goes on there as it ends


@dataclass(frozen=True)
class Filled:
    """Electrons in curves of several structures, at one temperature.

    Parameters
    ----------
    chemical_potential, free_energy, density : ndarray of float64, shape (structures,)
        μ and A in eV on the scale of the axis, density of states at μ in the thermal window in 1/eV.
    entropy, heat_capacity : ndarray of float64, shape (structures,)
        In k; zeros at T = 0.
    slopes : ndarray of float64, shape (structures, channels)
        dA/dc.
    at_node, from_node : ndarray of float64, shape (structures, 1 + channels)
        μ and Ω_k at the node below, and what they have more at μ; the sum is known better than any of its digits.
    """

    chemical_potential: np.ndarray
    free_energy: np.ndarray
    density: np.ndarray
    entropy: np.ndarray
    heat_capacity: np.ndarray
    slopes: np.ndarray
    at_node: np.ndarray
    from_node: np.ndarray

    def above(self, other: Filled, coefficients: np.ndarray, electrons: float) -> np.ndarray:
        """What the free energy has more than that of the same electrons in the same curves at another temperature.

        ``(μ − μ′) N + Σ_k c_k [Ω_k(μ) − Ω′_k(μ′)]``, in which nothing large is rounded: nodes go with nodes.

        Parameters
        ----------
        other : Filled
        coefficients : ndarray of float64, shape (structures, channels)
        electrons : float

        Returns
        -------
        ndarray of float64, shape (structures,)
            In eV.
        """
        change = (self.at_node - other.at_node) + (self.from_node - other.from_node)
        return np.asarray(change[:, 0] * electrons + (change[:, 1:] * coefficients).sum(axis=1))


class GrandPotential:
    """Ω of each curve of a basis at one temperature.

    Parameters
    ----------
    curves : EnergyCurves
    temperature : float
        In K; 0 is the ground state.

    Raises
    ------
    ElectronError
        If the temperature is not 0, nor at least `LOWEST` and finite.
    """

    def __init__(self, curves: EnergyCurves, temperature: float):
        self.temperature, self.first, self.last = float(temperature), curves.first, float(curves.energies[-1])
        self._end = curves.basis[:, -1]
        splines = CubicSpline(curves.energies, curves.basis.T)
        if temperature == 0:
            self.step = curves.step
            values, slopes, curvatures = _ground_state(splines, curves)
            self._moments = np.zeros((0, *values.shape))
        else:
            check_temperature(temperature)
            if temperature < LOWEST:
                raise ElectronError(
                    f"electronic temperature {temperature:g} K; allowed are 0, and {LOWEST:g} and above"
                )
            self.step = curves.step / max(1, np.ceil(FINENESS * curves.step / (BOLTZMANN * temperature)))
            values, slopes, curvatures, self._moments = _at_temperature(splines, curves, self.step, temperature)
        self._values, self._slopes = values, slopes  # (nodes, channels)
        self._polynomials = _quintic(values, slopes * self.step, curvatures * self.step**2)

    def fill(self, coefficients: np.ndarray, electrons: np.ndarray | float) -> Filled:
        """Fill curves with electrons.

        Parameters
        ----------
        coefficients : ndarray of float64, shape (structures, channels)
        electrons : float or ndarray of float64, shape (structures,)

        Raises
        ------
        ElectronError
            If curves hold no more than so many electrons, none are given, or the axis ends where states still have
            electrons at this temperature.
        """
        count = np.broadcast_to(np.asarray(electrons, dtype=np.float64), len(coefficients))
        most = -coefficients @ self._slopes[-1]
        if not ((count > 0) & (count < most)).all():
            place = int(np.argmin(np.where(count > 0, most - count, -np.inf)))
            raise ElectronError(
                f"{count[place]:.6g} electrons in a density of states, that of structure {place}, whose curve holds "
                f"{most[place]:.6g}; more than 0 and fewer are needed"
            )
        cell = self._cells(coefficients, count)
        own = self._polynomials[:, cell]  # (6, structures, channels)
        t = _stationary(np.einsum("pbk,bk->pb", own, coefficients), count * self.step)
        mu = self.first + self.step * (cell + t)
        self._refuse_beyond(mu, coefficients, count)
        powers = t ** np.arange(6)[:, None]
        slopes = np.einsum("pbk,pb->bk", own, powers)
        order = np.arange(6.0)[:, None]
        second = order * (order - 1) * np.vstack([powers[:1] * 0, powers[:1] * 0, powers[:4]])
        density = -np.einsum("pbk,pb,bk->b", own, second, coefficients) / self.step**2
        entropy, heat_capacity = self._thermal(coefficients, cell, t)
        free_energy = mu * count + (slopes * coefficients).sum(axis=1)
        at_node = np.column_stack([self.first + self.step * cell, own[0]])
        from_node = np.column_stack([self.step * t, np.einsum("pbk,pb->bk", own[1:], powers[1:])])
        return Filled(mu, free_energy, density, entropy, heat_capacity, slopes, at_node, from_node)

    def _refuse_beyond(self, mu: np.ndarray, coefficients: np.ndarray, count: np.ndarray) -> None:
        """Refuse what an axis is too short for: μ at its lower end, or electrons in states beyond its upper end."""
        kt = BOLTZMANN * self.temperature
        beyond = np.abs(coefficients @ self._end) * kt * np.exp(-(self.last - mu) / kt) if kt else np.zeros(len(mu))
        is_outside = (beyond > LOST * count) | (-coefficients @ self._slopes[0] >= count)
        if is_outside.any():
            raise ElectronError(
                f"electronic temperature {self.temperature:g} K, at which structure {int(is_outside.argmax())} has "
                f"electrons in states beyond the axis of energies, which is from {self.first:g} to {self.last:g} eV; a "
                "lower temperature or a longer axis is needed"
            )

    def _cells(self, coefficients: np.ndarray, count: np.ndarray) -> np.ndarray:
        """Between which nodes μN + Ω is largest: first among some of the nodes, then among those near by."""
        last = len(self._values) - 1
        coarse = np.minimum(np.arange(0, last + COARSE, COARSE), last)
        places = coarse[self._enthalpy(coefficients[:, None], count, coarse[None]).argmax(axis=1)]
        near = np.clip(places[:, None] + np.arange(-COARSE, COARSE + 1), 0, last)
        best = near[np.arange(len(near)), self._enthalpy(coefficients[:, None], count, near).argmax(axis=1)]
        held = -(coefficients * self._slopes[best]).sum(axis=1)
        return np.clip(np.where(held < count, best, best - 1), 0, last - 1)

    def _enthalpy(self, coefficients: np.ndarray, count: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        mu = self.first + self.step * nodes
        return mu * count[:, None] + (self._values[nodes] @ np.swapaxes(coefficients, 1, 2))[..., 0]

    def _thermal(self, coefficients: np.ndarray, cell: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Entropy and heat capacity, from moments of q = f(1 − f) that are interpolated by cubics."""
        if not len(self._moments):
            return np.zeros(len(t)), np.zeros(len(t))
        last = self._moments.shape[1] - 1
        around = np.clip(cell[:, None] + np.arange(-1, 3), 0, last)
        own = np.einsum("nbik,bk->nbi", self._moments[:, around], coefficients)
        weights = 0.5 * np.stack(
            [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2], axis=1
        )
        entropy, zeroth, first, second = (own * weights).sum(axis=2)
        beta = 1 / (BOLTZMANN * self.temperature)
        return entropy, beta**2 * (second - np.divide(first**2, zeroth, out=0 * zeroth, where=zeroth != 0))


def _ground_state(splines: CubicSpline, curves: EnergyCurves) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ω, −N and −g at the points of the axis for T = 0."""
    energies = curves.energies
    once, twice = splines.antiderivative(1), splines.antiderivative(2)
    return -twice(energies), -once(energies), -curves.basis.T


def _at_temperature(
    splines: CubicSpline, curves: EnergyCurves, step: float, temperature: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Ω, −N, −g_T and moments (S, Σ w q x^n for n = 0, 1, 2) at nodes of a spacing, x = E − μ."""
    kt = BOLTZMANN * temperature
    nodes = curves.first + step * np.arange(round((curves.points - 1) * curves.step / step) + 1)
    weights = splines(nodes) * step
    weights[[0, -1]] *= 0.5
    reach = min(int(np.ceil(REACH * kt / step)), len(nodes) - 1)  # there is nothing beyond the nodes
    x = step * np.arange(-reach, reach + 1)
    occupied, empty = expit(-x / kt), expit(x / kt)
    active = occupied * empty
    entropy = entr(occupied) + entr(empty)
    kernels = [-kt * np.logaddexp(0, -x / kt), occupied, entropy, active, active * x, active * x**2]
    near = [correlate1d(weights, kernel, axis=0, mode="constant") for kernel in kernels]
    below = [np.zeros_like(weights) for _ in range(2)]  # of levels that are lower than the window, which are full
    if reach + 1 < len(nodes):
        for total, own in zip(below, (weights, weights * nodes[:, None]), strict=True):
            total[reach + 1 :] = np.cumsum(own, axis=0)[: -reach - 1]
    omega = near[0] + below[1] - nodes[:, None] * below[0]
    return omega, -(near[1] + below[0]), -near[3] / kt, np.array(near[2:])


def _quintic(values: np.ndarray, slopes: np.ndarray, curvatures: np.ndarray) -> np.ndarray:
    """Coefficients (6, cells, channels) in t from 0 to 1, lowest first, that have all these at both ends."""
    (y0, d0, s0), (y1, d1, s1) = (
        [own[part] for own in (values, slopes, curvatures)] for part in (np.s_[:-1], np.s_[1:])
    )
    rise = y1 - y0
    return np.stack(
        [
            y0,
            d0,
            0.5 * s0,
            10 * rise - 6 * d0 - 4 * d1 - 1.5 * s0 + 0.5 * s1,
            -15 * rise + 8 * d0 + 7 * d1 + 1.5 * s0 - s1,
            6 * rise - 3 * (d0 + d1) - 0.5 * (s0 - s1),
        ]
    )


def _stationary(polynomials: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Where slope·t + p(t) is stationary in [0, 1], by Newton's method kept between bounds; shape (structures,)."""
    c1, c2, c3, c4, c5 = polynomials[1:]
    low, high = np.zeros(len(slope)), np.ones(len(slope))
    t = 0.5 * (low + high)
    for _ in range(STEPS):
        value = slope + c1 + t * (2 * c2 + t * (3 * c3 + t * (4 * c4 + t * 5 * c5)))
        change = 2 * c2 + t * (6 * c3 + t * (12 * c4 + t * 20 * c5))
        rises = value > 0  # the maximum is above
        low, high = np.where(rises, t, low), np.where(rises, high, t)
        newton = t - np.divide(value, change, out=np.full_like(value, np.inf), where=change != 0)
        following = np.where((newton >= low) & (newton <= high), newton, 0.5 * (low + high))
        done = np.abs(following - t).max() < 1e-13  # the maximum itself is known to its square
        t = following
        if done:
            break
    return t
