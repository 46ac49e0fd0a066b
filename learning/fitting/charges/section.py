"""What a fit is told of charges: the section ``[charges]``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from ....quantity import UniformSettings
from ....schema import about

ELEMENTS = {"propertyNames": {"pattern": "^[A-Z][a-z]?$"}}


@dataclass(frozen=True)
class ChargeSettings(UniformSettings):
    """Charges of atoms, which act on each other beyond the cutoff; see `beadwise.model.charges`."""

    l_max: Annotated[
        int,
        about("Highest angular momentum that the head of the charges uses, at most that of the density.", ge=0, le=6),
    ] = 4
    ridge: Annotated[
        float,
        about("Strength of the regularisation, as in the sections of quantities.", ge=0),
    ] = 1e-5
    radial_decay: Annotated[float, about("As in the sections of quantities.", ge=0)] = 1.0
    kind: Annotated[
        Literal["plain", "transfers", "equilibration"],
        about(
            "`plain`: the head gives charges, and their mean is shifted to the total charge. `transfers`: differences "
            "of electronegativities move charge between near atoms, so that none is made or lost. `equilibration`: "
            "charges are at the minimum of an energy with electronegativities, hardnesses and the Coulomb interaction."
        ),
    ] = "equilibration"
    energy: Annotated[
        Literal["", "none", "coulomb", "equilibration"],
        about(
            "Which energy charges add to that of the heads: `none`, `coulomb`, that of Gaussian charges, or "
            "`equilibration`, the whole energy whose minimum the charges are. If it is empty, `equilibration` where "
            "the kind is that, else `coulomb`."
        ),
    ] = ""
    widths: Annotated[
        dict[str, Annotated[float, about("", unit="Å", gt=0)]],
        about(
            "Width σ of the Gaussian charge of each species; by default its covalent radius.", unit="Å", more=ELEMENTS
        ),
    ] = field(default_factory=dict)
    hardness: Annotated[
        dict[str, Annotated[float, about("", unit="eV/e²", ge=0)]],
        about(
            "Hardness J of each species, of equilibration; those that are not given are fitted by leaving frames out.",
            unit="eV/e²",
            more=ELEMENTS,
        ),
    ] = field(default_factory=dict)
    formal: Annotated[
        dict[str, Annotated[float, about("", unit="e")]],
        about("Charge of each species before any transfer; 0 where nothing is said.", unit="e", more=ELEMENTS),
    ] = field(default_factory=dict)
    reach: Annotated[
        float, about("How far apart atoms are that exchange charge, of transfers.", unit="Å", gt=0, le=20)
    ] = 3.0
    groups: Annotated[
        Literal["cell", "molecules"],
        about("What has a total charge, of plain charges: the cell, or each molecule (`repeating_unit`), which is 0."),
    ] = "cell"
    dipole_weight: Annotated[
        float,
        about(
            "What an error of a dipole counts: over 1 Å and the root of the number of atoms, beside errors of charges.",
            ge=0,
        ),
    ] = 1.0
    network: Annotated[
        bool,
        about(
            "If true, the network of `[equivariant]` gives the charges, and they are trained together with its local "
            'vectors on dipoles and Born charges. It needs `kind = "plain"`, `energy = "none"` and a `[dipole]` that '
            "the network gives; labels of charges are not fitted then."
        ),
    ] = False

    @property
    def of_energy(self) -> str:
        """Which energy charges have."""
        return self.energy or ("equilibration" if self.kind == "equilibration" else "coulomb")
