"""Any ASE calculator as an evaluator: it can be served, corrected and tested like a fitted model."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.abc import GetPropertiesMixin
from ase.calculators.calculator import PropertyNotImplementedError
from ase.stress import voigt_6_to_full_3x3_stress

from ..own_modules import modules_of_here
from ..properties.quantities import properties, quantities
from ..properties.unit_names import UnitError, in_own_units
from .checks import refuse_other_charge
from .errors import EvaluatorError, StructureError
from .external.names import ByName
from .response import Response, refuse_unavailable
from .structures import Batch, is_charge

PREFIX = "ase"
USAGE = f"{PREFIX}:MODULE.CLASS[:KEY=VALUE,KEY=VALUE]"
UNIT = "_unit"  # end of the names of our own parameters, dipole_unit=debye
ASE_NAMES = {"energy": "energy", "forces": "forces", "virial": "stress", "dipole": "dipole"}


class AsePotential(ByName):
    """An ASE calculator that evaluates bead after bead.

    All beads share one calculator, and each is a new ``Atoms`` object, so what a calculator keeps from one bead is
    used for the next only where it holds for it.  A total charge is told as `Batch.to_ase` does, and refused where a
    parameter ``charge`` of the calculator says another one.  The energy is ``free_energy`` where the calculator has
    it, of which ASE defines the forces as derivatives, and ``energy`` otherwise: also where ``free_energy`` is
    announced and not given.

    Its properties are those that the calculator says it implements, an energy or not.  What ASE has no unit for, as a
    polarizability, is among them only if its unit is said.  One without ``stress`` has no virial: beadwise
    serves it all the same, with zeros for the virial and a warning, since constant volume needs none.  Where a
    calculator gives stress only for periodic atoms, isolated ones get the virial from their forces.

    Parameters
    ----------
    calculator : ase calculator
        With ``get_property`` and ``implemented_properties``, as those derived from ASE's have.
    units : mapping of str to str
        By quantity, the unit of what the calculator calls so, of its derivatives in that unit per Å.  By default, and
        for energies always, ASE's.

    Raises
    ------
    EvaluatorError
        If it is no calculator, it gives nothing that is known here, or a unit is none of its quantity.
    """

    species: tuple[int, ...] = ()

    def __init__(self, calculator: GetPropertiesMixin, units: Mapping[str, str] | None = None):
        implemented = getattr(calculator, "implemented_properties", None)
        if isinstance(calculator, type) or implemented is None or not hasattr(calculator, "get_property"):
            raise EvaluatorError(
                f"{calculator!r} is no ASE calculator; it needs the attributes implemented_properties and get_property"
            )
        self.units = dict(units or {})
        self._factors = _factors(self.units)
        self._names = {own: name for own, name in self._known_names().items() if name in implemented}
        self.properties = tuple(self._names)
        if not self.properties:
            raise EvaluatorError(
                f"the ASE calculator {type(calculator).__name__} implements {list(implemented)}; it needs one of "
                f"{[*ASE_NAMES.values()]}, or a quantity whose unit is said, as polarizability{UNIT}=angstrom^3"
            )
        self._energy_name = "free_energy" if "free_energy" in implemented else "energy"
        self._has_plain_energy = "energy" in implemented
        self.calculator = calculator
        self.provider = _provider(calculator)

    def __repr__(self) -> str:
        return f"AsePotential({self._name} of {self.provider or 'no package'}: {', '.join(self.properties)})"

    def _known_names(self) -> dict[str, str]:
        """What ASE calls our properties: its own, and those of quantities whose unit is said."""
        kinds = ("value", "derivative")
        said = {
            name: one.ase or name
            for name, one in properties().items()
            if one.kind in kinds and one.quantity is not None and one.quantity.name in self._factors
        }
        names = ASE_NAMES | said
        return {name: names[name] for name in properties() if name in names}

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
            If the calculator fails, with its own words, or has a parameter ``charge`` that is another than the batch's.
        """
        refuse_unavailable(want, self.properties, f"the ASE calculator {self._name}")
        parameters = getattr(self.calculator, "parameters", None)
        said = parameters.get("charge") if isinstance(parameters, Mapping) else None
        if said is not None and is_charge(said):
            refuse_other_charge(batch, said, f"the ASE calculator {self._name}")
        values = [self._evaluate_bead(batch, bead, want) for bead in range(batch.beads)]
        return Response(**{name: np.array([value[name] for value in values]) for name in want})

    def _evaluate_bead(self, batch: Batch, bead: int, want: Sequence[str]) -> dict[str, np.ndarray]:
        atoms = batch.to_ase(bead)
        samples = {"cell": (), "atom": (batch.atoms,)}
        shapes = {name: (*samples[properties()[name].per], *properties()[name].shape) for name in want}
        try:
            values = {name: np.array(self._property(name, atoms), dtype=np.float64) for name in want}
        except Exception as error:  # whatever a calculator raises, it is about this structure
            raise StructureError(
                f"the ASE calculator {self._name} cannot answer for bead {bead}: {describe(error)}"
            ) from error
        for name, value in values.items():
            if value.shape != shapes[name]:
                raise StructureError(
                    f"the ASE calculator {self._name} gives {self._names[name]} of shape {value.shape} for bead "
                    f"{bead}, from which {name} of shape {shapes[name]} cannot be made"
                )
        return values

    def _property(self, name: str, atoms: Atoms) -> Any:
        """A property of one bead in eV, Å and e."""
        if name == "energy":
            return self._energy(atoms)
        if name != "virial":
            quantity = properties()[name].quantity
            factor = self._factors.get(quantity.name, 1.0) if quantity is not None else 1.0
            value = self.calculator.get_property(self._names[name], atoms)
            return value if factor == 1 else factor * np.asarray(value, dtype=np.float64)
        if not atoms.pbc.any():  # strain then acts on the positions alone
            return np.asarray(self.calculator.get_property("forces", atoms)).T @ atoms.positions
        stress = np.asarray(self.calculator.get_property("stress", atoms))
        return -atoms.get_volume() * (voigt_6_to_full_3x3_stress(stress) if stress.shape == (6,) else stress)

    def _energy(self, atoms: Atoms) -> Any:
        """The energy; one that is announced under another name, and not given, is not asked for again."""
        if self._energy_name == "energy" or not self._has_plain_energy:
            return self.calculator.get_property(self._energy_name, atoms)
        try:
            value = self.calculator.get_property(self._energy_name, atoms)
        except (PropertyNotImplementedError, KeyError):
            value = None
        if value is None:
            self._energy_name = "energy"
            return self.calculator.get_property("energy", atoms)
        return value

    @property
    def _name(self) -> str:
        return type(self.calculator).__name__


def ase_potential(text: str) -> AsePotential:
    """Make the potential from its calculator as a user writes it, ``ase.calculators.emt.EMT:asap_cutoff=true``.

    Modules are looked for in the current folder, too.  Values are numbers, ``true`` or ``false``, and text otherwise.
    ``dipole_unit=debye`` and the like are not handed to the calculator: they say what it answers in.

    Raises
    ------
    EvaluatorError
        If there is no such class, it is no calculator, or it does not take the parameters.
    """
    path, _, parameters = text.partition(":")
    module, _, name = path.strip().rpartition(".")
    arguments = _arguments(parameters)
    units = {name.removesuffix(UNIT): str(arguments.pop(name)) for name in _unit_names(arguments)}
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
    potential = AsePotential(calculator, units)
    potential.made_from = (ase_potential, (text,))
    return potential


def _unit_names(arguments: Mapping[str, Any]) -> list[str]:
    """Parameters that are units of quantities."""
    return [name for name in arguments if name.endswith(UNIT) and name.removesuffix(UNIT) in quantities()]


def _factors(units: Mapping[str, str]) -> dict[str, float]:
    """What values of quantities are multiplied by to be in eV, Å and e."""
    factors = {}
    for name, unit in units.items():
        if name == "energy":  # of which forces and stress follow in ASE's units
            raise EvaluatorError(f"energy{UNIT} is '{unit}'; the energy of an ASE calculator is in eV")
        try:
            factors[name] = in_own_units(unit, quantities()[name].unit)
        except UnitError as error:
            raise EvaluatorError(f"{name}{UNIT} of an ASE calculator: {error}") from error
    return factors


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
    """Distribution and version that the calculator comes from; empty where it belongs to none."""
    package = type(calculator).__module__.partition(".")[0]
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:  # a distribution may be called otherwise than its module
        found = packages_distributions().get(package, [])
        return f"{found[0]} {version(found[0])}" if found else ""
