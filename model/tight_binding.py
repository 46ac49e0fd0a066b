"""Extended tight binding (xTB) as an evaluator: it can be served, corrected and tested like a fitted model."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from ..potentials.tight_binding import HEAVIEST, METHODS, Settings, evaluate_tight_binding, thread_limit
from ..short_repr import short_repr
from .checks import is_crystal, lengths_of, refuse_elements_beyond, refuse_other_charge
from .errors import EvaluatorError, StructureError
from .qtip4pf import PotentialError
from .response import Response, refuse_unavailable
from .structures import Batch

PREFIX = "tblite"
ACCURACIES = (1e-5, 10.0)
# Å; where all lattice vectors are longer than 95 Å, tblite 0.8 is 0.5 mhartree off the isolated water molecule, after
# 3e-7 hartree just below: it finds no good splitting of its lattice sum over multipoles
LONGEST_SHORTEST_VECTOR = {"GFN2-xTB": 90.0}
NUMBERS = ("charge", "accuracy", "electronic_temperature")
TRUTHS = {"true": True, "false": False}
USAGE = f"{PREFIX}:METHOD{''.join(f'[,{name}={name.upper()}]' for name in NUMBERS)}[,isolated=true]"


class TightBinding:
    """GFN1-xTB, GFN2-xTB or IPEA1-xTB through the optional package tblite, ``pip install 'beadwise[tblite]'``.

    Energy, forces and virial, and no dipole: i-PI calls every cell periodic, and in a periodic cell the dipole of
    tblite depends on which image of an atom it is given, and jumps by a charge times a lattice vector.

    Parameters
    ----------
    method : str
        ``GFN1-xTB``, ``GFN2-xTB`` or ``IPEA1-xTB``.
    charge : int
        Of all atoms together, in e.
    accuracy : float
        tblite's factor on its thresholds, smaller is more exact.  Forces are as far from the derivative of the energy
        as the charges are from self-consistency.  For 32 water molecules in a periodic cell and GFN1-xTB that is
        1e-6 hartree/bohr (6e-5 eV/Å) at tblite's default of 1, and 2.5e-5 hartree (0.7 meV) in the virial; at the
        default here, 0.01, it is 3e-9 hartree/bohr and 4e-8 hartree, which costs three more iterations, a tenth of
        the time.  What is gained below has no use in dynamics.
    electronic_temperature : float
        Of the occupation of the orbitals, in K.
    isolated : bool
        Ignore cells and periodic directions: the atoms as they are given, and no images.  i-PI never says that its
        cell is not periodic; for a molecule this is exact, and quicker than a wide cell.
    threads : int
        So many beads at the same time; where there are fewer beads, OpenMP divides the work of each.

    Raises
    ------
    PotentialError
        If tblite is not installed, or a setting is outside what is allowed.
    """

    species = tuple(range(1, HEAVIEST + 1))
    properties = ("energy", "forces", "virial")

    def __init__(
        self,
        method: str,
        charge: int = 0,
        accuracy: float = 0.01,
        electronic_temperature: float = 300.0,
        isolated: bool = False,
        threads: int = 1,
    ):
        if method not in METHODS:
            raise PotentialError(f"'{method}' is no method of tight binding; allowed are {', '.join(METHODS)}")
        if not (np.isfinite(charge) and charge == int(charge)):
            raise PotentialError(f"charge of {method} is {charge} e; it must be a whole number")
        if not ACCURACIES[0] <= accuracy <= ACCURACIES[1]:
            raise PotentialError(f"accuracy of {method} is {accuracy}; allowed are {ACCURACIES[0]} to {ACCURACIES[1]}")
        if not 0 < electronic_temperature < np.inf:
            raise PotentialError(
                f"electronic_temperature of {method} is {electronic_temperature} K; it must be finite and above 0"
            )
        if threads < 1:
            raise PotentialError(f"{threads} threads for {method}; at least 1 is needed")
        try:
            thread_limit()
        except ImportError as error:
            raise PotentialError(
                f"{method} needs the package tblite, which cannot be loaded ({error}); "
                "install it with `pip install 'beadwise[tblite]'`"
            ) from error
        self.settings = Settings(method, int(charge), float(accuracy), float(electronic_temperature))
        self.provider = f"{PREFIX} {version(PREFIX)}"
        self.isolated = bool(isolated)
        self.threads = int(threads)

    def __repr__(self) -> str:
        settings = short_repr(self.settings).partition("(")[2].removesuffix(")")
        return f"TightBinding({settings}, isolated={self.isolated}, threads={self.threads})"

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Answer the wanted properties for every bead.

        Parameters
        ----------
        batch : Batch
            Periodic in all directions or in none; cells are ignored then.  Atoms may be different images.
        want : sequence of str
            Names out of `properties`.

        Raises
        ------
        PropertyError
            If a wanted property is not available.
        StructureError
            If there are no parameters for an element, the batch has another charge, atoms lie on each other, the
            charges do not become self-consistent, or the cell is too flat, too wide, or periodic in some directions
            only.
        """
        method = self.settings.method
        refuse_unavailable(want, self.properties, method)
        refuse_elements_beyond(batch.numbers, HEAVIEST, method)
        refuse_other_charge(batch, self.settings.charge, method)
        cells = None
        # tblite makes a structure that is periodic in some directions periodic in all, unasked
        if not self.isolated and is_crystal(batch, method, f"{method} of tblite allows all three, or none"):
            cells = batch.cells
            _refuse_wide(cells, method)
        arrays, failure = evaluate_tight_binding(batch.numbers, batch.positions, cells, self.settings, self.threads)
        if failure is not None:
            raise StructureError(
                f"{method} cannot be evaluated for bead {failure.bead}: {failure.reason}; it needs atoms that do not "
                f"overlap, and a structure and a charge, now {self.settings.charge} e, whose electrons find a ground "
                "state"
            )
        return Response(**{name: arrays[name] for name in want})


def tight_binding(text: str, threads: int = 1) -> TightBinding:
    """Make the potential from its method and parameters as a user writes them, ``GFN1-xTB,accuracy=0.1,charge=1``.

    Raises
    ------
    EvaluatorError
        If a parameter is unknown, given twice, or its value is of the wrong kind.
    PotentialError
        If tblite is not installed, or a setting is outside what is allowed.
    """
    method, *items = (item.strip() for item in text.split(","))
    values: dict[str, Any] = {}
    for item in items:
        parameter, _, value = (part.strip() for part in item.partition("="))
        if parameter not in (*NUMBERS, "isolated"):
            raise EvaluatorError(f"'{parameter}' is no parameter of {PREFIX}; it is written {USAGE}")
        if parameter in values:
            raise EvaluatorError(f"parameter {parameter} of {PREFIX} is given twice; it is written {USAGE}")
        try:
            values[parameter] = float(value) if parameter in NUMBERS else TRUTHS[value]
        except (ValueError, KeyError):
            kind = "no number" if parameter in NUMBERS else "neither true nor false"
            raise EvaluatorError(
                f"parameter {parameter} of {PREFIX} is '{value}', which is {kind}; it is written {USAGE}"
            ) from None
    return TightBinding(method, **values, threads=threads)


def _refuse_wide(cells: np.ndarray, method: str) -> None:
    longest = LONGEST_SHORTEST_VECTOR.get(method, np.inf)
    shortest = lengths_of(cells).min(axis=1)
    wide = np.flatnonzero(shortest > longest)
    if len(wide):
        raise StructureError(
            f"the shortest lattice vector of bead {wide[0]} is {shortest[wide[0]]:.3g} Å long; {method} of tblite sums "
            f"multipoles rightly up to {longest:g} Å; a single molecule can be served as "
            f"{PREFIX}:{method},isolated=true"
        )
