"""Any ASE calculator as an evaluator: it can be served, corrected and tested like a fitted model."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, SupportsIndex

import numpy as np
from ase import Atoms
from ase.calculators.abc import GetPropertiesMixin
from ase.stress import voigt_6_to_full_3x3_stress

from ..own_modules import modules_of_here
from .errors import EvaluatorError, StructureError
from .response import Response, refuse_unavailable
from .structures import Batch

PREFIX = "ase"
USAGE = f"{PREFIX}:MODULE.CLASS[:KEY=VALUE,KEY=VALUE]"
ASE_NAMES = {"energy": "energy", "forces": "forces", "virial": "stress", "dipole": "dipole"}


class AsePotential:
    """An ASE calculator that evaluates bead after bead.

    All beads share one calculator, and each is a new ``Atoms`` object, so what a calculator keeps from one bead is
    used for the next only where it holds for it.  The energy is ``free_energy`` where the calculator has it, of which
    ASE defines the forces as derivatives, and ``energy`` otherwise.

    Its properties are those that the calculator says it implements.  One without ``stress`` has no virial: beadwise
    serves it all the same, with zeros for the virial and a warning, since constant volume needs none.  Where a
    calculator gives stress only for periodic atoms, isolated ones get the virial from their forces.

    Parameters
    ----------
    calculator : ase calculator
        With ``get_property`` and ``implemented_properties``, as those derived from ASE's have.

    Raises
    ------
    EvaluatorError
        If it is no calculator, or it gives no energy.
    """

    species: tuple[int, ...] = ()

    def __init__(self, calculator: GetPropertiesMixin):
        implemented = getattr(calculator, "implemented_properties", None)
        if isinstance(calculator, type) or implemented is None or not hasattr(calculator, "get_property"):
            raise EvaluatorError(
                f"{calculator!r} is no ASE calculator; it needs the attributes implemented_properties and get_property"
            )
        self.properties = tuple(own for own, name in ASE_NAMES.items() if name in implemented)
        if "energy" not in self.properties:
            raise EvaluatorError(
                f"the ASE calculator {type(calculator).__name__} implements {list(implemented)}; it needs energy"
            )
        self._energy_name = "free_energy" if "free_energy" in implemented else "energy"
        self.calculator = calculator
        self.provider = _provider(calculator)
        self.made_from = ""

    def __repr__(self) -> str:
        return f"AsePotential({self._name} of {self.provider or 'no package'}: {', '.join(self.properties)})"

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        """Make it again from its name where it has one: many calculators cannot be copied once they have been used."""
        return (ase_potential, (self.made_from,)) if self.made_from else super().__reduce_ex__(protocol)

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Answer the wanted properties for every bead.

        Parameters
        ----------
        batch : Batch
            The calculator gets its cells and periodic directions as they are.
        want : sequence of str
            Names out of `properties`.

        Raises
        ------
        PropertyError
            If a wanted property is not available.
        StructureError
            If the calculator fails, with its own words.
        """
        refuse_unavailable(want, self.properties, f"the ASE calculator {self._name}")
        values = [self._evaluate_bead(batch, bead, want) for bead in range(batch.beads)]
        return Response(**{name: np.array([value[name] for value in values]) for name in want})

    def _evaluate_bead(self, batch: Batch, bead: int, want: Sequence[str]) -> dict[str, np.ndarray]:
        atoms = Atoms(batch.numbers, batch.positions[bead], cell=batch.cells[bead], pbc=batch.periodic)
        shapes = {"energy": (), "forces": (batch.atoms, 3), "virial": (3, 3), "dipole": (3,)}
        try:
            values = {name: np.array(self._property(name, atoms), dtype=np.float64) for name in want}
        except Exception as error:  # whatever a calculator raises, it is about this structure
            raise StructureError(
                f"the ASE calculator {self._name} cannot answer for bead {bead}: {describe(error)}"
            ) from error
        for name, value in values.items():
            if value.shape != shapes[name]:
                raise StructureError(
                    f"the ASE calculator {self._name} gives {ASE_NAMES[name]} of shape {value.shape} for bead {bead}, "
                    f"from which {name} of shape {shapes[name]} cannot be made"
                )
        return values

    def _property(self, name: str, atoms: Atoms) -> Any:
        """A property of one bead in eV, Å and e."""
        if name == "energy":
            return self.calculator.get_property(self._energy_name, atoms)
        if name != "virial":
            return self.calculator.get_property(ASE_NAMES[name], atoms)
        if not atoms.pbc.any():  # strain then acts on the positions alone
            return np.asarray(self.calculator.get_property("forces", atoms)).T @ atoms.positions
        stress = np.asarray(self.calculator.get_property("stress", atoms))
        return -atoms.get_volume() * (voigt_6_to_full_3x3_stress(stress) if stress.shape == (6,) else stress)

    @property
    def _name(self) -> str:
        return type(self.calculator).__name__


def ase_potential(text: str) -> AsePotential:
    """Make the potential from its calculator as a user writes it, ``ase.calculators.emt.EMT:asap_cutoff=true``.

    Modules are looked for in the current folder, too.  Values are numbers, ``true`` or ``false``, and text otherwise.

    Raises
    ------
    EvaluatorError
        If there is no such class, it is no calculator, or it does not take the parameters.
    """
    path, _, parameters = text.partition(":")
    module, _, name = path.strip().rpartition(".")
    arguments = _arguments(parameters)
    try:
        with modules_of_here():
            make = getattr(importlib.import_module(module), name)
    except Exception as error:  # a module may fail in any way
        raise EvaluatorError(
            f"cannot import the ASE calculator '{path}' ({describe(error)}); it is written {USAGE}"
        ) from error
    if not callable(make):
        raise EvaluatorError(f"'{path}' is {type(make).__name__}, which is no ASE calculator; it is written {USAGE}")
    if isinstance(make, type) and not hasattr(make, "get_property"):  # before it is called: it may do anything
        raise EvaluatorError(
            f"'{path}' is no ASE calculator; it needs the attributes implemented_properties and get_property"
        )
    try:
        calculator = make(**arguments)
    except Exception as error:
        raise EvaluatorError(
            f"the ASE calculator '{path}' cannot be made with the parameters {arguments}: {describe(error)}"
        ) from error
    potential = AsePotential(calculator)
    potential.made_from = text
    return potential


def describe(error: Exception) -> str:
    """Kind of an error and the first line of what it says."""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _arguments(text: str) -> dict[str, Any]:
    """Read the parameters of a calculator, ``method=GFN2-xTB,verbosity=0``."""
    arguments: dict[str, Any] = {}
    for item in text.split(",") if text.strip() else []:
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals or not key.isidentifier():
            raise EvaluatorError(f"'{item}' is no parameter of an ASE calculator; it is written {USAGE}")
        if key in arguments:
            raise EvaluatorError(f"parameter {key} of an ASE calculator is given twice; it is written {USAGE}")
        arguments[key] = _value(value)
    return arguments


def _value(text: str) -> bool | int | float | str:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _provider(calculator: object) -> str:
    """Package and version that the calculator comes from; empty where it belongs to no package."""
    package = type(calculator).__module__.partition(".")[0]
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return ""
