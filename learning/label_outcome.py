"""One label computed and kept, wherever that happens."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms

from .label_files import checked_labels, keep_failure, keep_label
from .label_settings import LabelError
from .references import Reference


@dataclass(frozen=True)
class Outcome:
    """What came of one label.

    Parameters
    ----------
    key : str
        Of `beadwise.learning.label_files.label_key`.
    labels : dict of str to ndarray of float64, or None
        What the reference said; None if it failed.
    reason : str
        Why it failed.
    seconds : float
        That it took.
    """

    key: str
    labels: dict[str, np.ndarray] | None
    reason: str
    seconds: float


def label_and_keep(reference: Reference, folder: Path, key: str, atoms: Atoms) -> Outcome:
    """Compute one label and write it, or why there is none, to the folder.

    Parameters
    ----------
    reference : Reference
    folder : Path
        Where labels are kept.
    key : str
        Name of this one.
    atoms : ase.Atoms
    """
    began = time.monotonic()
    try:
        labels = checked_labels(atoms, reference.label(atoms))
        seconds = time.monotonic() - began
        keep_label(folder, key, atoms, labels, seconds)
    except LabelError as error:
        keep_failure(folder, key, atoms, str(error), error.details)
        return Outcome(key, None, str(error), time.monotonic() - began)
    return Outcome(key, labels, "", seconds)
