"""Whether a model holds the mean force on centroids (Te PIGS), and of which temperature."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..evaluators.mixture import SUFFIX, described
from ..evaluators.registry import models_of
from ..files import load_model

RECORD = "pigs"  # in the metadata of a correction
TEMPERATURE, ISOTOPES = "temperature", "isotopes"
MODEL_FILE = ".safetensors"


def temperature_of_centroids(name: str | Path) -> float | None:
    """Temperature at which the mean force on centroids was fitted that a model adds to its potential.

    Parameters
    ----------
    name : str or Path
        Of a model, as commands take it.

    Returns
    -------
    float or None
        In K; None for a model without such a force.

    Raises
    ------
    BeadwiseError
        If a file of parts, or a model file, cannot be read.
    """
    record = record_of_centroids(name)
    return None if record is None else float(record[TEMPERATURE])


def record_of_centroids(name: str | Path) -> Mapping[str, Any] | None:
    """What a correction says of its run: ``temperature`` in K, and ``isotopes`` by i-PI's names where it knows them.

    Parameters and errors are those of `temperature_of_centroids`; None for a model without such a force.
    """
    is_file_of_parts = str(name).endswith(SUFFIX) and os.path.isfile(name)  # committee:A.toml,B.toml ends so, too
    energy = described(Path(name))[0].get("energy", ()) if is_file_of_parts else (str(name),)
    found = (_recorded(model) for part in energy for model in models_of(part))
    return next((record for record in found if record is not None), None)


def _recorded(name: str) -> Mapping[str, Any] | None:
    if not name.endswith(MODEL_FILE) or not os.path.isfile(name):
        return None
    record = load_model(name).metadata.get(RECORD)
    is_known = isinstance(record, Mapping) and isinstance(record.get(TEMPERATURE), (int, float))
    return record if is_known else None
