"""Units of what is exported: eV, Å, fs, K and GPa, and e; those in which i-PI keeps numbers are its own."""

from __future__ import annotations

import numpy as np

from ...runs.ipi_utilities import unit_to_internal
from ...runs.units import BOHR_PER_ANGSTROM, HARTREE_PER_ELECTRONVOLT

OWN = {  # i-PI's name of the unit that is exported, by i-PI's dimension; of lengths and energies see `runs.units`
    "temperature": "kelvin",
    "pressure": "gigapascal",
    "time": "femtosecond",
    "density": "g/cm3",
}
LABELS = {
    "energy": "eV",
    "length": "Å",
    "volume": "Å³",
    "force": "eV/Å",
    "velocity": "Å/fs",
    "temperature": "K",
    "pressure": "GPa",
    "time": "fs",
    "density": "g/cm³",
}
FAMILIES = {  # i-PI's dimension of those properties of a step that are exported
    "step": "undefined",
    "time": "time",
    "temperature": "temperature",
    "density": "density",
    "volume": "volume",
    "conserved": "energy",
    "interaction_energy": "energy",
    "ensemble_temperature": "temperature",
    "ensemble_pressure": "pressure",
    "ensemble_bias": "energy",
    "potential": "energy",
    "bead_potentials": "energy",
    "pot_component": "energy",
    "pot_component_raw": "energy",
    "spring": "energy",
    "kinetic_md": "energy",
    "kinetic_cv": "energy",
    "kinetic_td": "energy",
    "pressure_md": "pressure",
    "pressure_cv": "pressure",
    "r_gyration": "length",
}


def in_own_unit(values: np.ndarray, family: str, unit: str = "automatic") -> np.ndarray:
    """Numbers in the unit that is exported.

    Parameters
    ----------
    values : ndarray
    family : str
        i-PI's dimension.
    unit : str
        i-PI's name of the unit that they are in; by default its internal one.
    """
    if family == "undefined":
        return values
    inside = float(unit_to_internal(family, unit, 1.0))
    bohr, hartree = BOHR_PER_ANGSTROM, HARTREE_PER_ELECTRONVOLT
    own = {
        "length": bohr,
        "volume": bohr**3,
        "energy": hartree,
        "force": hartree / bohr,
        "velocity": bohr / float(unit_to_internal("time", "femtosecond", 1.0)),
    }
    if family in OWN:
        own[family] = float(unit_to_internal(family, OWN[family], 1.0))
    return values * (inside / own[family])
