"""Fields through the real i-PI: its driven dynamics with our Born charges, and the field that the driver serves."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import pytest
from beadwise.runs.output.properties import read_property_table
from beadwise.runs.units import to_atomic
from test_run import Folder

FIELD = np.array([0.06, -0.03, 0.08])  # V/Å
ATOMIC_FIELD = to_atomic("forces", FIELD)  # hartree/(e bohr), with the constants of what is served
OF_THE_FIELD = "interaction_energy, Efield, dipole,"
INPUT = """
<simulation floatformat='%24.16e' verbosity='low'>
  <output prefix='test'>
    <properties filename='out' stride='1'> [ step, time, {columns} conserved, potential, volume ] </properties>
    <trajectory filename='positions' stride='1' format='xyz'> positions </trajectory>
    {outputs}
  </output>
  <total_steps> {steps} </total_steps>
  <prng> <seed> 31 </seed> </prng>
  <ffsocket mode='unix' name='water'> <address> {address} </address> <batch_size> {beads} </batch_size> </ffsocket>
  <system>
    <initialize nbeads='{beads}'>
      <file mode='xyz'> water_64.xyz </file>
      <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces> <force forcefield='water'/> </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> {ensemble} </ensemble>
    {motion}
  </system>
</simulation>
"""
TIMESTEP = "<timestep units='femtosecond'> {timestep} </timestep>"
PLAIN = f"<motion mode='dynamics'> <dynamics mode='nve'> {TIMESTEP} </dynamics> </motion>"
DRIVEN = f"""<motion mode='driven_dynamics'> <driven_dynamics mode='eda-nve'> {TIMESTEP}
  <efield> <amp> {ATOMIC_FIELD.tolist()} </amp> {{time}} </efield>
  <bec mode='driver'/> <asr_threshold> 1e-8 </asr_threshold> </driven_dynamics> </motion>"""
FLEXIBLE = f"""<motion mode='dynamics'> <dynamics mode='nst'> {TIMESTEP}
  <barostat mode='anisotropic'> <tau units='femtosecond'> 100 </tau>
    <h0 shape='(3,3)' units='angstrom'> [ 12.42, 0, 0, 0, 12.42, 0, 0, 0, 12.42 ] </h0>
    <thermostat mode='langevin'> <tau units='femtosecond'> 1e12 </tau> </thermostat> </barostat>
  <thermostat mode='langevin'> <tau units='femtosecond'> 1e12 </tau> </thermostat> </dynamics> </motion>"""
PULSE = """<freq units='inversecm'> 3500 </freq>
  <peak units='femtosecond'> 20 </peak> <sigma units='femtosecond'> 5 </sigma>"""
DIPOLE = "<trajectory filename='moments' stride='1' extra_type='dipole'> extras </trajectory>"
SERVED = ("--field", ",".join(map(str, FIELD)))


@dataclass(frozen=True)
class Case:
    motion: str
    timestep: float = 0.25
    steps: int = 160
    beads: int = 1
    columns: str = ""
    time: str = ""
    ensemble: str = ""
    arguments: tuple[str, ...] = ()


STRESS = "<stress units='megapascal'> [ 0, 0, 0, 0, 0, 0, 0, 0, 0 ] </stress>"
CASES = {
    "plain": Case(PLAIN),
    "driven": Case(DRIVEN, columns=OF_THE_FIELD),
    "driven, long steps": Case(DRIVEN, timestep=0.5, steps=80, columns=OF_THE_FIELD),
    "served": Case(PLAIN, arguments=SERVED),
    "pulse": Case(DRIVEN, columns=OF_THE_FIELD, time=PULSE),
    "driven beads": Case(DRIVEN, steps=30, beads=4, columns=OF_THE_FIELD),
    "served beads": Case(PLAIN, steps=30, beads=4, arguments=SERVED),
    "flexible": Case(FLEXIBLE, timestep=0.5, ensemble=STRESS),
    "flexible, served": Case(FLEXIBLE, timestep=0.5, ensemble=STRESS, arguments=("--field", "0.3,0.1,-0.2")),
}


class Result:
    """What i-PI wrote, in atomic units."""

    def __init__(self, folder: Path):
        self.folder = folder
        columns = list(read_property_table(folder / "test.out").by_name)
        values = np.loadtxt(folder / "test.out")
        places, self._columns = 0, {}
        for name in columns:
            width = 3 if name in ("Efield", "dipole") else 1
            self._columns[name] = np.squeeze(values[:, places : places + width], axis=1 if width == 1 else ())
            places += width
        assert places == values.shape[1]

    def __getitem__(self, name: str) -> np.ndarray:
        return self._columns[name]

    def moments(self, bead: int = 0) -> np.ndarray:
        return np.loadtxt(self.folder / f"test.moments_{bead}")

    def positions(self, bead: int = 0) -> np.ndarray:
        lines = (self.folder / f"test.positions_{bead}.xyz").read_text().splitlines()
        rows = [line.split()[1:] for line in lines if re.match(r"\s+[OH] ", line) or line.startswith(("O ", "H "))]
        return np.array(rows, dtype=float).reshape(len(self["step"]), -1, 3)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """All cases, two at a time: most of the time goes into starting up."""
    waiting, running, finished = list(CASES), {}, {}
    folders = {}
    try:
        while waiting or running:
            while waiting and len(running) < 2:
                name = waiting.pop(0)
                folders[name] = Folder(tmp_path_factory.mktemp(re.sub(r"\W+", "-", name)))
                running[name] = start(folders[name], CASES[name])
            name = next(iter(running))
            _, errors = running.pop(name).communicate(timeout=300)
            assert errors == "", name
            finished[name] = Result(folders[name].path)
        yield finished
    finally:
        for folder in folders.values():
            folder.kill_all()


def start(folder: Folder, case: Case) -> subprocess.Popen[str]:
    with as_file(files("beadwise.inputs") / "water_64.xyz") as source:
        shutil.copy(source, folder.path)
    text = INPUT.format(
        columns=case.columns,
        outputs=DIPOLE,
        steps=case.steps,
        address=folder.address,
        beads=case.beads,
        ensemble=case.ensemble,
        motion=case.motion.format(timestep=case.timestep, time=case.time),
    )
    (folder.path / "input.xml").write_text(text.strip())
    command = [sys.executable, "-m", "beadwise.driver", "run", "input.xml", "--model", "water", "--spectrum", "none"]
    return subprocess.Popen(
        [*command, "--threads", "1", *case.arguments],
        cwd=folder.path,
        env={**os.environ, "BEADWISE_TEST": folder.mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def spread(values: np.ndarray) -> float:
    return float(np.ptp(values))


def rms(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).mean()))


def test_energy_is_conserved_in_a_driven_field(results):
    """U + T − E·μ, which i-PI does not add up, as well as U + T without field, and better with shorter steps."""
    driven, plain = results["driven"], results["plain"]
    enthalpy = driven["conserved"] - driven["interaction_energy"]
    assert spread(driven["conserved"]) > 50 * spread(plain["conserved"])  # the field works
    assert spread(enthalpy) < 1.2 * spread(plain["conserved"])
    longer = results["driven, long steps"]
    ratio = spread(longer["conserved"] - longer["interaction_energy"]) / spread(enthalpy)
    assert ratio == pytest.approx(4, abs=0.4)  # velocity Verlet: second order


@pytest.mark.parametrize("beads", ["", " beads"])
def test_a_served_field_is_the_driven_one(results, beads):
    """A constant field is a force like any other: both are velocity Verlet, and differ by rounding."""
    served, driven = results["served" + beads], results["driven" + beads]
    enthalpy = driven["conserved"] - driven["interaction_energy"]
    np.testing.assert_allclose(served["conserved"], enthalpy, rtol=0, atol=1e-9)
    potential = driven["potential"] - driven["interaction_energy"]
    np.testing.assert_allclose(served["potential"], potential, rtol=0, atol=1e-8)
    for bead in range(CASES["served" + beads].beads):
        np.testing.assert_allclose(served.positions(bead), driven.positions(bead), rtol=0, atol=1e-6)
        np.testing.assert_allclose(served.moments(bead), driven.moments(bead), rtol=0, atol=1e-9)
    moved = results["plain"].positions()[30] - results["served"].positions()[30]
    assert np.abs(moved).max() > 1e-3  # bohr: the field does not go unnoticed


def test_energy_is_conserved_in_a_served_field(results):
    assert spread(results["served"]["conserved"]) < 1.2 * spread(results["plain"]["conserved"])


def test_the_dipole_is_the_same_in_the_properties_and_in_the_extras(results):
    driven = results["driven"]
    np.testing.assert_allclose(driven["dipole"], driven.moments(), rtol=1e-13)
    np.testing.assert_allclose(driven["interaction_energy"], driven.moments() @ ATOMIC_FIELD, rtol=1e-12)
    np.testing.assert_allclose(driven["Efield"], np.tile(ATOMIC_FIELD, (161, 1)), rtol=1e-12)


def test_a_pulse_gives_the_energy_that_the_dipole_absorbs(results):
    """What i-PI's energy gains is ∫ E dμ, at every time of the pulse."""
    pulse = results["pulse"]
    fields, steps = pulse["Efield"], np.diff(pulse["dipole"], axis=0)
    absorbed = np.concatenate([[0], np.cumsum(((fields[1:] + fields[:-1]) / 2 * steps).sum(axis=1))])
    gained = pulse["conserved"] - pulse["conserved"][0]
    assert rms(fields[-1]) < 1e-3 * rms(ATOMIC_FIELD)
    assert gained[-1] > 10 * spread(results["plain"]["conserved"])
    np.testing.assert_allclose(gained, absorbed, rtol=0, atol=1.2 * spread(results["plain"]["conserved"]))


def test_energy_is_conserved_in_a_served_field_while_the_cell_changes_its_shape(results):
    """i-PI moves a cell by the upper triangle of the virial, which in a field is not that of its symmetric part."""
    bare, served = results["flexible"], results["flexible, served"]
    assert np.ptp(served["volume"]) > 50
    assert spread(served["conserved"]) < 1.2 * spread(bare["conserved"])
