"""Guards of the serving loop: what must hold before anything is evaluated, and before anything is sent."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from ase.data import chemical_symbols

from ...model import Evaluator, PropertyError, Response, StructureError
from ...model.training.unlabelled import may_be_unknown
from ...properties.quantities import ALWAYS_SENT, properties

SMALLEST_VOLUME = 1e-3
MOST_ATOMS = 1_000_000  # that are believed before their positions have arrived


def wanted_properties(evaluator: Evaluator, want: Sequence[str], properties_only: bool = False) -> tuple[str, ...]:
    """Properties to evaluate, in the order of `properties`: the wanted ones and those that i-PI always reads.

    An evaluator without a virial, such as an ASE calculator without stress, is served without it: i-PI gets zeros,
    which nothing at constant volume reads.

    Parameters
    ----------
    evaluator : Evaluator
        What is going to evaluate them.
    want : sequence of str
        Those that were asked for.
    properties_only : bool
        Whether to leave out energy, forces and virial, as for a force of weight 0, of which i-PI reads only the extras.

    Raises
    ------
    PropertyError
        If one is unknown, the evaluator does not provide it, or nothing is left.
    """
    unknown = [name for name in want if name not in properties()]
    if unknown:
        raise PropertyError(f"unknown property '{unknown[0]}'; allowed are {', '.join(properties())}")
    if properties_only:
        wanted = tuple(name for name in properties() if name in want and name not in ALWAYS_SENT)
    else:
        wanted = tuple(name for name in properties() if name in want or name in ALWAYS_SENT)
    if not wanted:
        raise PropertyError(
            f"{', '.join(want) or 'nothing'} is wanted and zeros are to be sent for energy, forces and virial; "
            f"at least one other property is needed, of {', '.join(list(properties())[len(ALWAYS_SENT) :])}"
        )
    wanted = tuple(name for name in wanted if name != "virial" or name in evaluator.properties)
    missing = [name for name in wanted if name not in evaluator.properties]
    if missing:
        raise PropertyError(f"this model does not provide {missing[0]}; it provides {', '.join(evaluator.properties)}")
    return wanted


def check_species(evaluator: Evaluator, numbers: np.ndarray) -> np.ndarray:
    """Return the atomic numbers as an int32 array of shape (atoms,) if the evaluator knows all of them.

    Raises
    ------
    StructureError
        If the evaluator does not know one, or there is none.
    """
    numbers = np.asarray(numbers, dtype=np.int32).reshape(-1)
    if len(numbers) == 0:
        raise StructureError("the structure has no atom; at least one is needed")
    known = np.asarray(evaluator.species, dtype=np.int32)
    unknown = np.flatnonzero(~np.isin(numbers, known))
    if len(known) and len(unknown):
        raise StructureError(
            f"atom {unknown[0]} is {_symbol(numbers[unknown[0]])}, which this model does not know; "
            f"it knows {', '.join(map(_symbol, known))}"
        )
    return numbers


def check_atoms(received: int, expected: int | None) -> None:
    """Raise StructureError if i-PI does not send as many atoms as there are species, or none at all."""
    if expected is None and not 1 <= received <= MOST_ATOMS:
        raise StructureError(
            f"i-PI sent {received} atoms; allowed are 1 to {MOST_ATOMS}, unless a structure names their species"
        )
    if expected is not None and received != expected:
        raise StructureError(f"i-PI sent {received} atoms; the structure that gives their species has {expected}")


def check_cells(cells: np.ndarray) -> None:
    """Raise StructureError if a cell, shape (beads, 3, 3) in Å, is not finite or spans no volume."""
    is_shared = len(cells) == 1 or bool((cells == cells[0]).all())
    # in plain Python: one cell is the usual case, and a determinant by LAPACK takes longer
    for bead, cell in enumerate((cells[:1] if is_shared else cells).tolist()):
        volume = abs(_triple_product(*cell))
        if not volume > SMALLEST_VOLUME or math.isinf(volume):  # also where it is not a number
            raise StructureError(
                f"cell of bead {bead} is {cell} Å with volume {volume:.3g} Å³; "
                "must be finite and span a volume, as every direction is periodic"
            )


def _triple_product(a: list[float], b: list[float], c: list[float]) -> float:
    """Volume that three vectors span, with its sign."""
    return a[0] * (b[1] * c[2] - b[2] * c[1]) + a[1] * (b[2] * c[0] - b[0] * c[2]) + a[2] * (b[0] * c[1] - b[1] * c[0])


def check_finite(response: Response) -> None:
    """Raise StructureError if anything that was evaluated is not finite: i-PI would carry it into every bead."""
    for name in response.names:
        if math.isfinite(response[name].sum()):  # quick, and true unless finite numbers overflow together
            continue
        finite = np.isfinite(response[name])
        if (unknown := may_be_unknown(name, response[name])) is not None:
            finite |= unknown
        if not finite.all():
            bead = np.argwhere(~finite)[0][0]
            raise StructureError(
                f"{name} of bead {bead} is not finite; the structure is outside what the model can answer"
            )


def _symbol(number: int) -> str:
    """Chemical symbol, or the number itself if there is none."""
    return chemical_symbols[number] if 0 < number < len(chemical_symbols) else f"element {number}"
