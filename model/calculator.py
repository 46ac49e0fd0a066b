"""Anything that evaluates as a calculator of ASE: models by their names, committees, potentials, the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator as AseCalculator
from ase.calculators.calculator import PropertyNotImplementedError, all_changes, equal
from ase.outputs import Properties, all_outputs
from ase.stress import full_3x3_to_voigt_6_stress

from ..errors import BeadwiseError
from ..properties import quantities
from ..suggestions import did_you_mean
from .charges.images import DIPOLE, has_dipole
from .electric_field import NO_FIELD
from .evaluators import in_field, is_evaluator, load_evaluator
from .response import Evaluator, Response
from .structures import Batch, charge_of_frame

KEYWORDS = ("model", "threads", "electric_field", "trust", "atoms")


class KeywordError(BeadwiseError, TypeError):
    """A keyword that the calculator does not have, or whose value it cannot use."""


class UnavailableError(BeadwiseError, PropertyNotImplementedError):
    """A property that the calculator does not have, or not of this structure; ASE knows it as not implemented."""


def ase_names() -> dict[str, tuple[str, ...]]:
    """What ASE calls all that can be asked for; what has no name of its own there keeps that of `Response`."""
    named = {name: (one.ase or name,) for name, one in quantities.properties().items()}
    return named | {"energy": ("energy", "free_energy"), "virial": ("stress", "virial")}


def is_on_demand(name: str) -> bool:
    """Whether a property is evaluated only once it is asked for.

    These are derivatives of quantities, parts of molecules, and all that members of a committee say, since dynamics
    would be slower for them.
    """
    one = quantities.properties()[name]
    return name not in ("forces", "virial") and (one.kind != "value" or one.per == "molecule")


class Calculator(AseCalculator):
    """ASE calculator of anything that evaluates a batch of beads.

    Besides ASE's own ``energy`` (eV), ``forces`` (eV/Å), ``stress`` (eV/Å³, Voigt order) and ``dipole`` (e·Å), its
    results hold ``polarizability``, shape (3, 3) in Å³, and ``virial``, shape (3, 3) in eV.  The potential has no
    electrons, so ``free_energy`` is the energy.  There is a stress only of a structure that is periodic in all
    directions: of any other, the volume of its cell is a choice, and the virial is what there is.

    Everything else that the model has is evaluated once it is asked for, and then among the results, too:
    ``calculator.get_property("born_effective_charges", atoms)``, shape (atoms, 3, 3) in e, row displacement, column
    dipole component; ``polarizability_derivatives``, shape (atoms, 3, 3, 3) in Å², displacement first;
    ``molecular_dipole``, ``molecular_polarizability`` and ``molecular_position`` of a model that names its molecule;
    and of a model with members or a committee ``energy_uncertainty`` in eV, ``forces_uncertainty``, shape (atoms,) in
    eV/Å, ``envelope_distance``, ``committee_energy``, shape (members,), and all others that `beadwise.model.Response`
    describes, without its first axis.

    Parameters
    ----------
    model : str, Path or Evaluator
        What evaluates: any name that the command line takes, a model file, or what `beadwise.load` returns.
    threads : int, optional
        Threads for an evaluation, by default 1.  An evaluator has its own already.
    electric_field : sequence of float, length 3, optional
        Static field in V/Å that energy, forces and stress are evaluated in; everything else stays what it is without.
    trust : sequence of str
        Baselines that model files may name though they run code, as for `beadwise.load`.
    atoms : ase.Atoms, optional
        Structure that the calculator is attached to.
    **unknown
        Refused.  ASE's ``label``, ``directory`` and ``restart`` are, too, as no file is written or read.

    Raises
    ------
    KeywordError
        If a keyword is unknown, or threads are given with an evaluator.
    BeadwiseError
        As `beadwise.load` does, or if the model has no dipole for a field to act on.
    """

    def __init__(
        self,
        model: Evaluator | str | Path = "",  # so that a misspelt keyword is told, and not that this one is missing
        threads: int | None = None,
        *,
        electric_field: Sequence[float] | None = None,
        trust: Sequence[str] = (),
        atoms: Atoms | None = None,
        **unknown: NoReturn,
    ):
        _refuse_keywords(unknown)
        settings: dict[str, Any]
        if isinstance(model, (str, Path)):
            settings = {"model": str(model), "threads": 1 if threads is None else threads}
            evaluator = load_evaluator(model, settings["threads"], trust)
            settings["threads"] = int(settings["threads"])  # of NumPy, it may be, which no database keeps
        elif not is_evaluator(model):
            raise KeywordError(
                f"model is {model!r:.80}; a name, a path, or what beadwise.load gives is needed; "
                "a calculator of ASE is named ase:MODULE.CLASS"
            )
        elif threads is None:
            settings = {"model": getattr(model, "source", "") or type(model).__name__}
            evaluator = model
            field = getattr(model, "electric_field", NO_FIELD)
            if any(field):
                settings["electric_field"] = list(field)
        else:
            raise KeywordError(
                f"threads = {threads} beside a {type(model).__name__}, which has its own; give them to beadwise.load"
            )
        if electric_field is not None:
            evaluator = in_field(evaluator, electric_field, settings["model"])
            settings["electric_field"] = [float(component) for component in electric_field]
        if atoms is not None and not isinstance(atoms, Atoms):
            raise KeywordError(f"atoms = {atoms!r:.60}; ase.Atoms are needed, as ase.io.read gives")
        self.evaluator: Evaluator = evaluator
        self.implemented_properties = [
            name for own, names in ase_names().items() if own in evaluator.properties for name in names
        ]
        super().__init__(atoms=atoms)
        self.parameters.update(settings)

    def _get_name(self) -> str:
        """The name that trajectories and databases keep: it tells the model."""
        return f"beadwise:{self.parameters['model']}"

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())
        own = [name for name in self.evaluator.properties if name in quantities.properties()]
        kept, asked = ([name for name in own if is_on_demand(name) is late] for late in (False, True))
        lines = [f"Calculator({settings})"]
        names = ase_names()
        for title, properties in (("results", kept), ("on demand", asked)):
            if properties:
                lines.append(f"  {title}: {', '.join(name for own in properties for name in names[own])}")
        return "\n".join(lines)

    def set(self, **parameters: Any) -> dict[str, Any]:
        """Refuse to change what the evaluator was made with.

        Parameters
        ----------
        **parameters
            As they are.

        Returns
        -------
        dict
            Empty: nothing changes.

        Raises
        ------
        KeywordError
            If a parameter is unknown, or would change.
        """
        _refuse_keywords({name: value for name, value in parameters.items() if name not in KEYWORDS})
        for name, value in parameters.items():
            if not equal(value, self.parameters.get(name)):
                raise KeywordError(f"{name} = {value!r} for {self.name}; it cannot be changed: make a new calculator")
        return {}

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """What changed since the last calculation, as ASE tells it, and ``charge`` where that of the ``info`` did.

        Parameters
        ----------
        atoms : ase.Atoms
        tol : float
            Of positions and cells, in Å.

        Returns
        -------
        list of str
            Empty if nothing changed.
        """
        changes = list(super().check_state(atoms, tol))
        if self.atoms is not None and charge_of_frame(self.atoms) != charge_of_frame(atoms):
            changes.append("charge")
        return changes

    def get_property(self, name: str, atoms: Atoms | None = None, allow_calculation: bool = True) -> Any:
        """A property of a structure, evaluated if it is not among the results yet.

        Parameters
        ----------
        name : str
            Out of ``implemented_properties``.
        atoms : ase.Atoms, optional
            Structure; the last one if not given.
        allow_calculation : bool
            Whether to evaluate; None is returned else, where there is no result.

        Returns
        -------
        float or ndarray of float64

        Raises
        ------
        UnavailableError
            If there is no such property, or no stress of such a structure.
        StructureError
            If the model cannot answer for the structure.
        """
        if name not in self.implemented_properties:
            raise UnavailableError(
                f"property '{name}' is not available; {self.name} has {', '.join(self.implemented_properties)}"
                f"{did_you_mean(name, self.implemented_properties)}"
            )
        structure = self.atoms if atoms is None else atoms
        if structure is None:
            raise KeywordError(f"property '{name}' of no structure; give atoms")
        if name == "stress" and allow_calculation and not structure.pbc.all():
            raise UnavailableError(
                f"stress of a structure that is periodic in {structure.pbc.tolist()}; all three directions are needed, "
                "as stress is virial over volume; the virial in eV is get_property('virial', atoms)"
            )
        return super().get_property(name, atoms, allow_calculation)

    def export_properties(self) -> Properties:
        """Those of the results that ASE knows by name: it refuses others."""
        return Properties({name: value for name, value in self.results.items() if name in all_outputs})

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Evaluate what is always evaluated and what is asked for; of a structure that did not change, what is missing.

        A dipole of charges that depends on images is not evaluated, and refused where it is asked for.

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
        if self.atoms is None:
            raise KeywordError("no structure; give atoms")
        names = ase_names()
        asked = set(properties)
        known = [name for name in self.evaluator.properties if name in names]
        want = [name for name in known if not is_on_demand(name) or asked.intersection(names[name])]
        kept = {} if system_changes else self.results
        want = [name for name in want if names[name][-1] not in kept]
        batch = Batch.from_ase(self.atoms)
        if DIPOLE in want and not asked.intersection(names[DIPOLE]) and not has_dipole(self.evaluator, batch):
            want.remove(DIPOLE)
        response = self.evaluator.evaluate(batch, want)
        self.results = kept | _to_ase(response, self.atoms)


def _refuse_keywords(unknown: dict[str, Any]) -> None:
    for name in unknown:
        raise KeywordError(
            f"'{name}' is no keyword of the calculator; allowed are {', '.join(KEYWORDS)}{did_you_mean(name, KEYWORDS)}"
        )


def _to_ase(response: Response, atoms: Atoms) -> dict[str, Any]:
    """Results of the only bead, in ASE's names and conventions."""
    results: dict[str, Any] = {}
    names = ase_names()
    for own in response.names:
        value = response[own][0]
        if own == "virial":
            results["virial"] = np.copy(value)
            if atoms.pbc.all():
                results["stress"] = full_3x3_to_voigt_6_stress(-value / atoms.get_volume())
            continue
        results |= {name: np.copy(value) if value.ndim else float(value) for name in names[own]}
    return results
