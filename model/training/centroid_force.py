"""Whether a model holds the mean force on centroids (Te PIGS), and of which temperature."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..evaluators.mixture import SUFFIX, described
from ..evaluators.registry import models_of
from ..files import load_model

RECORD = "pigs"  # in the metadata of a correction
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
    is_file_of_parts = str(name).endswith(SUFFIX) and os.path.isfile(
        name
    )  # others end so, too: committee:A.toml,B.toml
    energy = described(Path(name))[0].get("energy", ()) if is_file_of_parts else (str(name),)
    found = (_recorded(model) for part in energy for model in models_of(part))
    return next((temperature for temperature in found if temperature is not None), None)


def _recorded(name: str) -> float | None:
    if not name.endswith(MODEL_FILE) or not os.path.isfile(name):
        return None
    record = load_model(name).metadata.get(RECORD)
    temperature = record.get("temperature") if isinstance(record, Mapping) else None
    return float(temperature) if isinstance(temperature, (int, float)) else None
