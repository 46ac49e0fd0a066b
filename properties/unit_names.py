"""Names of units in files of others, as debye, hartree/bohr and kbar, and what they are in e, Å and eV.

The one table of them: whoever reads a quantity that another program wrote asks `in_own_units`.  Constants are those of
`beadwise.constants`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from .. import constants
from ..errors import BeadwiseError
from ..quantity import Unit
from ..suggestions import did_you_mean


class UnitError(BeadwiseError, ValueError):
    """A name of a unit that is unknown, or of something else than it is wanted for."""


@dataclass(frozen=True)
class Named:
    """A named unit: a number of e, Å and eV to some powers."""

    value: float
    unit: Unit

    def power(self, exponent: int) -> Named:
        """The unit to a power."""
        own = self.unit
        return Named(self.value**exponent, Unit(own.charge * exponent, own.length * exponent, own.energy * exponent))

    def __mul__(self, other: Named) -> Named:
        own, its = self.unit, other.unit
        unit = Unit(own.charge + its.charge, own.length + its.length, own.energy + its.energy)
        return Named(self.value * other.value, unit)


NUMBER, CHARGE, LENGTH, ENERGY = Unit(), Unit(charge=1), Unit(length=1), Unit(energy=1)
DIPOLE, PRESSURE, POTENTIAL = Unit(charge=1, length=1), Unit(energy=1, length=-3), Unit(energy=1, charge=-1)

JOULE = 1 / constants.ELEMENTARY_CHARGE  # eV
METRE = 1 / constants.ANGSTROM  # Å
PASCAL = JOULE / METRE**3  # eV/Å³
BOHR = constants.BOHR * METRE
HARTREE = constants.HARTREE
DEBYE = 1e-21 / constants.SPEED_OF_LIGHT * METRE / constants.ELEMENTARY_CHARGE  # e·Å: 1 D is 10⁻²¹/c C·m, exactly
COULOMB = constants.COULOMB  # e²/4πε0 in eV·Å

# every spelling; also in lower case, in upper case and with a capital where that is no other unit
NAMES = {
    "1": Named(1.0, NUMBER),
    "mol": Named(constants.AVOGADRO, NUMBER),
    "ppm": Named(1e-6, NUMBER),
    "e": Named(1.0, CHARGE),
    **dict.fromkeys(("C", "coulomb"), Named(1 / constants.ELEMENTARY_CHARGE, CHARGE)),
    **dict.fromkeys(("Å", "A", "ang", "angstrom", "angstroms"), Named(1.0, LENGTH)),
    **dict.fromkeys(("bohr", "a0"), Named(BOHR, LENGTH)),
    "pm": Named(1e-12 * METRE, LENGTH),
    "nm": Named(1e-9 * METRE, LENGTH),
    "cm": Named(1e-2 * METRE, LENGTH),
    "m": Named(METRE, LENGTH),
    **dict.fromkeys(("eV", "electronvolt"), Named(1.0, ENERGY)),
    "meV": Named(1e-3, ENERGY),
    **dict.fromkeys(("hartree", "Ha", "Eh"), Named(HARTREE, ENERGY)),
    **dict.fromkeys(("rydberg", "Ry"), Named(HARTREE / 2, ENERGY)),
    "J": Named(JOULE, ENERGY),
    "kJ": Named(1e3 * JOULE, ENERGY),
    "cal": Named(constants.CALORIE * JOULE, ENERGY),
    "kcal": Named(1e3 * constants.CALORIE * JOULE, ENERGY),
    **dict.fromkeys(("debye", "D"), Named(DEBYE, DIPOLE)),
    **dict.fromkeys(("V", "volt"), Named(1.0, POTENTIAL)),
    "Pa": Named(PASCAL, PRESSURE),
    "MPa": Named(1e6 * PASCAL, PRESSURE),
    "GPa": Named(1e9 * PASCAL, PRESSURE),
    "bar": Named(constants.BAR * PASCAL, PRESSURE),
    "kbar": Named(1e3 * constants.BAR * PASCAL, PRESSURE),
    "atm": Named(constants.ATMOSPHERE * PASCAL, PRESSURE),
}
ATOMIC = ("au", "a.u.", "atomic", "atomic_unit", "atomic_units")  # whatever is measured
ONLY_AS_WRITTEN = frozenset({"mev", "mpa", "pa", "pm", "m", "d", "c", "a", "j", "v"})  # MeV and mPa are other units
POWERS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
LEADING_NUMBER = re.compile(r"(?P<number>\d+(\.\d+)?)\s*\*\s*(?=\D)")
FACTOR = re.compile(r"\s*(?P<sign>[*/]|)\s*(?P<name>a0|[A-Za-zÅ]+|1)(?P<power>\^?-?\d|)\s*")
EXAMPLES = {
    DIPOLE: "e*angstrom, e*bohr, debye, au",
    Unit(length=3): "angstrom^3, bohr^3, C*m^2/V, au",
    ENERGY: "eV, meV, hartree, rydberg, kcal/mol, kJ/mol, au",
    Unit(energy=1, length=-1): "eV/angstrom, hartree/bohr, kcal/mol/angstrom, au",
    PRESSURE: "eV/angstrom^3, GPa, kbar, bar, au",
    LENGTH: "angstrom, bohr, nm, au",
    CHARGE: "e, C, au",
}


def in_own_units(name: str, unit: Unit) -> float:
    """What numbers in a named unit are multiplied by to be in a unit of e, Å and eV.

    Parameters
    ----------
    name : str
        Products, quotients and powers of the units in `NAMES`, read from left to right: ``debye``, ``e*bohr``,
        ``kcal/mol/angstrom``, ``bohr^3``, ``eV/Å³``, perhaps with a number before them, ``8*e*Å``; or ``au``, the
        atomic unit of whatever `unit` measures.
    unit : Unit
        What is wanted, as ``quantities()["dipole"].unit``.

    Returns
    -------
    float

    Raises
    ------
    UnitError
        If the name is unknown, or does not measure what `unit` does.

    Notes
    -----
    A polarizability in SI, C·m²/V, is no volume; α/4πε0 is, with which it is written in Å³.
    """
    if name.strip().lower() in ATOMIC:
        return HARTREE**unit.energy * BOHR**unit.length / _plain(unit)
    named = _product(name, unit)
    if unit == Unit(length=3) and named.unit == Unit(charge=2, length=2, energy=-1):
        return named.value * COULOMB
    if named.unit != unit:
        raise UnitError(f"the unit '{name}' measures {_measured(named.unit)}; needed is {_allowed(unit)}")
    return named.value / _plain(unit)


def _plain(unit: Unit) -> float:
    """What plain numbers are counted in: 1e-6 for ppm."""
    return NAMES[unit.plain].value if unit.plain else 1.0


def _product(name: str, unit: Unit) -> Named:
    text = unicodedata.normalize("NFC", name).translate(POWERS).replace("**", "^")
    text = text.replace("·", "*").replace("⋅", "*").strip()
    number = LEADING_NUMBER.match(text)
    found, place = Named(float(number["number"]) if number else 1.0, NUMBER), number.end() if number else 0
    start = place
    while place < len(text):
        factor = FACTOR.match(text, place)
        own = _unit(factor["name"]) if factor else None
        if factor is None or own is None or (place == start and factor["sign"]):
            unknown = factor["name"] if factor and own is None else name
            hint = did_you_mean(unknown, NAMES)
            raise UnitError(f"the unit '{name}' is unknown; allowed is {_allowed(unit)}{hint}")
        exponent = int(factor["power"].lstrip("^") or 1)
        found *= own.power(-exponent if factor["sign"] == "/" else exponent)
        place = factor.end()
    if not text:
        raise UnitError(f"the unit '{name}' is empty; allowed is {_allowed(unit)}")
    return found


def _unit(name: str) -> Named | None:
    """One unit by its name; None if it is unknown."""
    if name in NAMES:
        return NAMES[name]
    small = name.lower()
    alike = [own for own in NAMES if own.lower() == small]
    return NAMES[alike[0]] if len(alike) == 1 and small not in ONLY_AS_WRITTEN else None


def _allowed(unit: Unit) -> str:
    return f"a unit of {_measured(unit)}, as {EXAMPLES.get(unit, unit.plain or 'au')}"


def _measured(unit: Unit) -> str:
    return str(unit) or "plain numbers"
