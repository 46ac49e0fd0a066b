"""What the file of an electron density says of itself."""

from __future__ import annotations

from typing import Any

from ase.data import chemical_symbols

from ...json_text import plain
from ..evaluators import load_evaluator
from ..orbitals.description import entries_of_file, letters_of_shells
from .model import DensityModel


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
    basis = model.basis
    return plain(
        {
            **entries_of_file(name, model),
            "functions": letters_of_shells({number: basis.momenta(number) for number in basis.numbers}),
            "electrons": {chemical_symbols[number]: own for number, own in basis.electrons.items()},
            "metric": model.metric,
            "cutoff / Å": model.density.radial.cutoff,
            "weights": sum(own.size for own in model.weights.values()),
            "metadata": dict(model.metadata),
        }
    )
