"""Small potentials that are served by name: a harmonic trap and Lennard-Jones atoms, with references to compare with.

Both know every species and treat all atoms alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..potentials.harmonic import evaluate_harmonic
from ..potentials.lennard_jones import CLOSEST, evaluate_lennard_jones
from ..short_repr import short_repr
from .errors import StructureError, as_structure_error
from .qtip4pf import PotentialError
from .response import Response, refuse_unavailable
from .structures import Batch

PROPERTIES_OF_BASELINES = ("energy", "forces", "virial")


class Harmonic:
    """A harmonic trap around the origin; see `beadwise.potentials.harmonic` for its virial, which is zero.

    Parameters
    ----------
    k : float
        Stiffness of the springs in eV/Å².

    Raises
    ------
    PotentialError
        If it is not finite and above 0.
    """

    species: tuple[int, ...] = ()
    properties = PROPERTIES_OF_BASELINES

    def __init__(self, k: float):
        self.k = _positive("k", k, "harmonic", "eV/Å²")

    def __repr__(self) -> str:
        return short_repr(self, ("k",))

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Answer the wanted properties for every bead.

        Parameters
        ----------
        batch : Batch
            Positions are taken from the origin as they are; cells and periodic directions are ignored.
        want : sequence of str
            Names out of `properties`.

        Raises
        ------
        PropertyError
            If a wanted property is not available.
        """
        refuse_unavailable(want, PROPERTIES_OF_BASELINES, "harmonic")
        return _response(evaluate_harmonic(batch.positions, self.k), want)


class LennardJones:
    """Lennard-Jones atoms, isolated without a cutoff and periodic with one; see `beadwise.potentials.lennard_jones`.

    i-PI never says whether its cell is periodic, so the cutoff decides.

    Parameters
    ----------
    epsilon : float
        Depth of the well in eV.
    sigma : float
        Distance in Å at which two atoms neither gain nor lose energy.
    cutoff : float, optional
        In Å.  Without one, the atoms are isolated: all pairs of the atoms as they are given, and no images.

    Raises
    ------
    PotentialError
        If one is not finite and above 0, or the cutoff is not longer than sigma.
    """

    species: tuple[int, ...] = ()
    properties = PROPERTIES_OF_BASELINES

    def __init__(self, epsilon: float, sigma: float, cutoff: float | None = None):
        self.epsilon = _positive("epsilon", epsilon, "lennard-jones", "eV")
        self.sigma = _positive("sigma", sigma, "lennard-jones", "Å")
        self.cutoff = None if cutoff is None else _positive("cutoff", cutoff, "lennard-jones", "Å")
        if self.cutoff is not None and self.cutoff <= self.sigma:
            raise PotentialError(
                f"cutoff of lennard-jones is {self.cutoff} Å; it must be longer than sigma, {self.sigma} Å"
            )

    def __repr__(self) -> str:
        return short_repr(self, ("epsilon", "sigma", "cutoff"))

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Answer the wanted properties for every bead.

        Parameters
        ----------
        batch : Batch
            With a cutoff atoms may be different images, and the cell of any size; without one cells and periodic
            directions are ignored.
        want : sequence of str
            Names out of `properties`.

        Raises
        ------
        PropertyError
            If a wanted property is not available.
        StructureError
            If two atoms overlap, or a cell is too low for so long a cutoff.
        """
        refuse_unavailable(want, PROPERTIES_OF_BASELINES, "lennard-jones")
        with as_structure_error():
            arrays, overlap = evaluate_lennard_jones(
                batch.positions, batch.cells, batch.periodic, self.epsilon, self.sigma, self.cutoff
            )
        if overlap is not None:
            raise StructureError(
                f"atoms {overlap.first} and {overlap.second} of bead {overlap.bead} are {overlap.distance:.3g} Å "
                f"apart; lennard-jones with sigma {self.sigma} Å needs at least {CLOSEST * self.sigma:.3g} Å"
            )
        return _response(arrays, want)


def _response(arrays: dict[str, np.ndarray], want: Sequence[str]) -> Response:
    return Response(**{name: arrays[name] for name in want})


def _positive(parameter: str, value: float, name: str, unit: str) -> float:
    if not 0 < value < np.inf:
        raise PotentialError(f"{parameter} of {name} is {value} {unit}; it must be finite and above 0")
    return float(value)
