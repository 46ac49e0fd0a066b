"""Quantities of a package of the user's own, through a real i-PI for every bead, and over ranks of MPI."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import own_quantities
import pytest
from ase.io import write
from beadwise.model import Batch, load, save
from beadwise.properties.quantities import heads, registered
from beadwise.runs.output.series_files import find_sources
from beadwise.runs.units import BOHR_PER_ANGSTROM
from ipi.utils.io import read_file
from models import random_model, random_structure
from own_quantities import LEVELS, QUADRUPOLE
from places import HELPERS

MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
INPUT = """
<simulation verbosity='low' floatformat='%.17e'>
  <output prefix='own'>
    <properties filename='out' stride='1'> [ step, potential ] </properties>
    <trajectory filename='atoms' stride='1' extra_type='atomic_quadrupole'> extras </trajectory>
    <trajectory filename='cell' stride='1' extra_type='level_density,dipole'> extras </trajectory>
    <trajectory filename='pos' stride='1' format='xyz' cell_units='angstrom'> positions{angstrom} </trajectory>
  </output>
  <total_steps> 3 </total_steps>
  <ffsocket mode='unix' name='own'> <address> beadwise-own-ADDRESS </address> <latency> 1e-3 </latency> </ffsocket>
  <system>
    <initialize nbeads='2'>
      <file mode='ase' units='angstrom'> water.extxyz </file>
      <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces> <force forcefield='own'/> </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
    <motion mode='dynamics'>
      <dynamics mode='nve'> <timestep units='femtosecond'> 0.1 </timestep> </dynamics>
    </motion>
  </system>
</simulation>
"""
TOGETHER = """
import json, numpy as np
from ase.io import read
from beadwise.driver.doors.mpi_group import form_groups, share_work, sharing, world
from beadwise.model import Batch, load
ranks = world()
group = form_groups(ranks, 2)
model, want = load("own.safetensors"), ("energy", "level_density", "atomic_quadrupole")
if group.rank:
    share_work(model, group)
else:
    batch = Batch.from_ase([read("water.extxyz")] * 2)
    with sharing(model, group) as together:
        received, expected = together.evaluate(batch, want), load("own.safetensors").evaluate(batch, want)
    print(json.dumps({name: float(np.abs(received[name] - expected[name]).max()) for name in want}))
"""


@pytest.fixture
def folder(tmp_path):
    """A model with two quantities of a package that is installed beside it, and a structure."""
    package = tmp_path / "packages"
    information = package / "own_quantities-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: own-quantities\nVersion: 1.0\n")
    entry_points = str(own_quantities.__doc__)
    (information / "entry_points.txt").write_text(entry_points[entry_points.index("[") :])
    shutil.copy(Path(__file__).with_name("own_quantities.py"), package)
    with registered(QUADRUPOLE, LEVELS):
        wanted = ("energy", "dipole", "atomic_quadrupole", "level_density")
        model = random_model(heads=[name for name, (own, _) in heads().items() if own.name in wanted])
        save(model, tmp_path / "own.safetensors")
    write(tmp_path / "water.extxyz", random_structure(3), format="extxyz")
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    path = os.pathsep.join([str(folder / "packages"), str(HELPERS)])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=100, check=True
    )


def positions_of(path: Path) -> list[np.ndarray]:
    """Positions in Å of every frame that i-PI wrote."""
    frames = []
    with open(path) as file:
        while True:
            try:
                frames.append(read_file("xyz", file)["atoms"].q.reshape(-1, 3) / BOHR_PER_ANGSTROM)
            except EOFError:
                return frames


def test_every_bead_of_a_real_run(folder):
    (folder / "input.xml").write_text(INPUT.strip().replace("ADDRESS", str(os.getpid())))
    run(folder, sys.executable, "-m", "beadwise.driver", "run", "input.xml", "--model", "own.safetensors")
    frames = [positions_of(folder / f"own.pos_{bead}.xyz") for bead in range(2)]
    with registered(QUADRUPOLE, LEVELS):
        model, atoms = load(folder / "own.safetensors"), random_structure(3)
        for files, name in [("atoms", "atomic_quadrupole"), ("cell", "level_density")]:
            (source,) = find_sources([folder / f"own.{files}_{bead}" for bead in range(2)])
            samples = np.concatenate([found[name] for found in source.samples()])
            beads = []
            for bead in frames:
                copies = [atoms.copy() for _ in bead]
                for copy, positions in zip(copies, bead, strict=True):
                    copy.positions = positions
                beads.append(model.evaluate(Batch.from_ase(copies), (name,))[name])
            assert len(samples) == 4 and np.abs(samples).max() > 1e-3
            expected, moves = np.mean(beads, axis=0), 2e-5 * np.abs(samples).max()
            np.testing.assert_allclose(samples, expected, rtol=0, atol=moves)  # i-PI writes positions to six digits
            assert np.abs(expected[1:] - expected[:-1]).max() > 10 * moves


@pytest.mark.skipif(MPIEXEC is None, reason="no mpiexec on the search path: pip install mpich")
def test_two_ranks(folder):
    pytest.importorskip("mpi4py", reason="MPI is not installed: pip install 'beadwise[mpi]' and an MPI such as mpich")
    (folder / "together.py").write_text(TOGETHER)
    done = run(folder, str(MPIEXEC), "-n", "2", sys.executable, "together.py")
    differences = json.loads(done.stdout)
    assert set(differences) == {"energy", "level_density", "atomic_quadrupole"}
    assert max(differences.values()) < 1e-12
