"""Radial functions: combinations of cosines of a logarithmic distance, smoothly cut off, as spline tables."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..reading import shown
from ..short_repr import short_repr

INTERVALS = 512  # of the spline grid; 0.012 Å at a cutoff of 6 Å


@dataclass(frozen=True)
class RadialForm:
    """Primitive functions √(2 − δ_k0) cos(k π x(r)) f(r), k = 0, 1, ….

    ``x = [g(r) − g(r_in)] / [g(r_c) − g(r_in)]`` with ``g = ln(1 + r/a)`` resolves short distances more finely and
    spends nothing on distances that do not occur; ``f = (1 − 10u³ + 15u⁴ − 6u⁵) / (1 + (r/r_0)^p)``, u = r/r_c, ends
    with two vanishing derivatives and lets the far neighbours weigh less, as in Willatt, Musil, Ceriotti, Phys. Chem.
    Chem. Phys. 20, 29661 (2018).

    Parameters
    ----------
    cutoff : float
        r_c in Å.
    warp_length : float
        a in Å.
    innermost : float
        r_in in Å, about the shortest distance between two atoms; the cosines go on below it.
    decay_length, decay_power : float
        r_0 in Å, and p.
    """

    cutoff: float
    warp_length: float
    innermost: float
    decay_length: float
    decay_power: float

    def __post_init__(self) -> None:
        numbers = vars(self)
        if not all(isinstance(own, (int, float)) and abs(own) < np.inf for own in numbers.values()):
            raise ValueError(f"a radial form with {shown(numbers)}; finite numbers are needed")
        if self.decay_power < 1 and self.decay_power != 0:  # the slope at distance 0 would be infinite
            raise ValueError(f"the decay power {self.decay_power:g} of a radial form; it must be 0, or 1 or more")
        lengths = (self.cutoff, self.warp_length, self.decay_length)
        if not all(0 < length < np.inf for length in lengths) or not 0 <= self.innermost < self.cutoff:
            raise ValueError(
                f"cutoff {self.cutoff}, warp length {self.warp_length}, decay length {self.decay_length} and innermost "
                f"{self.innermost} Å; lengths must be positive and innermost below the cutoff"
            )

    def primitives(self, distance: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Values and derivatives of the first ``count`` primitive functions, each of shape (distances, count).

        Parameters
        ----------
        distance : ndarray of float64, shape (distances,)
            In Å, from 0 to the cutoff.
        count : int
        """
        span = np.log1p(self.cutoff / self.warp_length) - np.log1p(self.innermost / self.warp_length)
        x = (np.log1p(distance / self.warp_length) - np.log1p(self.innermost / self.warp_length)) / span
        frequency = np.pi * np.arange(count)
        norm = np.where(np.arange(count) > 0, np.sqrt(2.0), 1.0)
        wave = norm * np.cos(frequency * x[:, None])
        wave_slope = (
            -norm * frequency * np.sin(frequency * x[:, None]) / (span * (self.warp_length + distance))[:, None]
        )
        fade, fade_slope = self.fade(distance)
        return wave * fade[:, None], wave_slope * fade[:, None] + wave * fade_slope[:, None]

    def fade(self, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """f(r) and its derivative."""
        u = distance / self.cutoff
        smooth = 1 - 10 * u**3 + 15 * u**4 - 6 * u**5
        smooth_slope = -30 * u**2 * (1 - u) ** 2 / self.cutoff
        far = 1 / (1 + (distance / self.decay_length) ** self.decay_power)
        if self.decay_power == 0:
            return smooth * far, smooth_slope * far
        growth = self.decay_power / self.decay_length * (distance / self.decay_length) ** (self.decay_power - 1)
        return smooth * far, smooth_slope * far - smooth * far**2 * growth


@dataclass(frozen=True, repr=False)
class RadialBasis:
    """R_n(r) = Σ_k C_kn (primitive k) for every (centre, neighbour) pair of species.

    Parameters
    ----------
    form : RadialForm
    coefficients : ndarray of float64, shape (species, species, primitives, radial)
        C for every pair (centre, neighbour).
    """

    form: RadialForm
    coefficients: np.ndarray

    __repr__ = short_repr

    @classmethod
    def of_primitives(cls, form: RadialForm, species: int, radial: int) -> RadialBasis:
        """The first ``radial`` primitive functions themselves, for every pair."""
        return cls(form, np.broadcast_to(np.eye(radial), (species, species, radial, radial)).copy())

    @classmethod
    def of_chemical_channels(cls, form: RadialForm, species: int, radial: int, channels: int) -> RadialBasis:
        """Functions for a group that all species share, told apart by their weights in a few chemical channels.

        The functions of channel a are w_a(s) times the first ``radial`` primitive functions, s the neighbour's species,
        with the cosines w_a(s) = √(2 − δ_a0) cos(π a (s + ½)/species): as many channels as species span what separate
        densities span, fewer see neighbouring species of the list as similar.  The density then costs the same for any
        number of species (the alchemical contraction of Willatt, Musil, Ceriotti, Phys. Chem. Chem. Phys. 20, 29661
        (2018), with fixed weights).

        Parameters
        ----------
        form : RadialForm
        species, radial, channels : int
        """
        order = np.arange(channels)[:, None]
        weights = np.where(order > 0, np.sqrt(2.0), 1.0) * np.cos(np.pi * order * (np.arange(species) + 0.5) / species)
        functions = np.einsum("as,pn->span", weights, np.eye(radial)).reshape(species, radial, channels * radial)
        return cls(form, np.broadcast_to(functions, (species, *functions.shape)).copy())

    @property
    def cutoff(self) -> float:
        """Cutoff in Å."""
        return self.form.cutoff

    @property
    def radial(self) -> int:
        """Number of radial functions per group of neighbours."""
        return self.coefficients.shape[3]

    @cached_property
    def splines(self) -> np.ndarray:
        """The table without padding, made once: training reads it at every step."""
        return self.spline_table(self.radial)

    def spline_table(self, padded: int) -> np.ndarray:
        """Cubic Hermite table for the kernel, shape (species, species, nodes, 2, padded).

        The spline, not the closed form, is the basis from then on: forces are its exact derivative.
        """
        kinds, _, primitives, radial = self.coefficients.shape
        value, slope = self.form.primitives(np.linspace(0.0, self.cutoff, INTERVALS + 1), primitives)
        table = np.zeros((kinds, kinds, INTERVALS + 1, 2, padded))
        table[..., 0, :radial] = np.einsum("rk,abkn->abrn", value, self.coefficients)
        table[..., 1, :radial] = np.einsum("rk,abkn->abrn", slope, self.coefficients) * (self.cutoff / INTERVALS)
        table[:, :, -1] = 0.0
        return table
