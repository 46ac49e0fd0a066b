"""The file of a Hamiltonian: arrays and JSON metadata in one ``.safetensors`` file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from ...pyx.tensor_head import DensityShape
from ...reading import refusing
from ..arrays.container import Container
from ..errors import ModelFileError
from ..model import Model, Repulsion
from ..outputs import empty_head
from ..radial import RadialBasis, RadialForm
from .basis import OrbitalBasis
from .blocks import blocks_of
from .coupled import Part
from .hamiltonian import BlockModel, Weights
from .model import HamiltonianModel
from .pair_functions import PairFunctions
from .surroundings import ONE, Surroundings

FORMAT, VERSION = "beadwise hamiltonian", 1
CONTAINER = Container(
    FORMAT, "file of a Hamiltonian", (VERSION,),
    "is no file of a Hamiltonian; `beadwise fit` with a section [hamiltonian] makes one",
)  # fmt: skip
ARRAYS = ("channels", "products", "channel_means", "product_means")


def save_hamiltonian(model: HamiltonianModel, path: str | Path) -> None:
    """Write a Hamiltonian; whatever ends the program, there is never half of it."""
    parts = {"hamiltonian": model.hamiltonian} | ({"overlap": model.overlap} if model.overlap else {})
    arrays: dict[str, np.ndarray] = {"radial.coefficients": model.hamiltonian.density.radial.coefficients}
    for number, own in model.hamiltonian.surroundings.items():
        arrays |= {f"{number}.channels.{_of(part)}": one for part, one in own.channels.items()}
        arrays |= {f"{number}.products.{_of(part)}": one for part, one in own.products.items()}
        arrays |= {f"{number}.{name}": getattr(own, name) for name in ARRAYS[2:]}
    for name, part in parts.items():
        for block, weights in part.weights.items():
            arrays |= {f"{name}.{block.name}.ours": weights.ours, f"{name}.{block.name}.theirs": weights.theirs}
    basis, density = model.hamiltonian.basis, model.hamiltonian.density
    description: dict[str, Any] = {
        "format_version": VERSION,
        "units": {"energy": "eV", "length": "Å"},
        "shells": {str(number): list(own) for number, own in basis.shells.items()},
        "electrons": {str(number): own for number, own in basis.electrons.items()},
        "l_max": density.l_max,
        "groups": list(density.groups),
        "radial_form": asdict(density.radial.form),
        "few": model.hamiltonian.few,
        "pairs": {name: _described(part.pairs) for name, part in parts.items()},
        "metadata": dict(model.metadata),
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


def _of(part: Part) -> str:
    return f"{part[0]}.{'even' if part[1] > 0 else 'odd'}"


def _described(pairs: PairFunctions) -> dict[str, Any]:
    return {"form": asdict(pairs.form), "radial": pairs.radial, "l_max": pairs.l_max}


def _assembled(
    description: Mapping[str, Any], arrays: Mapping[str, np.ndarray], threads: int, charge: float | None
) -> HamiltonianModel:
    basis = OrbitalBasis(
        {int(number): tuple(map(int, own)) for number, own in description["shells"].items()},
        {int(number): float(own) for number, own in description["electrons"].items()},
    )
    for number in basis.numbers:
        if not 0 < number < len(chemical_symbols):
            raise ValueError(f"shells of the atomic number {number}; allowed are 1 to {len(chemical_symbols) - 1}")
    density = _density(description, arrays["radial.coefficients"], basis, threads)
    surroundings = {number: _surroundings(number, arrays, density) for number in basis.numbers}
    parts = {}
    for name, own in description["pairs"].items():
        pairs = PairFunctions(RadialForm(**own["form"]), int(own["radial"]), int(own["l_max"]))
        weights = {
            block: Weights(arrays[f"{name}.{block.name}.ours"], arrays[f"{name}.{block.name}.theirs"])
            for block in blocks_of(basis)
        }
        of_atoms = surroundings if name == "hamiltonian" else {}
        few = int(description["few"]) if of_atoms else 0
        parts[name] = BlockModel(basis, density, of_atoms, pairs, few, weights)
        parts[name].check()
    return HamiltonianModel(parts["hamiltonian"], parts.get("overlap"), description["metadata"], charge)


def _density(description: Mapping[str, Any], coefficients: np.ndarray, basis: OrbitalBasis, threads: int) -> Model:
    numbers, l_max = basis.numbers, int(description["l_max"])
    groups = tuple(int(group) for group in description["groups"])
    shape = DensityShape(len(numbers), coefficients.shape[3], l_max, max(groups) + 1)
    radial = RadialBasis(RadialForm(**description["radial_form"]), coefficients)
    nothing = Repulsion(np.zeros((len(numbers), len(numbers))), 1.0)
    return Model(numbers, l_max, radial, {"energy": empty_head(0, shape)}, nothing, groups=groups, threads=threads)


def _surroundings(number: int, arrays: Mapping[str, np.ndarray], density: Model) -> Surroundings:
    found: dict[str, dict[Part, np.ndarray]] = {"channels": {}, "products": {}}
    for name, own in found.items():
        for order in range(density.l_max + 1):
            for parity in (1, -1):
                key = f"{number}.{name}.{_of((order, parity))}"
                if key in arrays:
                    own[order, parity] = arrays[key]
    wrong = [own.shape for own in found["channels"].values() if own.ndim != 2 or len(own) != density.shape.channels]
    if wrong or ONE not in found["channels"]:
        raise ValueError(f"channels of species {number} have shapes {wrong}; {density.shape.channels} rows are needed")
    return Surroundings(found["channels"], found["products"], *(arrays[f"{number}.{name}"] for name in ARRAYS[2:]))
