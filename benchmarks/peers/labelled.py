"""The frames that peers are fitted to and compared on, and the record that a fit leaves beside its model."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import read


def options(description: str | None, **more: Any) -> argparse.Namespace:
    """Files and folder of a fit; *more* are further options and their defaults."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--train", type=Path, required=True, help="labelled frames, extxyz")
    parser.add_argument("--valid", type=Path, required=True, help="frames that are compared on and never fitted")
    parser.add_argument("--folder", type=Path, required=True, help="where the model and its record are written")
    for name, default in more.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    return chosen


def frames(path: Path) -> list[Atoms]:
    """Labelled frames."""
    return read(path, ":")


def energies(structures: Sequence[Atoms]) -> np.ndarray:
    """Labels, eV."""
    return np.array([atoms.get_potential_energy() for atoms in structures])


def forces(structures: Sequence[Atoms]) -> np.ndarray:
    """Labels of all atoms of all structures, eV/Å."""
    return np.concatenate([atoms.get_forces() for atoms in structures])


def force_error(structures: Sequence[Atoms], predict: Callable[[Atoms], np.ndarray]) -> float:
    """Root mean square error of the components of forces, meV/Å."""
    predicted = np.concatenate([predict(atoms) for atoms in structures])
    return float(1e3 * np.sqrt(np.mean((predicted - forces(structures)) ** 2)))


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    return {package: metadata.version(package) for package in packages}


class Record:
    """What a fit was, how long it took and how it went, in record.json beside its model."""

    def __init__(self, chosen: argparse.Namespace, settings: dict[str, Any], packages: tuple[str, ...], solved: bool):
        self.path = chosen.folder / "record.json"
        self.start = process_time(), perf_counter()
        files = {"train": chosen.train, "valid": chosen.valid}
        self.content: dict[str, Any] = {
            "solved": solved,  # with all frames; otherwise a part of them, or a training that was stopped
            "settings": settings,
            "versions": versions(packages),
            "threads": os.environ.get("OMP_NUM_THREADS", "not limited"),
            "data": {
                name: {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
                for name, path in files.items()
            },
            "curve": [],
        }

    def note(self, **values: float) -> None:
        """Write the record, with one more point of the learning curve; times are those of the whole process."""
        minutes = {
            "processor_minutes": (process_time() - self.start[0]) / 60,
            "wall_minutes": (perf_counter() - self.start[1]) / 60,
        }
        self.content["curve"].append({key: float(f"{value:.5g}") for key, value in (minutes | values).items()})
        self.path.write_text(json.dumps(self.content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(self.content["curve"][-1], flush=True)
