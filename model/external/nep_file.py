"""Text files of neuroevolution potentials: what one holds, and whether all its numbers are there.

nep-adapters 1.0.3 ends the process for a file that is cut off, and takes numbers that are not finite; so files are
checked here, before it sees them.  The layout is that of GPUMD's ``nep.txt``: a header, the numbers of the networks,
those of the descriptor, those that scale the descriptor, and those of a fitted repulsion.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from ...reading import refusing, shown
from ..errors import EvaluatorError

KINDS = {  # by the first word of a file; nep-adapters 1.0.3 knows no others without charges or spins
    "nep4": "ordinary",
    "nep4_zbl": "ordinary",
    "nep4_dipole": "dipole",
    "nep4_polarizability": "polarizability",
    "nep5": "ordinary",
    "nep5_zbl": "ordinary",
}
MOST_BYTES = 500_000_000
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")  # alone in its line
PARAMETERS_OF_REPULSION = 10  # of each pair of elements


@dataclass(frozen=True)
class NepFile:
    """What a file says of itself.

    Parameters
    ----------
    kind : str
        ``ordinary``, ``dipole`` or ``polarizability``.
    species : tuple of int
        Atomic numbers in the order of the file.
    cutoff : float
        The longer one, in Å.
    """

    kind: str
    species: tuple[int, ...]
    cutoff: float


def read_nep(path: Path) -> NepFile:
    """Read the header, and check that the numbers are as many as it says, and finite.

    Raises
    ------
    EvaluatorError
        If the file is damaged, of something else, or of a kind that cannot be served.
    """
    with refusing(EvaluatorError, f"'{path}' is damaged or no file of a NEP"):
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"it has {path.stat().st_size} bytes")
        lines = path.read_bytes().decode("ascii").rstrip().split("\n")  # as nep-adapters parts them
        first = (lines or [""])[0].split() or [""]
        if first[0] not in KINDS:
            raise EvaluatorError(
                f"'{path}' begins with '{shown(first[0])}', which is no NEP that can be served; allowed are "
                f"{', '.join(KINDS)}"
            )
        species = _species(first)
        header = {line.split()[0]: [float(word) for word in line.split()[1:]] for line in lines[1:7] if line.split()}
        names = [*(["zbl"] if first[0].endswith("zbl") else []), "cutoff", "n_max", "basis_size", "l_max", "ANN"]
        if list(header)[: len(names)] != names:
            raise ValueError(f"its header has the lines {list(header)}; needed are {names}")
        needed = _count(header, len(species), first[0])
        words = [line.strip() for line in lines[1 + len(names) :]]
        if len(words) != needed:
            raise ValueError(f"it has {len(words)} numbers below its header, which says that there are {needed}")
        wrong = next((word for word in words if not NUMBER.fullmatch(word) or not np.isfinite(float(word))), None)
        if wrong is not None:
            raise ValueError(
                f"number {words.index(wrong)} below its header is '{shown(wrong)}', which is no finite number"
            )
        return NepFile(KINDS[first[0]], species, max(header["cutoff"][:-2]))


def _species(first: Sequence[str]) -> tuple[int, ...]:
    symbols = first[2:]
    if len(first) < 3 or int(first[1]) != len(symbols) or len(set(symbols)) < len(symbols):
        raise ValueError(f"its first line is '{shown(' '.join(first))}'")
    return tuple(atomic_numbers[symbol] for symbol in symbols)


def _count(header: dict[str, list[float]], elements: int, kind: str) -> int:
    """How many numbers follow a header."""
    neurons, second = (_whole(header, "ANN", place) for place in range(2))
    if second:
        raise ValueError(f"it has a second layer of {second} neurons; only one layer can be served")
    radial, angular = (_whole(header, "n_max", place) + 1 for place in range(2))
    radial_basis, angular_basis = (_whole(header, "basis_size", place) + 1 for place in range(2))
    third, fourth, fifth = (_whole(header, "l_max", place) for place in range(3))
    components = radial + angular * (third + (fourth == 2) + (fifth == 1))
    has_offsets = kind.startswith("nep5")  # one for each element
    of_networks = elements * ((components + 2) * neurons + has_offsets) + 1
    if KINDS[kind] == "polarizability":
        of_networks *= 2
    of_repulsion = elements * (elements + 1) // 2 * PARAMETERS_OF_REPULSION if header.get("zbl") == [0.0, 0.0] else 0
    return of_networks + elements**2 * (radial * radial_basis + angular * angular_basis) + components + of_repulsion


def _whole(header: dict[str, list[float]], name: str, place: int) -> int:
    value = header[name][place]
    if value != int(value) or not 0 <= value <= 1000:
        raise ValueError(f"its header has {name} {value:g}")
    return int(value)
