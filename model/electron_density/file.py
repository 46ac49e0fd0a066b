"""The file of an electron density: arrays and JSON metadata in one ``.safetensors`` file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...reading import refusing, shown
from ..arrays.container import Container
from ..errors import ModelFileError
from ..orbitals.atom_arrays import arrays_of, density_from, described_density, refuse_no_elements, surroundings_from
from ..orbitals.charge import charge_of_metadata
from .basis import AuxiliaryBasis, Shell
from .integrals import METRICS
from .model import DensityModel

FORMAT, VERSION = "beadwise electron density", 1
CONTAINER = Container(
    FORMAT, "file of an electron density", (VERSION,),
    "is no file of an electron density; `beadwise fit` with a section [electron_density] makes one",
)  # fmt: skip


def save_density(model: DensityModel, path: str | Path) -> None:
    """Write a density; whatever ends the program, there is never half of it."""
    arrays = arrays_of(model.density, model.surroundings)
    arrays |= {f"{number}.weights.{order}": own for (number, order), own in model.weights.items()}
    basis = model.basis
    description: dict[str, Any] = {
        "format": FORMAT,
        "format_version": VERSION,
        "units": {"length": "Å", "exponents": "bohr^-2", "coefficients": "bohr^-3/2"},
        "functions": {
            str(number): [
                {"l": shell.momentum, "exponents": list(shell.exponents), "contraction": list(shell.contraction)}
                for shell in own
            ]
            for number, own in basis.shells.items()
        },
        "electrons": {str(number): own for number, own in basis.electrons.items()},
        "metric": model.metric,
        "few": model.few,
        **described_density(model.density),
        "metadata": dict(model.metadata),
    }
    CONTAINER.write(path, description, arrays)


def load_density(path: str | Path, threads: int = 1, charge: float | None = None) -> DensityModel:
    """Read a density.

    Parameters
    ----------
    path : str or Path
    threads : int
        Threads for the density of neighbours.
    charge : float, optional
        Of the molecules, in e; by default that of the molecules that it was fitted to.

    Raises
    ------
    ModelFileError
        If there is no such file, or it is damaged or of an unknown version.
    """
    path = Path(path)
    description, arrays = CONTAINER.read(path)
    with refusing(ModelFileError, f"the electron density {path} cannot be used"):
        return _assembled(description, arrays, threads, charge)


def _assembled(
    description: Mapping[str, Any], arrays: Mapping[str, np.ndarray], threads: int, charge: float | None
) -> DensityModel:
    refuse_no_elements(map(int, description["functions"]), "functions")
    basis = AuxiliaryBasis(
        {
            int(number): tuple(
                Shell(int(one["l"]), tuple(map(float, one["exponents"])), tuple(map(float, one["contraction"])))
                for one in own
            )
            for number, own in description["functions"].items()
        },
        {int(number): float(own) for number, own in description["electrons"].items()},
    )
    if description["metric"] not in METRICS:
        raise ValueError(f"the metric is {shown(description['metric'])}; allowed are {', '.join(METRICS)}")
    density = density_from(description, arrays, basis.numbers, threads)
    surroundings = {number: surroundings_from(number, arrays, density) for number in basis.numbers}
    weights = {
        (number, order): arrays[f"{number}.weights.{order}"]
        for number in basis.numbers
        for order in sorted(set(basis.momenta(number)))
    }
    few, metadata = int(description["few"]), dict(description["metadata"])
    charge_of_metadata(metadata)
    model = DensityModel(basis, density, surroundings, few, weights, description["metric"], metadata, charge)
    model.check()
    return model
