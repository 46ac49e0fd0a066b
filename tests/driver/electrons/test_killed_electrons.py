"""Silicon with electrons in a real i-PI: killed and continued, the averages are those of a run that was not."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import ase.io
from ase.build import bulk
from beadwise.analysis.averages.live import LiveAverages
from beadwise.driver.launch.shipped_inputs import SHIM
from beadwise.model import save
from beadwise.properties.density_of_states import QUANTITY
from beadwise.runs.input.run_input import RunInput
from models import random_model

STEPS, KILLED_AFTER, STRIDE, PATIENCE = 100, 14, 2, 180
CURVE = "density_of_states"
NUMBERS = (
    "electronic_free_energy",
    "electronic_entropy",
    "electronic_heat_capacity",
    "fermi_level",
    "density_at_fermi_level",
)
NAMES = (CURVE, *NUMBERS)
INPUT = f"""
<simulation verbosity='low' floatformat='%24.16e'>
  <output prefix='si'>
    <properties filename='out' stride='1'> [ step, temperature{{kelvin}} ] </properties>
    <trajectory filename='electrons' stride='{STRIDE}' extra_type='{",".join(NAMES)}'> extras </trajectory>
    <checkpoint filename='chk' stride='10' overwrite='true'/>
  </output>
  <total_steps> {STEPS} </total_steps>
  <prng> <seed> 7 </seed> </prng>
  <ffdirect name='own'> <pes> custom </pes> <pes_path> {SHIM} </pes_path> <batch_size> 4 </batch_size>
    <parameters> {{ model: electrons:temperature=5000;forces=yes;own.safetensors, structure: silicon.extxyz,
      want: {"+".join(NAMES)} }} </parameters>
  </ffdirect>
  <system>
    <initialize nbeads='4'>
      <file mode='ase' units='angstrom'> silicon.extxyz </file>
      <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces> <force forcefield='own'/> </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
    <motion mode='dynamics'>
      <dynamics mode='nvt' splitting='baoab'>
        <timestep units='femtosecond'> 0.5 </timestep>
        <thermostat mode='pile_l'> <tau units='femtosecond'> 20 </tau> </thermostat>
      </dynamics>
    </motion>
  </system>
</simulation>
"""


def prepare(path: Path) -> Path:
    """Eight atoms, and energies and curves of a model of random weights."""
    path.mkdir()
    (path / "input.xml").write_text(INPUT.strip())
    ase.io.write(path / "silicon.extxyz", bulk("Si", cubic=True), format="extxyz")
    heads = ["energy", *(head.name for head in QUANTITY.heads)]
    save(random_model(numbers=(14,), heads=heads), path / "own.safetensors")
    return path


def start(folder: Path, name: str) -> subprocess.Popen[bytes]:
    command = [str(Path(sys.executable).with_name("i-pi")), name]
    with open(folder / "log", "ab") as log:
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)


def finish(folder: Path, process: subprocess.Popen[bytes]) -> None:
    assert process.wait(timeout=PATIENCE) == 0, (folder / "log").read_text()


def tables(live: LiveAverages) -> dict[str, str]:
    """Of the run in the present folder."""
    live.read()
    for name, outcome in live.outcomes().items():
        outcome.write(Path(name))
    return {name: Path(name).read_text() for name in NAMES}


def test_killed_and_continued_run_has_the_same_averages(tmp_path, monkeypatch):
    whole, broken = prepare(tmp_path / "whole"), prepare(tmp_path / "broken")
    running = start(whole, "input.xml")
    process = start(broken, "input.xml")
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        if (broken / "si.out").exists() and len((broken / "si.out").read_text().splitlines()) > KILLED_AFTER:
            break
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    monkeypatch.chdir(broken)
    checkpoint = RunInput.read(Path("si.chk"))
    assert 0 < checkpoint.step < STEPS
    live = LiveAverages(NAMES, checkpoint)
    finish(broken, start(broken, "si.chk"))
    continued = tables(live)
    finish(whole, running)
    monkeypatch.chdir(whole)
    expected = tables(LiveAverages(NAMES, RunInput.read(Path("input.xml"))))
    assert continued == expected
    for name, table in expected.items():
        rows = [line.split(",") for line in table.splitlines() if not line.startswith("#")]
        assert len(rows) == (81 if name == CURVE else 2)
        assert "46 samples, 4 beads" in table  # of 51, without the first tenth
        assert name == CURVE or float(rows[1][rows[0].index("sampling error")]) > 0
