"""What a model of several parts says of itself: its parts, their versions, and the content of the files behind them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...json_text import plain
from ...reading import digest_of
from ..evaluators import files_of, load_evaluator
from ..evaluators.mixture import described
from ..structures import species_names


def describe_mixture(name: str | Path) -> dict[str, Any]:
    """Everything that a file of parts says of itself, and what its parts are here.

    Parameters
    ----------
    name : str or Path
        The file, as `beadwise.model.evaluators.mixture.mixture` takes it.

    Returns
    -------
    dict
        Fit for JSON: ``file``, ``species``, ``properties``, and ``parts`` and ``committees`` by quantity, each with the
        names of its models, what provides them, the SHA-256 of every file that their answers depend on, and the unit.

    Raises
    ------
    BeadwiseError
        If the file names no model, or a part cannot be had.
    """
    path = Path(name)
    parts, committees, units = described(path)
    evaluator = load_evaluator(path)
    return plain(
        {
            "file": path.name,
            "sha256": digest_of(path),
            "species": species_names(evaluator.species) if evaluator.species else ["any that the parts take"],
            "properties": evaluator.properties,
            "parts": {
                own: _parts(names) | ({"unit": units[own]} if own in units else {}) for own, names in parts.items()
            },
            "committees": {own: _parts(names) for own, names in committees.items()},
        }
    )


def _parts(names: tuple[str, ...]) -> dict[str, Any]:
    """Models of one quantity."""
    return {str(Path(one).name if Path(one).is_file() else one): _part(one) for one in names}


def _part(name: str) -> dict[str, Any]:
    evaluator = load_evaluator(name)
    described = {
        "name": name,
        "provider": getattr(evaluator, "provider", ""),
        "species": species_names(evaluator.species),
        "properties": ", ".join(evaluator.properties),
        "sha256": {file.name: digest_of(file) for file in files_of(name)},
    }
    return {key: value for key, value in described.items() if value}
