"""The section [lode] of a fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from ....potentials.lode.settings import EXPONENTS
from ....schema import about

MOST_IN_MOLECULE = 1000  # atoms


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
    charges: Annotated[
        dict[str, Annotated[float, about("", unit="e")]],
        about(
            "Charges of molecules by their formulas, as `C2H6 = 0`: far from each other, two of them that a training "
            "frame has together have the energy of these charges and no other that falls with 1/r. Molecules are what "
            "bonds hold together, up to 1.3 times the sum of covalent radii. It needs the exponent 1.",
            unit="e",
        ),
    ] = field(default_factory=dict)
    charge_error: Annotated[
        float, about("How well these charges are known, beside what the training says.", gt=0, unit="e")
    ] = 1e-4
