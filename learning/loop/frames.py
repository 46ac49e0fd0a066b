"""Frames of active learning: the start that is drawn, labels that are set aside, and how both are written."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import ase.io
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator

from ..data import Frame, iterate_frames, labels, read_frames, require_files, split
from ..data.frame import QUANTUM
from .configuration import LearnConfiguration
from .state import LearnError, write_whole

TRAIN, VALIDATION, INDEPENDENT = "train.xyz", "validation.xyz", "independent.xyz"
OF_CALCULATOR = ("energy", "forces", "stress", "dipole")  # what ASE writes of a calculator, and we read
OTHER_ZERO = 0.5  # eV per atom, a hundred times the energy error of a first model
SPREADS = 3.0  # standard deviations over the frames that a difference must have to be the same for all


def draw_start(settings: LearnConfiguration) -> None:
    """Draw the start frames, and write them, the part that is set aside and the independent ones into the folder.

    Raises
    ------
    DataError
        If a file is missing or cannot be used.
    LearnError
        If there are too few frames.
    """
    start, base = settings.start, settings.base
    files = [base / name for name in start.frames]
    others = [base / name for name in start.independent]
    require_files([*files, *others])
    frames = read_frames(files, start.reading)
    count = start.count or len(frames)
    if count > len(frames):
        raise LearnError(f"count = {count} in [start], but its files hold {len(frames)} frames")
    places = set(np.random.default_rng(start.seed).permutation(len(frames))[:count].tolist())
    drawn = [frame for place, frame in enumerate(frames) if place in places]
    train, validation = split(drawn, start.validation, start.seed)
    if not validation:
        raise LearnError(
            f"validation = {start.validation} of {count} start frames is none; at least one is needed to calibrate"
        )
    names = {(frame.source, frame.index) for frame in drawn}
    independent = [frame for frame in iterate_frames(others, start.reading) if (frame.source, frame.index) not in names]
    for name, own in ((TRAIN, train), (VALIDATION, validation), (INDEPENDENT, independent)):
        if own:
            write_frames(settings.folder / name, own)
        else:
            (settings.folder / name).unlink(missing_ok=True)  # of an earlier attempt


def split_labels(frames: Sequence[Frame], fraction: float, seed: int) -> tuple[list[Frame], list[Frame]]:
    """Set aside a part of a round's labels as `beadwise.learning.data.split` does, but never all of them."""
    if round(fraction * len(frames)) == len(frames):
        return list(frames), []
    return split(frames, fraction, seed)


def check_zero(differences: np.ndarray, shift_per_atom: float = 0.0) -> None:
    """See whether labels have the zero of energy of the model, and so of the start frames.

    Errors of a model differ from frame to frame, and are far below `OTHER_ZERO`.  Another zero is the same for all.

    Parameters
    ----------
    differences : ndarray of float64, shape (frames,)
        Label minus model in eV per atom; of one nothing can be told.
    shift_per_atom : float
        In eV, that the labels contain.

    Raises
    ------
    LearnError
        With a shift that is about right.
    """
    if len(differences) < 2:
        return
    mean, spread = float(np.mean(differences)), float(np.std(differences))
    if abs(mean) > max(OTHER_ZERO, SPREADS * spread):
        raise LearnError(
            f"energies of the reference differ by {mean:+.4g} eV per atom from those of the model, nearly the same for "
            f"all {len(differences)} frames: their zero is not that of the start frames; set it in [label] by "
            f"species_shifts, or by shift_per_atom, of which {shift_per_atom - mean:.3f} is about right; labels are "
            "kept"
        )


def write_frames(path: Path, frames: Sequence[Frame]) -> None:
    """Write frames with their labels as extended xyz, whole or not at all."""
    text = io.StringIO()
    for frame in frames:
        atoms = frame.atoms.copy()
        results = {name: label for name, label in frame.labels.items() if name in OF_CALCULATOR}
        if results:
            atoms.calc = SinglePointCalculator(atoms, **results)
        for name in frame.labels.keys() - results.keys():
            if labels()[name].per == "atom":
                atoms.arrays[name] = frame.labels[name].reshape(len(atoms), -1)
            else:
                atoms.info[name] = frame.labels[name].ravel()
        if frame.quantum is not None:
            vectors = np.zeros(
                (3, 3)
            )  # where there are less, zeros; nothing else where the dipole is known as it stands
            vectors[: len(frame.quantum)] = frame.quantum
            atoms.info[QUANTUM] = vectors.ravel()
        ase.io.write(text, atoms, format="extxyz")
    write_whole(path, text.getvalue())
