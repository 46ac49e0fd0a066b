"""All quantities, and all that can be asked for: their values, derivatives, parts of molecules, members and spreads.

A quantity is registered by a module of this folder in `BUILT_IN` or `FURTHER`, by a package through an entry point
``beadwise.quantities`` whose object is a `Quantity`, or by `register`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from ..errors import BeadwiseError
from ..plugins import load_plugin, plugins
from ..quantity import Head, Quantity, Unit
from . import charges, density_of_states, dipole, energy, polarizability, shielding

ENTRY_POINTS = "beadwise.quantities"
BUILT_IN = (energy.QUANTITY, dipole.QUANTITY, polarizability.QUANTITY)  # whose outputs every model has
# ours as well; files say what they are, as of those of other packages
FURTHER = (
    shielding.QUANTITY, shielding.SHIFT, charges.QUANTITY, charges.ELECTRONEGATIVITY, density_of_states.QUANTITY,
)  # fmt: skip
ALWAYS_SENT = ("energy", "forces", "virial")
# what a quantity cannot be called, since it means something else there
SECTIONS = (  # of a fit
    "data", "density", "lode", "charges", "network", "equivariant", "hamiltonian", "electron_density", "committee",
    "repulsion", "output", "metadata",
)  # fmt: skip
RESERVED_NAMES = ("names",)  # of a response
RESERVED_KEYS = ("raw", "committee_uncertainty")
RESERVED_IN_ASE = ("virial", "free_energy", "stresses", "energies", "charges", "magmom", "magmoms")
RESERVED_LABELS = (
    "forces",
    "stress",
    "numbers",
    "positions",
    "species",
    "pos",
    "masses",
    "momenta",
    "velocities",
    "pbc",
    "cell",
)
WEIGHT = "correction_weight"  # of a correction whose baseline takes over where a committee is unsure
# of a potential that is switched on over a harmonic crystal: V − V_har of every bead, and λ
SWITCH_DIFFERENCE, SWITCH_COUPLING = "switch_difference", "switch_lambda"
# of single-particle Hamiltonians: levels, lowest empty minus highest filled one, upper triangle of the matrix by rows
LEVELS, GAP, MATRIX = "orbital_energies", "orbital_gap", "hamiltonian"
LEVELS_OF_MEMBERS, GAPS_OF_MEMBERS = f"committee_{LEVELS}", f"committee_{GAP}"
LEVELS_UNCERTAINTY, GAP_UNCERTAINTY = f"{LEVELS}_uncertainty", f"{GAP}_uncertainty"
# of electron densities: coefficients of functions, charge with the exact number of electrons, electrons that this took
# away, repulsion of the density with itself
DENSITY, DENSITY_CHARGE, DENSITY_SHIFT = "electron_density", "density_charge", "density_shift"
HARTREE_ENERGY = "hartree_energy"

Kind = Literal[
    "value", "derivative", "virial", "molecular", "screened", "position", "members", "uncertainty",
    "alarm", "switch", "orbitals", "electronic",
]  # fmt: skip


class QuantityError(BeadwiseError, ValueError):
    """A quantity that cannot be registered."""


@dataclass(frozen=True)
class Property:
    """One thing that can be asked for.

    Parameters
    ----------
    name : str
    kind : str
        What it is of its quantity.
    of : str
        The property of one member that ``members`` and ``uncertainty`` are made of, else its own name.
    quantity : Quantity or None
        None for what no single quantity gives: positions of molecules, alarms, what a switch, a Hamiltonian or an
        electron density says.
    per : str
        ``cell``, ``atom``, ``molecule``, ``orbital``, ``orbital pair`` or ``function`` of a density: a sample.
    shape : tuple of int
        Of one sample.
    unit : Unit
    key : str
        In i-PI's extras; empty for what i-PI reads elsewhere.
    ase : str
        Among the results of the ASE calculator; empty where it is `name`.
    """

    name: str
    kind: Kind
    of: str
    quantity: Quantity | None
    per: str
    shape: tuple[int, ...]
    unit: Unit
    key: str = ""
    ase: str = ""

    @property
    def spread_shape(self) -> tuple[int, ...]:
        """Shape of the spread of members: that of values on an axis of their own, nothing for a vector or tensor."""
        orders = [irrep.order for irrep in self.quantity.form.irreps] if self.quantity else []
        return self.shape if self.kind == "value" and not any(orders) else ()


_registered: dict[str, Quantity] = {}
_tables: list[Any] = []
Table = TypeVar("Table")


def table_of_registry(make: Callable[[], Table]) -> Callable[[], Table]:
    """Keep what a function without arguments makes of all quantities, until another one is registered."""
    kept = cache(make)
    _tables.append(kept)
    return kept


def quantities() -> Mapping[str, Quantity]:
    """Every quantity by its name: those that are built in, those of other packages, those that were registered.

    Raises
    ------
    QuantityError
        If a name of another package's quantity is taken.
    PluginError
        If it cannot be imported.
    """
    if not _registered:
        known = {quantity.name: quantity for quantity in (*BUILT_IN, *FURTHER)}
        for name, point in plugins(ENTRY_POINTS, known).items():
            quantity = load_plugin(point, Quantity, "quantity")
            _check_names([*known.values(), quantity])
            known[name] = quantity
        _registered.update({quantity.name: quantity for quantity in known.values()})
    return MappingProxyType(_registered)


def register(quantity: Quantity) -> Quantity:
    """Add a quantity, from now on, to all that is known.

    Raises
    ------
    QuantityError
        If it is none, or one of its names is taken.
    """
    if not isinstance(quantity, Quantity):
        raise QuantityError(f"{quantity!r} is no quantity; a beadwise.quantity.Quantity is needed")
    _check_names([*quantities().values(), quantity])
    _registered[quantity.name] = quantity
    _forget()
    return quantity


def _check_names(known: Sequence[Quantity]) -> None:
    """Refuse the last of some quantities if a name that follows from it is taken, or follows from it twice."""
    last = known[-1]
    if last.name in SECTIONS:
        raise QuantityError(f"'{last.name}' is a section of a fit, and no quantity can be called so; choose another")
    listed = _listed(known)
    names = {
        "name": [*RESERVED_NAMES, *(one.name for one in listed)],
        "key of extras": [*RESERVED_KEYS, *(one.key for one in listed if one.key)],
        "name in ASE": [*RESERVED_IN_ASE, *(one.ase or one.name for one in listed)],
        "head": [head.name for own in known for head in own.heads],
        "label": [
            *RESERVED_LABELS,
            *(own.label for own in known),
            *(
                f"{of}_{one.quantity.name}"
                for one in listed
                if one.kind == "molecular" and one.quantity
                for of in ("molecular", "atomic")
            ),
        ],
    }
    for what, every in names.items():
        double = next((name for name in every if every.count(name) > 1), None)
        if double:
            raise QuantityError(
                f"'{double}' of the quantity '{last.name}' is the {what} of something else; choose another"
            )


@contextmanager
def registered(*added: Quantity, without: Sequence[str] = ()) -> Iterator[None]:
    """Register quantities, or forget some by their names, for a while, as tests do."""
    before = dict(quantities())
    try:
        for name in without:
            del _registered[name]
        _forget()
        for quantity in added:
            register(quantity)
        yield
    finally:
        _registered.clear()
        _registered.update(before)
        _forget()


def _forget() -> None:
    for table in _tables:
        table.cache_clear()


@table_of_registry
def properties() -> Mapping[str, Property]:
    """All that can be asked for by name, in the order in which it is answered: see `beadwise.model.Response`."""
    return MappingProxyType({one.name: one for one in _listed(list(quantities().values()))})


def _listed(known: Sequence[Quantity]) -> list[Property]:
    """All that follows from some quantities, the energy among them."""
    others = [quantity for quantity in known if quantity.name != "energy"]
    found = [*_of_energy(), *map(_value, others), *(_derivative(one) for one in others if one.derivative)]
    found += [_molecular(quantity) for quantity in known if quantity.is_molecular]
    found += [_screened(quantity) for quantity in known if quantity.is_molecular and quantity.cell_map]
    position = "molecular_position"
    found.append(Property(position, "position", position, None, "molecule", (3,), Unit(length=1), position, position))
    found += [one for quantity in known for one in _members(quantity)]
    found += [_uncertainty(one) for one in found if one.kind == "value" or one.name == "forces"]
    if density_of_states.QUANTITY in known:
        found += _electronic()
    for alarm in ("envelope_distance", WEIGHT):
        found.append(Property(alarm, "alarm", alarm, None, "cell", (), Unit(), alarm))
    for own, unit in ((SWITCH_DIFFERENCE, energy.QUANTITY.unit), (SWITCH_COUPLING, Unit())):
        found.append(Property(own, "switch", own, None, "cell", (), unit, own))
    found += _of_levels()
    found.append(Property(DENSITY, "orbitals", DENSITY, None, "function", (), Unit(plain="bohr^-3/2"), DENSITY))
    for own, unit in ((DENSITY_CHARGE, Unit(charge=1)), (DENSITY_SHIFT, Unit(charge=1))):
        found.append(Property(own, "orbitals", own, None, "cell", (), unit, own))
    found.append(
        Property(HARTREE_ENERGY, "orbitals", HARTREE_ENERGY, None, "cell", (), energy.QUANTITY.unit, HARTREE_ENERGY)
    )
    return found


def _of_energy() -> list[Property]:
    quantity = energy.QUANTITY
    unit = quantity.unit
    return [
        Property("energy", "value", "energy", quantity, "cell", (), unit, ase="energy"),
        Property("forces", "derivative", "forces", quantity, "atom", (3,), unit.per_length(), ase="forces"),
        Property("virial", "virial", "virial", quantity, "cell", (3, 3), unit, ase="stress"),
    ]


def _value(quantity: Quantity) -> Property:
    name, unit = quantity.name, quantity.unit
    return Property(
        name, "value", name, quantity, quantity.per, quantity.form.shape, unit, quantity.extras, quantity.ase
    )


def _derivative(quantity: Quantity) -> Property:
    name, shape, unit = quantity.derivative, (3, *quantity.form.shape), quantity.unit.per_length()
    keys = quantity.derivative_extras, quantity.derivative_ase
    return Property(name, "derivative", name, quantity, "atom", shape, unit, *keys)


def _molecular(quantity: Quantity) -> Property:
    name = f"molecular_{quantity.name}"
    return Property(name, "molecular", name, quantity, "molecule", quantity.form.shape, quantity.unit, name, name)


def _screened(quantity: Quantity) -> Property:
    """What a molecule has of a quantity in the field of all others, where that is no sum of local values."""
    name = f"screened_{quantity.name}"
    return Property(name, "screened", name, quantity, "molecule", quantity.form.shape, quantity.unit, name, name)


def _members(quantity: Quantity) -> list[Property]:
    """What every member of a committee says of a quantity, and of the derivatives of the energy."""
    name, unit, shape = quantity.name, quantity.unit, quantity.form.shape
    own = f"committee_{name}"
    found = [Property(own, "members", name, quantity, quantity.per, shape, unit, quantity.member_extras)]
    if name == "energy":
        forces, virial = "committee_forces", "committee_virial"
        found.append(
            Property(forces, "members", "forces", quantity, "atom", (3,), unit.per_length(), "committee_force")
        )
        found.append(Property(virial, "members", "virial", quantity, "cell", (3, 3), unit, virial))
    return found


def _electronic() -> list[Property]:
    """What follows from a density of states, and from that of every member."""
    quantity = density_of_states.QUANTITY
    found = [
        Property(one.name, "electronic", one.name, quantity, one.per, one.shape, one.unit, one.name, one.name)
        for one in density_of_states.DERIVED
    ]
    curves = [one for one in found if one.name in density_of_states.OF_CURVES]
    found += [
        replace(one, name=f"committee_{one.name}", kind="members", key=f"member_{one.name}", ase="") for one in curves
    ]
    return found + [replace(_uncertainty(one), shape=one.shape) for one in curves]


def _of_levels() -> list[Property]:
    """What follows from a single-particle Hamiltonian, and levels and gap of every member."""
    unit = energy.QUANTITY.unit
    found = [
        Property(own, "orbitals", own, None, per, (), unit, own)
        for own, per in ((LEVELS, "orbital"), (GAP, "cell"), (MATRIX, "orbital pair"))
    ]
    of_members = [one for one in found if one.name != MATRIX]
    found += [
        replace(one, name=f"committee_{one.name}", kind="members", key=f"member_{one.name}") for one in of_members
    ]
    return found + [_uncertainty(one) for one in of_members]


def _uncertainty(one: Property) -> Property:
    """The spread of members: one number for a vector or tensor, one for each of values on an axis of their own."""
    name = f"{one.name}_uncertainty"
    return Property(name, "uncertainty", one.name, one.quantity, one.per, one.spread_shape, one.unit, name)


@table_of_registry
def heads() -> Mapping[str, tuple[Quantity, Head]]:
    """Every head that a model may have, by its name."""
    return MappingProxyType({head.name: (own, head) for own in quantities().values() for head in own.heads})


def names_of(*kinds: Kind) -> tuple[str, ...]:
    """Names of all properties of some kinds."""
    return tuple(name for name, one in properties().items() if one.kind in kinds)


def __getattr__(name: str) -> Any:
    """The lists of names that other modules import, made when they are asked for."""
    if name == "PROPERTIES":
        return tuple(properties())
    if name == "ORDINARY_PROPERTIES":
        return names_of("value", "derivative", "virial", "molecular", "screened", "position", "electronic")
    if name == "COMMITTEE_PROPERTIES":
        return {own: properties()[own].of for own in names_of("members")}
    if name == "OF_MEMBERS":
        return {own: properties()[own].of for own in names_of("members", "uncertainty")}
    if name == "UNCERTAINTIES":
        return (*names_of("uncertainty"), "envelope_distance")
    if name == "KEYS":
        return {own: one.key for own, one in properties().items() if one.key}
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
