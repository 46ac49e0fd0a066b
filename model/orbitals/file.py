"""The file of a Hamiltonian: arrays and JSON metadata in one ``.safetensors`` file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ...reading import refusing
from ..arrays.container import Container
from ..errors import ModelFileError
from ..radial import RadialForm
from .atom_arrays import arrays_of, density_from, described_density, refuse_no_elements, surroundings_from
from .basis import OrbitalBasis
from .blocks import blocks_of
from .charge import charge_of_metadata
from .hamiltonian import BlockModel, Weights
from .model import HamiltonianModel
from .pair_functions import PairFunctions

FORMAT, VERSION = "beadwise hamiltonian", 1
MEMBERS = "members"
CONTAINER = Container(
    FORMAT, "file of a Hamiltonian", (VERSION,),
    "is no file of a Hamiltonian; `beadwise fit` with a section [hamiltonian] makes one",
)  # fmt: skip


def save_hamiltonian(model: HamiltonianModel, path: str | Path) -> None:
    """Write a Hamiltonian; whatever ends the program, there is never half of it."""
    parts = {"hamiltonian": model.hamiltonian} | ({"overlap": model.overlap} if model.overlap else {})
    arrays = arrays_of(model.hamiltonian.density, model.hamiltonian.surroundings)
    for name, part in parts.items():
        for block, weights in part.weights.items():
            arrays |= _arrays_of(f"{name}.{block.name}", weights)
        for block, weights in part.deviations.items():
            arrays |= _arrays_of(f"{name}.{block.name}.{MEMBERS}", weights)
    basis, density = model.hamiltonian.basis, model.hamiltonian.density
    description: dict[str, Any] = {
        "format_version": VERSION,
        "units": {"energy": "eV", "length": "Å"},
        "shells": {str(number): list(own) for number, own in basis.shells.items()},
        "electrons": {str(number): own for number, own in basis.electrons.items()},
        **described_density(density),
        "few": model.hamiltonian.few,
        "pairs": {name: _described(part.pairs) for name, part in parts.items()},
        "metadata": dict(model.metadata),
        **({MEMBERS: {"count": model.members, "calibration": model.calibration}} if model.members else {}),
    }
    CONTAINER.write(path, description, arrays)


def load_hamiltonian(path: str | Path, threads: int = 1, charge: float | None = None) -> HamiltonianModel:
    """Read a Hamiltonian.

    Parameters
    ----------
    path : str or Path
    threads : int
        Threads for the density.
    charge : float, optional
        Of the molecules, in e; by default that of the molecules that it was fitted to.

    Raises
    ------
    ModelFileError
        If there is no such file, or it is damaged or of an unknown version.
    """
    path = Path(path)
    description, arrays = CONTAINER.read(path)
    with refusing(ModelFileError, f"the Hamiltonian {path} cannot be used"):
        return _assembled(description, arrays, threads, charge)


def _arrays_of(name: str, weights: Weights) -> dict[str, np.ndarray]:
    return {f"{name}.ours": weights.ours, f"{name}.theirs": weights.theirs}


def _weights_from(name: str, arrays: Mapping[str, np.ndarray]) -> Weights:
    return Weights(arrays[f"{name}.ours"], arrays[f"{name}.theirs"])


def _described(pairs: PairFunctions) -> dict[str, Any]:
    return {"form": asdict(pairs.form), "radial": pairs.radial, "l_max": pairs.l_max}


def _assembled(
    description: Mapping[str, Any], arrays: Mapping[str, np.ndarray], threads: int, charge: float | None
) -> HamiltonianModel:
    basis = OrbitalBasis(
        {int(number): tuple(map(int, own)) for number, own in description["shells"].items()},
        {int(number): float(own) for number, own in description["electrons"].items()},
    )
    refuse_no_elements(basis.numbers, "shells")
    density = density_from(description, arrays, basis.numbers, threads)
    surroundings = {number: surroundings_from(number, arrays, density) for number in basis.numbers}
    parts, members = {}, description.get(MEMBERS, {})
    if not 0 < (calibration := float(members.get("calibration", 1.0))) < np.inf:
        raise ValueError(f"the calibration of the members is {calibration}; a finite number above 0 is needed")
    for name, own in description["pairs"].items():
        pairs = PairFunctions(RadialForm(**own["form"]), int(own["radial"]), int(own["l_max"]))
        blocks = {block: f"{name}.{block.name}" for block in blocks_of(basis)}
        weights = {block: _weights_from(own_name, arrays) for block, own_name in blocks.items()}
        deviations = {block: _weights_from(f"{one}.{MEMBERS}", arrays) for block, one in blocks.items() if members}
        of_atoms = surroundings if name == "hamiltonian" else {}
        few = int(description["few"]) if of_atoms else 0
        parts[name] = BlockModel(basis, density, of_atoms, pairs, few, weights, deviations)
        parts[name].check()
        if parts[name].members != int(members.get("count", 0)):
            raise ValueError(f"{name} has {parts[name].members} members; {members['count']} are needed")
    charge_of_metadata(description["metadata"])
    return HamiltonianModel(parts["hamiltonian"], parts.get("overlap"), description["metadata"], charge, calibration)
