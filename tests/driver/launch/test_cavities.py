"""Cavities of i-PI that it would stop at without a reason."""

import pytest
from beadwise.driver.launch.cavities import check_cavities
from beadwise.runs.input.elements import InputError
from beadwise.runs.input.run_input import RunInput

ROWS = "O 1 1 1\nH 2 1 1\nH 1 2 1\nL 0 0 0\nL 0 0 0\n"
INPUT = """
<simulation>
  <ffcavphsocket name='c'><address> a </address>{settings}</ffcavphsocket>
  <system><initialize nbeads='1'><file mode='xyz'> start.xyz </file></initialize>
    <forces><force forcefield='c'/></forces></system>
</simulation>
"""
PHOTONS = "<apply_photon> True </apply_photon>"
CHARGES = "<charge_array> [ -0.8, 0.4, 0.4 ] </charge_array>"


def run_with(folder, settings):
    (folder / "start.xyz").write_text(f"5\n# CELL(abcABC): 20 20 20 90 90 90\n{ROWS}")
    (folder / "in.xml").write_text(INPUT.format(settings=settings))
    return RunInput.read(folder / "in.xml")


@pytest.mark.parametrize(
    "settings", ["", CHARGES, PHOTONS + CHARGES, f"{PHOTONS}<evaluate_photon> False </evaluate_photon>"]
)
def test_cavities_that_run(tmp_path, settings):
    check_cavities(run_with(tmp_path, settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (PHOTONS, "has 0 charges; its system has 3 atoms beside 2 for photons"),
        (f"{PHOTONS}{CHARGES}<ph_rep> dense </ph_rep>", "has 3 charges; its system has 4 atoms beside 1 for photons"),
        (f"{PHOTONS}<ph_rep> thin </ph_rep>", "<ph_rep> of <ffcavphsocket> is 'thin'; allowed are loose, dense"),
        (f"{PHOTONS}<dipole_surface> True </dipole_surface>", "has <dipole_surface> True"),
        (
            "<apply_photon> maybe </apply_photon>",
            "<apply_photon> of <ffcavphsocket> is 'maybe'; allowed are True, False",
        ),
    ],
)
def test_cavities_that_are_refused(tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        check_cavities(run_with(tmp_path, settings))
