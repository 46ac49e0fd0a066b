"""Units by the names that people write, and what a number in them is in eV, Å and e."""

from __future__ import annotations

import re

from ase import units

from .errors import BeadwiseError
from .quantity import Unit

ENERGY, LENGTH, CHARGE = Unit(energy=1), Unit(length=1), Unit(charge=1)
PRESSURE, DIPOLE = Unit(energy=1, length=-3), Unit(charge=1, length=1)
COULOMB_CONSTANT = 14.399645478  # e²/(4πε0) in eV·Å (CODATA 2018); it turns e²/V·Å² into Å³
ATOMIC = ("a.u.", "au", "atomic")

# names are of one case each: MeV is no meV
NAMES: dict[str, tuple[float, Unit]] = {
    name: (factor, unit)
    for names, factor, unit in (
        ("1", 1.0, Unit()),
        ("eV", 1.0, ENERGY),
        ("meV", 1e-3, ENERGY),
        ("hartree Hartree Ha Eh", units.Hartree, ENERGY),
        ("mHa mEh", 1e-3 * units.Hartree, ENERGY),
        ("rydberg Rydberg Ry", units.Rydberg, ENERGY),
        ("kcal/mol", units.kcal / units.mol, ENERGY),
        ("kJ/mol", units.kJ / units.mol, ENERGY),
        ("Å A angstrom Angstrom Ang ang", 1.0, LENGTH),
        ("bohr Bohr a0", units.Bohr, LENGTH),
        ("nm", 10.0, LENGTH),
        ("pm", 1e-2, LENGTH),
        ("e", 1.0, CHARGE),
        ("V volt", 1.0, Unit(charge=-1, energy=1)),
        ("debye Debye D", units.Debye, DIPOLE),
        ("GPa", units.GPa, PRESSURE),
        ("MPa", 1e-3 * units.GPa, PRESSURE),
        ("kbar kBar kB", 0.1 * units.GPa, PRESSURE),
        ("bar", 1e-4 * units.GPa, PRESSURE),
        ("Pa", 1e-9 * units.GPa, PRESSURE),
    )
    for name in names.split()
}
LISTED = "eV, meV, hartree, Ry, kcal/mol, kJ/mol, Å, bohr, nm, e, V, debye, GPa, kbar, bar, a.u., and products of them"
TOKEN = re.compile(
    "(" + "|".join(re.escape(name) for name in sorted(NAMES, key=len, reverse=True)) + r")(?![A-Za-z])"
    r"(?:\^?(-?\d)|([²³]))?"
)

BETWEEN = re.compile(r"\s*([*·/ ])\s*|$")


class UnitError(BeadwiseError, ValueError):
    """A unit that is not known, or is of something else."""


def unit_factor(text: str, unit: Unit) -> float:
    """What a number in the unit called ``text`` is multiplied by.

    Parameters
    ----------
    text : str
        A name, as ``debye``, ``GPa`` or ``a.u.``, or a product, as ``kcal/mol/Å`` or ``bohr^3``.  A minus in front
        turns the sign, as the stresses of some codes need it: ``-kbar``.
    unit : Unit
        Of the result: powers of e, Å and eV.

    Returns
    -------
    float
        In that unit per unit of ``text``.  e² counts as 14.3996 eV·Å where only that fits, so that polarizabilities in
        e²·Å²/eV become volumes.

    Raises
    ------
    UnitError
        If a name is not known, or the unit is of something else.
    """
    received = text.strip()
    sign, name = (-1.0, received[1:].strip()) if received.startswith("-") else (1.0, received)
    if name in ATOMIC:
        return sign * units.Hartree**unit.energy * units.Bohr**unit.length
    factor, found = _product(name, received, unit)
    missing = (unit.charge - found.charge, unit.length - found.length, unit.energy - found.energy)
    if missing == (0, 0, 0):
        return sign * factor
    if missing == (-2, 1, 1):
        return sign * factor * COULOMB_CONSTANT
    raise UnitError(f"unit '{received}' is one of {str(found) or 'no unit'}; one of {str(unit) or 'no unit'} is needed")


def _product(name: str, received: str, unit: Unit) -> tuple[float, Unit]:
    """Factor and powers of a product of named units."""
    factor, powers = 1.0, [0, 0, 0]
    place, sign = 0, 1
    while place < len(name):
        token = TOKEN.match(name, place)
        if token is None:
            raise UnitError(f"unit '{received}' is not known at '{name[place:]}'; allowed are {LISTED}")
        power = sign * int(token[2] or {"²": 2, "³": 3}.get(token[3] or "", 1))
        own_factor, own = NAMES[token[1]]
        factor *= own_factor**power
        for axis, count in enumerate((own.charge, own.length, own.energy)):
            powers[axis] += power * count
        between = BETWEEN.match(name, token.end())
        if between is None:
            raise UnitError(f"unit '{received}' is not known at '{name[token.end() :]}'; allowed are {LISTED}")
        place, sign = between.end(), -1 if between[1] == "/" else 1
    if not name or sign < 0:
        raise UnitError(f"unit '{received}' is not whole; allowed are {LISTED}")
    return factor, Unit(*powers)
