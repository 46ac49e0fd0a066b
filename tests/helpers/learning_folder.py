"""A folder with all that a small loop of active learning needs, and ``beadwise learn`` in it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from beadwise.driver.commands.group import main
from beadwise.learning.data import Frame
from beadwise.learning.loop.configuration import LearnConfiguration, read_learn_configuration
from beadwise.learning.loop.frames import write_frames
from beadwise.learning.loop.state import RoundRecord, load_state
from beadwise.model import Batch
from beadwise.model.evaluators import load_evaluator
from click.testing import CliRunner

PATIENCE = 60
INPUT = """<simulation verbosity='low'>
  <output prefix='test'> <properties filename='out' stride='1'> [ step, potential ] </properties> </output>
  <total_steps> 16 </total_steps>
  <ffsocket mode='unix' name='model'>
    <address> any </address> <batch_size> 4 </batch_size> <latency> 1e-3 </latency>
  </ffsocket>
  <system>
    <initialize nbeads='4'>
      <file mode='ase' units='angstrom'> start.extxyz </file>
      <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <normal_modes propagator='cayley'/>
    <forces> <force forcefield='model'/> </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
    <motion mode='dynamics'>
      <dynamics mode='nvt' splitting='baoab'>
        <timestep units='femtosecond'> 0.5 </timestep>
        <thermostat mode='pile_g'> <tau units='femtosecond'> 100 </tau> </thermostat>
      </dynamics>
    </motion>
  </system>
</simulation>
"""
CONFIGURATION = """
[start]
frames = ["frames.xyz"]
count = 32
independent = ["frames.xyz"]
validation = 0.25
[fit.density]
cutoff = 3.5
radial = 4
l_max = 2
[fit.energy]
ridge = 1e-5
[fit.committee]
members = 6
[explore]
inputs = ["cold.xml"]
stride = 4
start = "input"
flag = 0.2
stop = 20.0
envelope_flag = 10.0
envelope_stop = 50.0
threads = 1
[select]
frames = 4
kind = "diverse"
[label]
reference = "qtip4pf"
workers = 0
[stop]
rounds = 2
[output]
folder = "loop"
model = "final.safetensors"
"""


def box(rng: np.random.Generator) -> Atoms:
    """Eight molecules on a grid, each turned its own way and a little distorted."""
    water = np.array([[0.0, 0.0, 0.0], [0.942, 0.0, 0.0], [-0.280, 0.899, 0.0]])
    places = 3.4 * np.array([[i, j, k] for i in range(2) for j in range(2) for k in range(2)])
    positions = [water @ np.linalg.qr(rng.normal(size=(3, 3)))[0] + place for place in places]
    atoms = Atoms("OHH" * 8, positions=np.concatenate(positions), cell=[6.8] * 3, pbc=True)
    atoms.positions += rng.normal(0, 0.06, atoms.positions.shape)
    return atoms


def labelled(atoms: Atoms) -> Frame:
    response = load_evaluator("qtip4pf").evaluate(Batch.from_ase(atoms), ["energy", "forces"])
    return Frame(atoms, {"energy": response.energy[0], "forces": response.forces[0]})


class Folder:
    """A folder with all that a loop needs, and ``beadwise learn`` in it."""

    def __init__(self, path: Path):
        self.path = path
        self.mark = uuid.uuid4().hex[:12]
        rng = np.random.default_rng(0)
        write_frames(path / "frames.xyz", [labelled(box(rng)) for _ in range(40)])
        ase.io.write(path / "start.extxyz", box(rng), format="extxyz")
        self.write()
        self.write_steps(16)

    def write(self, **values: object) -> Path:
        """Write the configuration with other values of some keys."""
        text = CONFIGURATION
        for key, value in values.items():
            text, count = re.subn(rf"(?m)^{key} = .*$", f"{key} = {json.dumps(value)}", text, count=1)
            assert count == 1
        (self.path / "learn.toml").write_text(text)
        return self.path / "learn.toml"

    def write_steps(self, steps: int) -> None:
        (self.path / "cold.xml").write_text(INPUT.replace("16 </total_steps>", f"{steps} </total_steps>"))

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "beadwise.driver", "learn", "learn.toml"],
            cwd=self.path,
            env={**os.environ, "BEADWISE_TEST": self.mark, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self) -> tuple[int, str, str]:
        """Run the command in this process, which has loaded all that it needs; what it starts bears the mark."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.path)
            patch.syspath_prepend(str(self.path))
            patch.setenv("BEADWISE_TEST", self.mark)
            patch.setenv("OMP_NUM_THREADS", "1")
            result = CliRunner().invoke(main, ["learn", "learn.toml"])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result.exit_code, result.stdout, result.stderr

    @property
    def records(self) -> list[RoundRecord]:
        state = load_state(self.path / "loop")
        return [] if state is None else state.rounds

    def processes(self) -> list[int]:
        """Whatever was started from here and is still there."""
        return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/environ") if self._is_ours(path)]

    def _is_ours(self, environment: Path) -> bool:
        try:
            return f"BEADWISE_TEST={self.mark}".encode() in environment.read_bytes()
        except OSError:
            return False

    def wait_until(self, condition) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def kill_all(self) -> None:
        for process in self.processes():
            os.kill(process, signal.SIGKILL)


def settings_of(folder: Folder, **values: object) -> LearnConfiguration:
    """Write the configuration with other values, and read it."""
    return read_learn_configuration(folder.write(**values))
