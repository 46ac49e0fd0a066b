"""What files of Hamiltonians and of electron densities keep of the density of neighbours, and how it is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from ...pyx.tensor_head import DensityShape
from ..model import Model, Repulsion
from ..outputs import empty_head
from ..radial import RadialBasis, RadialForm
from .coupled import Part
from .surroundings import ONE, Surroundings

MEANS = ("channel_means", "product_means")


def refuse_no_elements(numbers: Iterable[int], what: str) -> None:
    """Raise ValueError for numbers that are no atomic numbers; ``what`` a file has of each."""
    for number in numbers:
        if not 0 < number < len(chemical_symbols):
            raise ValueError(f"{what} of the atomic number {number}; allowed are 1 to {len(chemical_symbols) - 1}")


def described_density(density: Model) -> dict[str, Any]:
    """What a description says of a density of neighbours."""
    return {
        "l_max": density.l_max,
        "groups": list(density.groups),
        "radial_form": asdict(density.radial.form),
    }


def arrays_of(density: Model, surroundings: Mapping[int, Surroundings]) -> dict[str, np.ndarray]:
    """Arrays of a density of neighbours and of what atoms keep of it."""
    arrays: dict[str, np.ndarray] = {"radial.coefficients": density.radial.coefficients}
    for number, own in surroundings.items():
        arrays |= {f"{number}.channels.{_of(part)}": one for part, one in own.channels.items()}
        arrays |= {f"{number}.products.{_of(part)}": one for part, one in own.products.items()}
        arrays |= {f"{number}.{name}": getattr(own, name) for name in MEANS}
    return arrays


def density_from(
    description: Mapping[str, Any], arrays: Mapping[str, np.ndarray], numbers: tuple[int, ...], threads: int
) -> Model:
    """A model of nothing but a density of neighbours."""
    coefficients, l_max = arrays["radial.coefficients"], int(description["l_max"])
    groups = tuple(int(group) for group in description["groups"])
    shape = DensityShape(len(numbers), coefficients.shape[3], l_max, max(groups) + 1)
    radial = RadialBasis(RadialForm(**description["radial_form"]), coefficients)
    nothing = Repulsion(np.zeros((len(numbers), len(numbers))), 1.0)
    return Model(numbers, l_max, radial, {"energy": empty_head(0, shape)}, nothing, groups=groups, threads=threads)


def surroundings_from(number: int, arrays: Mapping[str, np.ndarray], density: Model) -> Surroundings:
    """What atoms of one species keep of their density.

    Raises
    ------
    ValueError
        If arrays do not fit it.
    """
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
    return Surroundings(found["channels"], found["products"], *(arrays[f"{number}.{name}"] for name in MEANS))


def _of(part: Part) -> str:
    return f"{part[0]}.{'even' if part[1] > 0 else 'odd'}"
