"""Arrays of ``numpy.savez`` with an axis of steps and one of beads, written without holding them all in memory."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .extended_xyz import own_masses
from .frames import Frame, FramesOfSystem


def write(frames: FramesOfSystem, shown: Iterable[Frame], path: Path) -> None:
    """Write ``numbers``, ``steps``, ``times`` (fs), ``beads``, ``positions``, ``cells`` and all else by its name.

    Arrays of structures have the axes (steps, beads, …), that of a centroid one bead, −1.
    """
    first = frames.sample()
    arrays = {"positions": first.positions, "cells": first.cell, **first.values, **first.of_atoms}
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".beadwise-export-") as folder:
        files: dict[str, tuple[str, np.memmap]] = {}
        for name, sample in arrays.items():
            shape = (len(frames.steps), frames.per_step, *np.shape(sample))
            file = os.path.join(folder, f"{len(files)}.npy")
            files[name] = file, np.lib.format.open_memmap(file, mode="w+", dtype=np.float64, shape=shape)
        for number, frame in enumerate(shown):
            place = divmod(number, frames.per_step)
            own = {"positions": frame.positions, "cells": frame.cell, **frame.values, **frame.of_atoms}
            for name, (_, array) in files.items():
                array[place] = own[name]
        for _, array in files.values():
            array.flush()
        with zipfile.ZipFile(path, "w", allowZip64=True) as packed:
            for name, values in _of_all(frames).items():
                with packed.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, values)
            for name, (file, _) in files.items():
                packed.write(file, f"{name}.npy")


def _of_all(frames: FramesOfSystem) -> dict[str, np.ndarray]:
    """What is the same for all structures, and what tells them."""
    system = frames.system
    found = {
        "numbers": frames.numbers,
        "steps": frames.steps,
        "beads": np.array(frames.selection.beads or (-1,)),
    }
    if system.timestep is not None:
        found["times"] = frames.steps * system.timestep
    if (masses := own_masses(frames)) is not None:
        found["masses"] = masses
    return found
