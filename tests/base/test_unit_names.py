"""Units by their names."""

import pytest
from ase import units
from beadwise.quantity import Unit
from beadwise.unit_names import UnitError, unit_factor

ENERGY, FORCE, STRESS = Unit(energy=1), Unit(energy=1, length=-1), Unit(energy=1, length=-3)
DIPOLE, VOLUME = Unit(charge=1, length=1), Unit(length=3)


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("eV", ENERGY, 1.0),
        ("meV", ENERGY, 1e-3),
        ("kcal/mol", ENERGY, 0.0433641),
        ("kcal/mol/Å", FORCE, 0.0433641),
        ("kJ/mol/nm", FORCE, 0.01036427 / 10),
        ("hartree/bohr", FORCE, 51.42207),
        ("Ha bohr^-1", FORCE, 51.42207),
        ("a.u.", FORCE, 51.42207),
        ("GPa", STRESS, 1 / 160.2176634),
        ("-kbar", STRESS, -0.1 / 160.2176634),
        ("eV/A^3", STRESS, 1.0),
        ("debye", DIPOLE, 0.2081943),
        ("e*bohr", DIPOLE, 0.5291772),
        ("au", DIPOLE, 0.5291772),
        ("bohr³", VOLUME, 0.1481847),
        ("a.u.", VOLUME, 0.1481847),
        ("e^2*A^2/eV", VOLUME, 14.39964),
        ("e*A^2/V", VOLUME, 14.39964),
        ("e", Unit(charge=1), 1.0),
        ("nm^3", VOLUME, 1000.0),
    ],
)
def test_known_factors(text, unit, expected):
    assert unit_factor(text, unit) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("text", "unit", "said"),
    [
        ("debye", ENERGY, "'debye' is one of e·Å; one of eV is needed"),
        ("MeV", ENERGY, "not known at 'MeV'"),
        ("furlong", VOLUME, "allowed are eV, meV"),
        ("GPa?", STRESS, "not known at '?'"),
        ("", ENERGY, "not whole"),
        ("eV/", FORCE, "'eV/' is not whole"),
        ("eV/eV", FORCE, "one of no unit; one of eV/Å is needed"),
        ("eV", Unit(), "no unit is needed"),
    ],
)
def test_what_is_not_understood_is_refused(text, unit, said):
    with pytest.raises(UnitError) as caught:
        unit_factor(text, unit)
    assert said in str(caught.value)


def test_atomic_units_are_those_of_ase():
    assert unit_factor("a.u.", DIPOLE) == units.Bohr
