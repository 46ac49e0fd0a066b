"""Sample geometries of liquid water: path-integral molecular dynamics with i-PI and beadwise.

    python sample.py MODEL BULK_TRAIN [RUN ...]

32 molecules in a cubic box, 16 beads, PILE-L thermostat, one run for every density and temperature of RUNS, each in
a folder `run_NAME` of its own.  Every run starts from the frame of BULK_TRAIN that is nearest in density and not used
by a run before it; its molecules are moved as rigid bodies to the new box.  A run that has its trajectory already is
left alone.  Beads are picked from the trajectories by `label.py`.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
from ase.io import read, write

BEADS, TIMESTEP, STEPS, STRIDE = 16, 0.5, 3200, 80  # fs, steps, steps between the snapshots that are written
# g/cm3, K, in the order in which they are run; the seed is 7101 + place
RUNS = [
    (1.00, 300),
    (0.92, 300),
    (1.09, 300),
    (0.86, 300),
    (1.04, 300),
    (0.97, 300),
    (1.00, 360),
    (0.95, 300),
    (1.02, 300),
]
MOLAR_MASS, AVOGADRO = 18.01528, 0.602214076  # g/mol, 1e24/mol

INPUT = """<simulation verbosity='low'>
  <output prefix='water'>
    <properties filename='out' stride='20'>
      [ step, time{{picosecond}}, conserved{{electronvolt}}, temperature{{kelvin}}, potential{{electronvolt}} ]
    </properties>
    <trajectory filename='beads' stride='{stride}' format='xyz' cell_units='angstrom'>
      positions{{angstrom}}
    </trajectory>
  </output>
  <total_steps> {steps} </total_steps>
  <prng> <seed> {seed} </seed> </prng>
  <ffsocket mode='unix' name='beadwise'>
    <address> labels-{name} </address>
    <batch_size> {beads} </batch_size>
    <latency> 1e-3 </latency>
  </ffsocket>
  <system>
    <initialize nbeads='{beads}'>
      <file mode='ase' units='angstrom'> start.xyz </file>
      <velocities mode='thermal' units='kelvin'> {temperature} </velocities>
    </initialize>
    <forces> <force forcefield='beadwise'/> </forces>
    <ensemble> <temperature units='kelvin'> {temperature} </temperature> </ensemble>
    <motion mode='dynamics'>
      <dynamics mode='nvt' splitting='baoab'>
        <timestep units='femtosecond'> {timestep} </timestep>
        <thermostat mode='pile_l'> <tau units='femtosecond'> 50 </tau> </thermostat>
      </dynamics>
    </motion>
  </system>
</simulation>
"""


def run_name(density, temperature):
    return f"d{density:.2f}-{temperature}K"


def rescaled(atoms, length):
    """Whole molecules (O, H, H in order), their oxygens scaled with the box."""
    vectors = atoms.get_all_distances(mic=True, vector=True)
    oxygens = np.arange(len(atoms)) // 3 * 3
    inner = vectors[oxygens, np.arange(len(atoms))]
    places = atoms.get_scaled_positions(wrap=True)[oxygens] * length + inner
    moved = atoms.copy()
    moved.info, moved.calc = {}, None
    moved.set_cell(np.eye(3) * length)
    moved.positions = places
    return moved


def main():
    model, frames = sys.argv[1], read(sys.argv[2], ":")
    model = str(Path(model).resolve()) if Path(model).exists() else model
    wanted, used = sys.argv[3:], set()
    for place, (density, temperature) in enumerate(RUNS):
        length = (len(frames[0]) / 3 * MOLAR_MASS / AVOGADRO / density) ** (1 / 3)
        off = np.array([abs(np.log(a.cell[0, 0] / length)) for a in frames])
        start = next(int(k) for k in np.argsort(off, kind="stable") if k not in used)
        used.add(start)
        name = run_name(density, temperature)
        folder = Path(f"run_{name}")
        if (wanted and name not in wanted) or (folder / "RESTART").exists():
            continue
        folder.mkdir(exist_ok=True)
        atoms = rescaled(frames[start], length)
        atoms.arrays.pop("forces", None)
        write(folder / "start.xyz", atoms, format="extxyz")
        (folder / "input.xml").write_text(
            INPUT.format(
                steps=STEPS,
                stride=STRIDE,
                seed=7101 + place,
                name=name,
                beads=BEADS,
                temperature=temperature,
                timestep=TIMESTEP,
            )
        )
        print(
            name,
            "box",
            round(length, 5),
            "starts from frame",
            start,
            "density factor",
            round(float(off[start]), 5),
            flush=True,
        )
        subprocess.run(
            ["beadwise", "run", "input.xml", "--model", str(model), "--threads", "1", "--want", "energy,forces,virial"],
            cwd=folder,
            check=True,
        )


if __name__ == "__main__":
    main()
