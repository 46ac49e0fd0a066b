"""The model as an ASE calculator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator as AseCalculator
from ase.calculators.calculator import all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from ..properties import quantities
from .evaluators import load
from .response import Evaluator, Response
from .structures import Batch


def ase_names() -> dict[str, tuple[str, ...]]:
    """What ASE calls the properties that it may ask for."""
    named = {name: (one.ase,) for name, one in quantities.properties().items() if one.ase}
    return named | {"energy": ("energy", "free_energy")}


def is_on_demand(name: str) -> bool:
    """Whether a property is evaluated only once it is asked for: derivatives of quantities, and parts of molecules."""
    one = quantities.properties()[name]
    return name != "forces" and (one.kind == "derivative" or one.per == "molecule")


class Calculator(AseCalculator):
    """ASE calculator of anything that evaluates a batch of beads.

    Besides ASE's own ``energy`` (eV), ``forces`` (eV/Å), ``stress`` (eV/Å³, Voigt order) and ``dipole`` (e·Å), its
    results hold ``polarizability``, shape (3, 3) in Å³, and, once asked for, ``born_effective_charges``, shape
    (atoms, 3, 3) in e, row displacement, column dipole component, and ``polarizability_derivatives``, shape (atoms, 3,
    3, 3) in Å², displacement first: ``calculator.get_property("born_effective_charges", atoms)``.  In the same way
    ``molecular_dipole``, shape (molecules, 3) in e·Å, ``molecular_polarizability``, shape (molecules, 3, 3) in Å³, and
    ``molecular_position``, shape (molecules, 3) in Å, of a model that names its molecule.

    Parameters
    ----------
    model : Evaluator, str or Path
        What evaluates, or the name of a shipped model or a model file to load.
    **parameters
        Passed on to ASE's calculator.

    Raises
    ------
    ModelFileError
        If the model cannot be loaded.
    """

    def __init__(self, model: Evaluator | str | Path, **parameters: Any):
        self.evaluator = load(model) if isinstance(model, (str, Path)) else model
        self.implemented_properties = [
            name for own, names in ase_names().items() if own in self.evaluator.properties for name in names
        ]
        super().__init__(**parameters)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Evaluate everything the model provides; derivatives and parts of dipole and polarizability on demand.

        Parameters
        ----------
        atoms : ase.Atoms, optional
            Structure; the last one if not given.
        properties : sequence of str
            ASE's names of what is asked for.
        system_changes : sequence of str
            What changed since the last calculation.

        Raises
        ------
        StructureError
            If the model cannot answer for the structure.
        """
        super().calculate(atoms, list(properties), list(system_changes))
        asked = set(properties)
        names = ase_names()
        known = [name for name in self.evaluator.properties if name in names]  # a committee has more than ASE asks for
        want = [name for name in known if not is_on_demand(name) or names[name][0] in asked]
        response = self.evaluator.evaluate(Batch.from_ase(self.atoms), want)
        self.results = _to_ase(response, self.atoms)


def _to_ase(response: Response, atoms: Atoms) -> dict[str, Any]:
    """Results of the only bead, in ASE's names and conventions."""
    results: dict[str, Any] = {}
    names = ase_names()
    for own in response.names:
        value = response[own][0]
        if own == "energy":
            value = float(value)
        elif own == "virial":
            if atoms.cell.rank < 3:
                continue  # no volume, no stress
            value = full_3x3_to_voigt_6_stress(-value / atoms.get_volume())
        results |= {name: np.copy(value) if isinstance(value, np.ndarray) else value for name in names[own]}
    return results
