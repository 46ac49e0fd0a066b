"""Names of units in files of others, held to ASE's constants and to what they are by definition."""

import pytest
from ase import units
from beadwise.properties.quantities import quantities
from beadwise.properties.unit_names import ATOMIC, EXAMPLES, UnitError, in_own_units
from beadwise.quantity import Unit

DIPOLE, VOLUME, ENERGY = quantities()["dipole"].unit, quantities()["polarizability"].unit, quantities()["energy"].unit
FORCE, STRESS = Unit(energy=1, length=-1), Unit(energy=1, length=-3)


@pytest.mark.parametrize(
    ("name", "unit", "value"),
    [
        ("e*Å", DIPOLE, 1.0),
        ("e·\u212b", DIPOLE, 1.0),  # the sign for ångström, which is another letter
        ("e A", DIPOLE, 1.0),
        ("debye", DIPOLE, units.Debye),
        ("Debye", DIPOLE, units.Debye),
        ("D", DIPOLE, units.Debye),
        ("e*bohr", DIPOLE, units.Bohr),
        ("C*m", DIPOLE, units.C * units.m),
        ("bohr^3", VOLUME, units.Bohr**3),
        ("a0**3", VOLUME, units.Bohr**3),
        ("bohr3", VOLUME, units.Bohr**3),
        ("BOHR³", VOLUME, units.Bohr**3),
        ("kcal/mol", ENERGY, units.kcal / units.mol),
        ("kJ/mol", ENERGY, units.kJ / units.mol),
        ("Hartree", ENERGY, units.Hartree),
        ("Ry", ENERGY, units.Rydberg),
        ("kcal/mol/angstrom", FORCE, units.kcal / units.mol),
        ("hartree/bohr", FORCE, units.Hartree / units.Bohr),
        ("Eh bohr^-1", FORCE, units.Hartree / units.Bohr),
        ("eV/Å⁻¹/Å²", FORCE, 1.0),
        ("GPa", STRESS, units.GPa),
        ("kbar", STRESS, units.GPa / 10),
        ("eV/A^3", STRESS, 1.0),
        ("a.u.", FORCE, units.Hartree / units.Bohr),
        ("au", DIPOLE, units.Bohr),
        ("Atomic_Unit", VOLUME, units.Bohr**3),
    ],
)
def test_values(name, unit, value):
    assert in_own_units(name, unit) == pytest.approx(value, rel=2e-8)  # ASE's constants are of CODATA 2014


def test_polarizability_in_si():
    """One atomic unit is 1.64877727e-41 C²m²/J (CODATA), and a bohr³."""
    assert 1.64877727e-41 * in_own_units("C*m^2/V", VOLUME) == pytest.approx(units.Bohr**3, rel=1e-7)
    assert in_own_units("C^2 m^2 / J", VOLUME) == pytest.approx(in_own_units("C*m^2/V", VOLUME))


@pytest.mark.parametrize(
    ("name", "unit", "message"),
    [
        ("debey", DIPOLE, "'debey' is unknown; allowed is a unit of e·Å, as .*; did you mean 'debye'"),
        ("MeV", ENERGY, "'MeV' is unknown"),
        ("mPa", STRESS, "'mPa' is unknown"),
        ("", ENERGY, "'' is empty"),
        ("/eV", ENERGY, "unknown"),
        ("eV/(mol)", ENERGY, "unknown"),
        ("bohr", VOLUME, "'bohr' measures Å; needed is a unit of Å³, as angstrom.3"),
        ("kcal", Unit(), "'kcal' measures eV; needed is a unit of plain numbers"),
    ],
)
def test_refused(name, unit, message):
    with pytest.raises(UnitError, match=message):
        in_own_units(name, unit)


@pytest.mark.parametrize("unit", EXAMPLES)
def test_what_messages_offer_is_read(unit):
    for name in EXAMPLES[unit].split(", "):
        assert in_own_units(name, unit) > 0
    assert len({in_own_units(name, unit) for name in ATOMIC}) == 1
