"""A model out of parts: a potential, the correction of its centroid force, and the quantities of the potential."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from ...json_text import json_text
from ...properties.quantities import quantities
from ...whole_files import write_text

SUFFIX = "_pigs"
ENERGY = "energy"


def parts_file(model: str, correction: Path, temperature: float, known: Collection[str]) -> str:
    """Text of a file of parts.

    Parameters
    ----------
    model : str
        Name of the potential that is corrected.
    correction : Path
        Model file of the correction, beside which the file of parts is to lie.
    temperature : float
        Of the fit, in K.
    known : collection of str
        Properties of the potential.
    """
    own = _quoted(_seen_from(correction.parent, model))
    lines = [
        f"# Te PIGS: {model} with the mean force of centroids at {temperature:g} K, for classical dynamics (one bead).",
        "# Dipole and polarizability are those of the potential, at the centroid.",
        f"[{ENERGY}]",
        f"models = [{own}, {_quoted(correction.name)}]",
    ]
    for name in quantities():
        if name != ENERGY and name in known:
            lines += ["", f"[{name}]", f"model = {own}"]
    return "\n".join(lines) + "\n"


def write_parts(path: Path, model: str, correction: Path, temperature: float, known: Collection[str]) -> None:
    """Write the file of parts; see `parts_file`."""
    write_text(path, parts_file(model, correction, temperature, known))


def _seen_from(folder: Path, model: str) -> str:
    """Name of a model in a file that lies in a folder."""
    return os.path.relpath(model, folder or Path()) if os.path.isfile(model) else model


def _quoted(text: str) -> str:
    """A basic string of TOML, whose escapes are those of JSON."""
    return json_text(text).strip()
