"""What a file of another package says of itself, as far as its package tells."""

from __future__ import annotations

from typing import Any

from ...json_text import plain
from ...reading import digest_of
from ..evaluators import files_of, load_evaluator
from ..structures import species_names


def describe_external(name: str) -> dict[str, Any]:
    """What a model of another package is here.

    Parameters
    ----------
    name : str
        As ``mace:FILE``.

    Returns
    -------
    dict
        Fit for JSON: ``file``, its ``sha256``, ``provider``, ``kind`` where there are several, ``species``,
        ``properties`` and ``units``, those in which the file is taken to be.

    Raises
    ------
    BeadwiseError
        If it cannot be loaded.
    """
    evaluator = load_evaluator(name)
    (path,) = files_of(name)
    return plain(
        {
            "file": path.name,
            "bytes": path.stat().st_size,
            "sha256": digest_of(path),
            "provider": getattr(evaluator, "provider", ""),
            "kind": getattr(getattr(evaluator, "file", None), "kind", None),
            "species": species_names(evaluator.species),
            "properties": evaluator.properties,
            "units": getattr(evaluator, "units", {}),
        }
    )
