"""The O–H stretch of free molecules by all kinds of nuclear dynamics, with a real i-PI, beside the exact quantum band.

    python docs/pictures/nuclei/hydroxyl.py FOLDER [KIND ...]

48 molecules O–H with the bond of q-TIP4P/F (Morse's as it is here; S. Habershon, T. E. Markland, D. E. Manolopoulos,
J. Chem. Phys. 131, 024501 (2009)), far from each other, at 300 K: they vibrate, and rotate freely.  Each KIND is
equilibrated with a thermostat on every mode and then moves by itself.  The inputs are those of `beadwise nuclei` and
`beadwise pigs`, the bands densities of states of the hydrogen from velocities of the centroids.  The exact band is the
sum of the lines of the quantum molecule in its angular momenta, found on a grid.  `hydroxyl.csv` and `hydroxyl.png` are
written beside this file; what is finished in FOLDER is not run again.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import units
from beadwise.analysis.nuclei.inputs import Treatment, prepare_input
from beadwise.analysis.pigs.inputs import Sampling
from beadwise.analysis.pigs.inputs import prepare_input as prepare_sampling
from beadwise.analysis.pigs.samples import read_samples
from beadwise.driver.launch.shipped_inputs import SHIM
from beadwise.driver.launch.supervision import ipi_command
from beadwise.learning.centroid.correction import fit_correction
from beadwise.learning.centroid.frames import frames_of
from beadwise.learning.fitting.sections import DensitySettings
from beadwise.model import Batch, Response, save
from beadwise.model.files import load_model
from beadwise.pictures import COLOURS, LEGEND, WIDTH, band, curve_style, foot, panel, write_png
from beadwise.runs.input.run_input import RunInput
from beadwise.spectra import Window
from beadwise.spectra.transform import even_transform

HERE = Path(__file__).resolve().parent
TEMPERATURE, SIDE, SPACING, PICOSECONDS = 300.0, (4, 4, 3), 30.0, 2.0
DEPTH, DECAY, LENGTH = 116.09 * units.kcal / units.mol, 2.287, 0.9419  # eV, 1/Å, Å
BEADS = {"classical": 1, "rpmd": 16, "trpmd": 16, "pa-cmd": 16, "te-pigs": 1}
NAMES = {
    "exact": "quantum, exact",
    "classical": "classical",
    "rpmd": "RPMD",
    "trpmd": "TRPMD",
    "pa-cmd": "PA-CMD",
    "te-pigs": "Te PIGS, 500 K",
}
LOWEST, HIGHEST = 3000.0, 4300.0  # cm⁻¹
CORRECTION = "correction.safetensors"
MASSES = {"O": 15.9994, "H": 1.00794}
INPUT = """<simulation verbosity='low' threading='false'>
  <output prefix='{prefix}'> {output} </output>
  <total_steps> {steps} </total_steps>
  <prng> <seed> 7 </seed> </prng>
  <ffdirect name='oh'>
    <pes> custom </pes> <pes_path> {shim} </pes_path>
    <parameters> {{model: hydroxyl:{potential}, structure: start.xyz}} </parameters> <batch_size> {batch} </batch_size>
  </ffdirect>
  <system>
    <initialize nbeads='{beads}'> {start} </initialize>
    <forces> <force forcefield='oh'/> </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
    <motion mode='dynamics'>
      <fixcom> False </fixcom>
      <dynamics mode='{ensemble}' splitting='baoab'>
        <timestep units='femtosecond'> 0.25 </timestep>
        <thermostat mode='pile_l'> <tau units='femtosecond'> 50 </tau> <pile_lambda> 0.5 </pile_lambda> </thermostat>
      </dynamics>
    </motion>
  </system>
</simulation>
"""
NEW = """<file mode='xyz'> start.xyz </file>
      <velocities mode='thermal' units='kelvin'> 300 </velocities>"""
VELOCITIES = "<trajectory filename='velocities' stride='{stride}' format='xyz'> v_centroid </trajectory>"


class Hydroxyls:
    """Free molecules O–H, in the order O, H, O, H …"""

    species = (1, 8)
    properties = ("energy", "forces", "virial")

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        bonds = batch.positions[:, 1::2] - batch.positions[:, ::2]
        cell = batch.cells[0].diagonal()
        bonds -= cell * np.round(bonds / cell)
        lengths = np.linalg.norm(bonds, axis=-1)
        decayed = np.exp(-DECAY * (lengths - LENGTH))
        pulls = -2 * DEPTH * DECAY * (1 - decayed) * decayed / lengths
        forces = np.zeros_like(batch.positions)
        forces[:, 1::2] = pulls[..., None] * bonds
        forces[:, ::2] = -forces[:, 1::2]
        virial = np.einsum("bma,bmc->bac", forces[:, 1::2], bonds)
        arrays = {"energy": (DEPTH * (1 - decayed) ** 2).sum(axis=1), "forces": forces, "virial": virial}
        return Response(**{name: arrays[name] for name in want})


def hydroxyls() -> Hydroxyls:
    return Hydroxyls()


def corrected() -> Parts:
    """The molecules with the mean force on their centroids, which the folder holds."""
    return Parts([Hydroxyls(), load_model(CORRECTION)])


class Parts:
    """A sum of potentials."""

    species, properties = Hydroxyls.species, Hydroxyls.properties

    def __init__(self, parts: Sequence[Any]):
        self.parts = parts

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        answers = [part.evaluate(batch, want) for part in self.parts]
        return Response(**{name: sum(answer[name] for answer in answers) for name in want})


def start(path: Path) -> None:
    """Molecules of random orientation."""
    rng = np.random.default_rng(1)
    sites = np.stack(np.meshgrid(*map(np.arange, SIDE), indexing="ij"), axis=-1).reshape(-1, 3) * SPACING
    axes = rng.normal(size=sites.shape)
    axes /= np.linalg.norm(axes, axis=1)[:, None]
    positions = np.stack([sites, sites + LENGTH * axes], axis=1).reshape(-1, 3)
    cell = " ".join(f"{SPACING * side:g}" for side in SIDE)
    rows = [f"{'OH'[k % 2]} {x:.6f} {y:.6f} {z:.6f}" for k, (x, y, z) in enumerate(positions)]
    path.write_text(
        f"{len(rows)}\n# CELL(abcABC): {cell} 90 90 90 positions{{angstrom}} cell{{angstrom}}\n"
        + "\n".join(rows)
        + "\n"
    )


def run(path: Path) -> float:
    """Run i-PI; seconds of processor time."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    with open(path.with_suffix(".log"), "w") as log:
        subprocess.run([*ipi_command(), path.name], cwd=path.parent, env=environment, check=True, stdout=log)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def written(folder: Path, prefix: str, **differences: Any) -> Path:
    """An input of one bead, or of what `differences` say."""
    usual = {"output": "", "potential": "hydroxyls", "batch": 1, "beads": 1, "start": NEW, "ensemble": "nvt"}
    path = folder / f"{prefix}.xml"
    path.write_text(INPUT.format(**{"prefix": prefix, "shim": SHIM, **usual, **differences}))
    return path


def band_of(folder: Path, kind: str) -> np.ndarray:
    """Run a kind of dynamics; the density of states of hydrogen and its standard error, shape (n, 3)."""
    folder = folder / kind
    if not (folder / "dos.csv").exists():
        folder.mkdir(parents=True, exist_ok=True)
        start(folder / "start.xyz")
        beads, potential = BEADS[kind], "corrected" if kind == "te-pigs" else "hydroxyls"
        if kind == "te-pigs":
            fit_correction_of(folder)
        common = {"beads": beads, "batch": min(beads, 2), "potential": potential}
        run(written(folder, "equilibration", steps=1600, output="<checkpoint filename='chk' stride='1600'/>", **common))
        timestep = 0.125 if kind == "pa-cmd" else 0.25
        path = written(
            folder,
            "run",
            steps=round(1000 * PICOSECONDS / timestep),
            output=VELOCITIES.format(stride=round(1 / timestep)),
            start="<file mode='chk'> RESTART </file>",
            ensemble="nve" if beads == 1 else "nvt",
            **common,
        )
        if beads > 1:
            path = prepare_input(RunInput.read(path), Treatment(kind, beads, 4000.0, timestep=timestep)).path
        seconds = run(path)
        (folder / "seconds.txt").write_text(f"{seconds / PICOSECONDS:.3g}\n")
        (velocities,) = folder.glob("run*velocities*.xyz")
        command = [sys.executable, "-m", "beadwise", "spectrum", "dos", str(velocities), "--window", "600"]
        subprocess.run([*command, "--input", str(path), "--output", str(folder / "dos")], check=True)
    with open(folder / "dos.csv", newline="", encoding="utf-8") as file:
        header, *rows = (row for row in csv.reader(file) if row and not row[0].startswith("#"))
    place = next(k for k, name in enumerate(header) if name.startswith("H "))
    return np.array([[row[0], row[place], row[place + 1]] for row in rows], dtype=float)


def fit_correction_of(folder: Path) -> None:
    """The mean force on centroids at 500 K."""
    path = prepare_sampling(RunInput.read(written(folder, "te", steps=1)), Sampling(500.0, 16, 100, 10.0))
    run(path)
    samples = read_samples(RunInput.read(path))
    frames = frames_of(samples.numbers, samples.positions, samples.cells, samples.differences)
    correction, errors = fit_correction(frames, DensitySettings(cutoff=2.5, radial=6, l_max=2), {})
    print(*errors.lines, sep="\n")
    save(correction, folder / CORRECTION)


def exact_band(grid: np.ndarray) -> np.ndarray:
    """Kubo-transformed line shape of the velocity of the quantum molecule, with the window of the others.

    Lines of v = 0, J → v = 1, J ± 1 with the strengths of Hönl and London, weighted by ω (1 − exp(−ħω/kT)).
    """
    r = np.linspace(0.4, 2.6, 420)
    step, mass = r[1] - r[0], MASSES["O"] * MASSES["H"] / (MASSES["O"] + MASSES["H"])
    hbar = units._hbar * units.J * units.s
    apart = np.subtract.outer(np.arange(len(r)), np.arange(len(r)))
    kinetic = np.where(apart == 0, np.pi**2 / 3, 2 * (-1.0) ** apart / np.where(apart == 0, 1, apart) ** 2)
    kinetic *= hbar**2 / (2 * mass * step**2)
    levels = []
    for angular in range(32):
        potential = DEPTH * (1 - np.exp(-DECAY * (r - LENGTH))) ** 2
        rotation = hbar**2 * angular * (angular + 1) / (2 * mass * r**2)
        levels.append(np.linalg.eigh(kinetic + np.diag(np.minimum(potential + rotation, 60.0))))
    thermal, times = units.kB * TEMPERATURE, np.arange(0, 601.0)
    correlation = np.zeros(len(times))
    for low in range(31):
        for high in (low - 1, low + 1):
            if high < 0:
                continue
            energy = levels[high][0][1] - levels[low][0][0]
            moment = levels[high][1][:, 1] @ (r * levels[low][1][:, 0])
            weight = np.exp(-(levels[low][0][0] - levels[0][0][0]) / thermal) * max(low, high) * moment**2
            wavenumber = energy / units.invcm
            angle = 2 * np.pi * 2.99792458e-5 * wavenumber * times
            correlation += weight * energy * -np.expm1(-energy / thermal) * np.cos(angle)
    return even_transform(correlation, 1.0, Window("hann", 600.0), grid)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("kinds", nargs="*", default=list(BEADS))
    options = parser.parse_args()
    bands = {kind: band_of(options.folder.resolve(), kind) for kind in options.kinds}
    grid = next(iter(bands.values()))[:, 0]
    inside = (grid > LOWEST) & (grid < HIGHEST)
    curves = {"exact": np.array([grid, exact_band(grid), 0 * grid]).T} | bands
    figure, axes = panel((WIDTH, 3.6))
    columns, header = [grid[inside]], ["wavenumber (cm^-1)"]
    for colour, (kind, values) in zip(("0.25", *COLOURS), curves.items(), strict=False):
        x, y, error = values[inside].T
        area = y.sum() * (x[1] - x[0])
        y, error = 1000 * y / area, 1000 * error / area
        centre = (x * y).sum() / y.sum()
        width = np.sqrt((np.square(x - centre) * y).sum() / y.sum())
        cost = "" if kind == "exact" else (options.folder / kind / "seconds.txt").read_text().strip()
        print(f"| {NAMES[kind]} | {BEADS.get(kind, '')} | {centre:.0f} | {width:.0f} | {cost} |")
        axes.plot(x, y, label=NAMES[kind], **curve_style(colour))
        if kind == "exact":
            axes.fill_between(x, y, color="0.85")
        else:
            band(axes, x, y, error, colour)
        columns += [y, error]
        header += [f"{kind} (10^-3 cm)", f"{kind} standard error"]
    axes.set(xlim=(LOWEST, HIGHEST), ylim=(0, None), xlabel="ν̃ / cm⁻¹", ylabel="band / 10⁻³ cm")
    axes.legend(**LEGEND, loc="upper left")
    foot(figure, f"free O–H, {TEMPERATURE:g} K, runs of {PICOSECONDS:g} ps; Hann window of 600 fs; areas are 1")
    write_png(figure, HERE / "hydroxyl.png")
    with open(HERE / "hydroxyl.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *(np.array(columns).T.round(5).tolist())])


if __name__ == "__main__":
    main()
