"""The section [lode] of a fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from ....potentials.lode.settings import EXPONENTS
from ....schema import about


@dataclass(frozen=True)
class LodeSettings:
    """Potentials 1/r^p of all atoms, which the linear energy reads beside the density of neighbours.

    See `beadwise.potentials.lode`.  In a periodic cell, all images are in them.
    """

    exponents: Annotated[
        list[int],
        about(f"Exponents p of 1/r^p, out of {', '.join(map(str, EXPONENTS))}: 1 for charges, 6 for dispersion."),
    ] = field(default_factory=lambda: [1])
    smearing: Annotated[
        float,
        about("Nearer than some of it potentials are smooth; half of it costs eight times as much.", gt=0.3, unit="Å"),
    ] = 1.5
    radius: Annotated[
        float, about("Of the sphere around an atom in which potentials are looked at.", gt=0.5, unit="Å")
    ] = 3.0
    radial: Annotated[int, about("Number of radial functions in that sphere.", ge=1, le=8)] = 1
    l_max: Annotated[int, about("Highest angular momentum of the potentials and the density.", ge=0, le=6)] = 1
    neighbours: Annotated[
        int, about("Number of radial functions of the density that potentials are multiplied with.", ge=1, le=8)
    ] = 3
