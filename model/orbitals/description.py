"""What the file of a Hamiltonian says of itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ase.data import chemical_symbols

from ...json_text import plain
from ..evaluators import files_of, load_evaluator
from ..response import Evaluator
from ..structures import species_names
from .basis import SHELL_LETTERS
from .model import HamiltonianModel


def describe_hamiltonian(name: str) -> dict[str, Any]:
    """Everything that a file of a Hamiltonian says of itself, except its weights.

    Parameters
    ----------
    name : str
        ``hamiltonian:FILE``.

    Returns
    -------
    dict
        Fit for JSON.

    Raises
    ------
    BeadwiseError
        If there is no such file, or it cannot be used.
    """
    model = load_evaluator(name)
    assert isinstance(model, HamiltonianModel)
    basis, density = model.hamiltonian.basis, model.hamiltonian.density
    return plain(
        {
            **entries_of_file(name, model),
            "shells": letters_of_shells(basis.shells),
            "electrons": {chemical_symbols[number]: own for number, own in basis.electrons.items()},
            "orbitals": "with an overlap" if model.overlap else "orthogonal",
            "cutoff / Å": density.radial.cutoff,
            "cutoff of pairs / Å": model.hamiltonian.pairs.form.cutoff,
            "weights": sum(len(own.ours) + len(own.theirs) for own in model.hamiltonian.weights.values()),
            "members": (
                f"{model.members}, {model.calibration:.4g} times as far apart as fitted" if model.members else "none"
            ),
            "training range": "not kept" if model.envelope is None else "kept; envelope_distance is 0 inside",
            "metadata": {name: own for name, own in model.metadata.items() if name != "envelope"},
        }
    )


def entries_of_file(name: str, model: Evaluator) -> dict[str, Any]:
    """Entries about the one file that a name has, and about what it answers."""
    path: Path = next(iter(files_of(name)))
    return {
        "file": path.name,
        "bytes": path.stat().st_size,
        "species": species_names(model.species),
        "properties": model.properties,
    }


def letters_of_shells(shells: Mapping[int, Iterable[int]]) -> dict[str, str]:
    """Angular momenta of the shells of each element in letters, ``ssp``, by chemical symbol."""
    return {
        chemical_symbols[number]: "".join(SHELL_LETTERS[momentum] for momentum in own) for number, own in shells.items()
    }
