"""Labels on disk: one extended xyz file for each structure, whole or not at all, and why others failed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms

from ...model.kept_answers import structure_key
from ...model.structures import charge_of_frame
from ...whole_files import write_text
from ..data import DataError, frame_from_ase, labels, read_frames
from .references import Reference
from .settings import LabelError


def label_key(identity: str, atoms: Atoms) -> str:
    """Name a label after everything that it depends on.

    Parameters
    ----------
    identity : str
        Tells the reference from all others.
    atoms : ase.Atoms

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    arrays = ((atoms.numbers, "<i4"), (atoms.positions, "<f8"), (atoms.cell.array, "<f8"), (atoms.pbc, "?"))
    own = (np.asarray(array, dtype=kind) for array, kind in arrays)
    return structure_key(identity, *own, charge=charge_of_frame(atoms))


def bare_copy(atoms: Atoms) -> Atoms:
    """Copy a structure without its calculator and without labels."""
    bare = atoms.copy()
    for name in labels():
        bare.info.pop(name, None)
        bare.arrays.pop(name, None)
    return bare


def label_path(folder: Path, key: str) -> Path:
    """File of a label."""
    return folder / f"{key}.xyz"


def failure_path(folder: Path, key: str) -> Path:
    """File that says why there is no label."""
    return folder / f"{key}.failed.txt"


def keep_label(folder: Path, key: str, atoms: Atoms, labels: Mapping[str, np.ndarray], seconds: float) -> None:
    """Write a label, all digits of it.

    Parameters
    ----------
    folder, key : Path, str
        Where, see `label_path`.
    atoms : ase.Atoms
    labels : mapping of str to ndarray of float64
        As `beadwise.learning.data.Frame` has them.
    seconds : float
        That it took to compute.

    Raises
    ------
    LabelError
        If the file cannot be written.
    """
    _write(label_path(folder, key), _extended_xyz(atoms, labels, seconds))
    with suppress(OSError):
        failure_path(folder, key).unlink(missing_ok=True)


def keep_failure(folder: Path, key: str, atoms: Atoms, reason: str, details: str = "") -> None:
    """Write down why a structure has no label, with the structure.

    Parameters
    ----------
    folder, key : Path, str
        Where, see `failure_path`.
    atoms : ase.Atoms
    reason : str
        One line.
    details : str
        What else is known.
    """
    parts = [reason, *([details] if details else []), "The structure:", _extended_xyz(atoms, {}, 0.0)]
    with suppress(LabelError):  # the reason itself is reported in any case
        _write(failure_path(folder, key), "\n\n".join(parts))


def kept_label(folder: Path, key: str, atoms: Atoms) -> tuple[dict[str, np.ndarray], float] | None:
    """Read a label, and the seconds it took; None if there is none, or what is there is damaged or of something else.

    Parameters
    ----------
    folder, key : Path, str
        Where, see `label_path`.
    atoms : ase.Atoms
        The structure it must be of.
    """
    path = label_path(folder, key)
    if not path.is_file():
        return None
    try:
        frames = read_frames(path)
    except DataError:
        return None
    frame = frames[0]
    same = len(frames) == 1 and np.array_equal(frame.atoms.numbers, atoms.numbers)
    if not same or not np.array_equal(frame.atoms.positions, atoms.positions):
        return None
    seconds = frame.atoms.info.get("seconds")
    if not {"energy", "forces"} <= set(frame.labels) or not isinstance(seconds, (int, float)):
        return None
    return frame.labels, float(seconds)


def checked_labels(atoms: Atoms, labels: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Refuse labels that are missing, of a wrong shape, or not finite.

    Raises
    ------
    LabelError
        Naming the label.
    """
    holder = bare_copy(atoms)
    holder.info.update(labels)
    try:
        frame = frame_from_ase(holder)
    except DataError as error:
        raise LabelError(str(error).replace(" of frame 0 ", " ")) from error
    missing = [name for name in ("energy", "forces") if name not in frame.labels]
    if missing:
        raise LabelError(f"there is no {' and no '.join(missing)}")
    return frame.labels


def _extended_xyz(atoms: Atoms, labels: Mapping[str, np.ndarray], seconds: float) -> str:
    """Write what ASE reads; its own writer keeps eight decimals only."""
    forces = labels.get("forces")
    columns = "species:S:1:pos:R:3" + (":forces:R:3" if forces is not None else "")
    words = [f'Lattice="{_numbers(atoms.cell.array)}"', f"Properties={columns}"]
    words += [f'pbc="{" ".join("FT"[int(periodic)] for periodic in atoms.pbc)}"', f"seconds={seconds:.3f}"]
    for name, label in labels.items():
        if name != "forces":
            words.append(f"{name}={_numbers(label)}" if label.size == 1 else f'{name}="{_numbers(label)}"')
    table = atoms.positions if forces is None else np.hstack([atoms.positions, forces])
    rows = [f"{symbol} {_numbers(row)}" for symbol, row in zip(atoms.symbols, table, strict=True)]
    return "\n".join([str(len(atoms)), " ".join(words), *rows]) + "\n"


def _numbers(array: np.ndarray) -> str:
    """All digits, row by row."""
    return " ".join(repr(float(number)) for number in np.ravel(array))


def _write(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all, also if the machine stops."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text, durable=True)
    except OSError as error:
        raise LabelError(f"it cannot be kept in '{path.parent}': {error.strerror or error}") from error


@dataclass(frozen=True)
class Outcome:
    """What came of one label.

    Parameters
    ----------
    key : str
        Of `beadwise.learning.labels.files.label_key`.
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
