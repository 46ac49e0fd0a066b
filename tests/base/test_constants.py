"""Constants against those of SciPy, which are of the same year in its newer versions."""

import pytest
from beadwise import constants as ours
from scipy import constants

NAMES = {
    "ELEMENTARY_CHARGE": constants.e,
    "AVOGADRO": constants.N_A,
    "SPEED_OF_LIGHT": constants.c,
    "CALORIE": constants.calorie,
    "BAR": constants.bar,
    "ATMOSPHERE": constants.atm,
    "ANGSTROM": constants.angstrom,
    "VACUUM_PERMITTIVITY": constants.epsilon_0,
    "BOHR": constants.value("Bohr radius"),
    "HARTREE": constants.value("Hartree energy in eV"),
    "COULOMB": constants.e / (4 * constants.pi * constants.epsilon_0) * 1e10,
}


@pytest.mark.parametrize("name", NAMES)
def test_constants_are_those_of_scipy(name):
    is_of_2022 = constants.value("electron mass") == 9.1093837139e-31
    assert getattr(ours, name) == pytest.approx(NAMES[name], rel=1e-15 if is_of_2022 else 1e-9)
