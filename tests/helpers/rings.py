"""Ring polymers in harmonic traps, drawn exactly, in the files of an i-PI run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import units
from beadwise.runs.input.outputs import ExtrasOutput
from ipi.engine.atoms import Atoms
from ipi.engine.cell import Cell
from ipi.utils.io import print_file
from ipi.utils.units import Elements, unit_to_internal

TEMPERATURE = 300.0
THERMAL_ENERGY = units.kB * TEMPERATURE
MASS = Elements.mass("H") / unit_to_internal("mass", "dalton", 1.0)  # in u
HBAR = units._hbar * units.J * units.s  # in eV times ASE's unit of time
BOX = 30.0  # Å
STRIDE = 10
INPUT = """<simulation>
  <output prefix='run'>
    <properties filename='out' stride='10'> [ step, time{{picosecond}}, potential{{electronvolt}} ] </properties>
    <trajectory filename='pos' stride='10' cell_units='angstrom'> positions{{angstrom}} </trajectory>
  </output>
  <ffsocket mode='unix' name='driver'> <address> any </address> </ffsocket>
  <system>
    <initialize nbeads='{beads}'> <file mode='xyz'> start.xyz </file> </initialize>
    <forces> <force forcefield='driver'/> </forces>
    <ensemble> <temperature units='kelvin'> {temperature:g} </temperature> </ensemble>
    <motion mode='dynamics'>
      <dynamics mode='nvt'> <timestep units='femtosecond'> 0.5 </timestep> </dynamics>
    </motion>
  </system>
</simulation>
"""
HEADER = """# column   1     --> step : The current simulation time step.
# column   2     --> time{picosecond} : The elapsed simulation time.
# column   3     --> potential{electronvolt} : The physical system potential energy.
"""


def modes_of_ring(beads: int) -> np.ndarray:
    """(βħω_k)² of the free ring polymer."""
    return np.square(2 * beads * np.sin(np.pi * np.arange(beads) / beads))


def reduced_square(stiffness: float, mass: float = MASS) -> float:
    """(βħω)² of an oscillator; the stiffness is in eV/Å²."""
    return (HBAR / THERMAL_ENERGY) ** 2 * stiffness / mass


def drawn_rings(samples: int, beads: int, atoms: int, stiffness: float, random: np.random.Generator) -> np.ndarray:
    """Positions in Å, shape (samples, beads, atoms, 3), each independent of all others."""
    # β times the energy is (1/P) Σ_k [(P/βħω)² (q_k+1 − q_k)²/2 + q_k²/2] in units of √(k_B T/k)
    inverse = (modes_of_ring(beads) / reduced_square(stiffness) + 1) / beads
    noise = np.fft.fft(random.normal(size=(samples, beads, atoms, 3)), axis=1)
    unit = np.sqrt(THERMAL_ENERGY / stiffness)
    return unit * np.fft.ifft(noise / np.sqrt(inverse)[:, None, None], axis=1).real


def exact_difference(beads: int, atoms: int, model: float, reference: float) -> float:
    """A_REF − A_ML of ring polymers in traps of these stiffnesses, in eV."""
    modes = modes_of_ring(beads)
    terms = np.log((modes + reduced_square(reference)) / (modes + reduced_square(model)))
    return 1.5 * atoms * THERMAL_ENERGY * terms.sum()


def write_run(
    folder: Path, positions: np.ndarray, stiffness: float, temperature: float = TEMPERATURE, offset: float = 0.0
) -> Path:
    """Write what i-PI would of a run with these positions; returns the input."""
    folder.mkdir()
    _, beads, atoms, _ = positions.shape
    source = folder / "input.xml"
    source.write_text(INPUT.format(beads=beads, temperature=temperature))
    (folder / "start.xyz").write_text(f"{atoms}\n\n" + "H 0 0 0\n" * atoms)
    append_frames(folder, positions, range(0, STRIDE * len(positions), STRIDE))
    energies = 0.5 * stiffness * np.square(positions).sum(axis=(2, 3)).mean(axis=1) + offset
    rows = [f"{STRIDE * n:14.8e} {0.005 * n:14.8e} {energy:16.10e}\n" for n, energy in enumerate(energies)]
    (folder / "run.out").write_text(HEADER + "".join(rows))
    return source


def trajectory_files(folder: Path, beads: int) -> list[Path]:
    return [folder / f"{name}.xyz" for name in ExtrasOutput("run.pos", (), STRIDE).files(beads)]


def append_frames(folder: Path, positions: np.ndarray, steps) -> None:
    """Append samples to the files of the beads with i-PI's own writer."""
    _, beads, count, _ = positions.shape
    atoms, cell = Atoms(count), Cell(np.eye(3) * BOX * unit_to_internal("length", "angstrom", 1.0))
    atoms.names[:] = "H"
    for bead, path in enumerate(trajectory_files(folder, beads)):
        with open(path, "a") as file:
            for step, frame in zip(steps, positions[:, bead], strict=True):
                atoms.q[:] = frame.ravel() * unit_to_internal("length", "angstrom", 1.0)
                title = f"Step:  {step:10d}  Bead:   {bead:5d} "
                print_file("xyz", atoms, cell, file, title, "positions", "length", "angstrom", "angstrom")
