"""What the file of an electron density says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ase.data import chemical_symbols

from ...json_text import plain
from ..evaluators import files_of, load_evaluator
from ..structures import species_names
from .model import DensityModel

LETTERS = "spdfg"


def describe_density(name: str) -> dict[str, Any]:
    """Everything that a file of an electron density says of itself, except its weights.

    Parameters
    ----------
    name : str
        ``density:FILE``.

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
    assert isinstance(model, DensityModel)
    path: Path = next(iter(files_of(name)))
    basis = model.basis
    return plain(
        {
            "file": path.name,
            "bytes": path.stat().st_size,
            "species": species_names(model.species),
            "properties": model.properties,
            "functions": {
                chemical_symbols[number]: "".join(LETTERS[momentum] for momentum in basis.momenta(number))
                for number in basis.numbers
            },
            "electrons": {chemical_symbols[number]: own for number, own in basis.electrons.items()},
            "metric": model.metric,
            "cutoff / Å": model.density.radial.cutoff,
            "weights": sum(own.size for own in model.weights.values()),
            "metadata": dict(model.metadata),
        }
    )
