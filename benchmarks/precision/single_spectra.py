"""Spectra of one trajectory in single precision beside double: dipoles and polarizabilities of the same frames in both.

python benchmarks/precision/single_spectra.py [--model water] [--ps 10] [--seed 0]

Constant energy by velocity Verlet, 32 molecules of water, 0.5 fs, from velocities of 300 K, in double precision; a
sample each 1 fs.  The table compares both spectra at every maximum of that of double precision.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.io import read
from beadwise.model import Batch, Model, load
from beadwise.model.evaluators import with_precision
from beadwise.spectra import Conditions, Window
from beadwise.spectra.recording import make_recorder, spectrum_of
from beadwise.spectra.spectrum import Spectrum
from scipy.signal import argrelmax

STRUCTURE = Path(__file__).resolve().parents[2] / "inputs" / "water_32.xyz"
TEMPERATURE, TIMESTEP, STRIDE = 300.0, 0.5, 2  # K, fs, time steps between samples
WANT = ("dipole", "polarizability")
CURVES = {"ir": ("n_alpha",), "raman": ("isotropic", "anisotropic", "parallel", "perpendicular", "unpolarised")}


def trajectory(model: Model, atoms: Atoms, picoseconds: float, seed: int) -> Iterator[Batch]:
    """Batches of one frame, each `STRIDE` steps of velocity Verlet apart."""
    masses = atoms.get_masses()[:, None]
    speed = np.sqrt(TEMPERATURE * units.kB / masses)
    velocities = np.random.default_rng(seed).normal(size=(len(atoms), 3)) * speed
    velocities -= (masses * velocities).sum(0) / masses.sum()
    step, places, cell = TIMESTEP * units.fs, atoms.positions.copy(), atoms.cell.array[None]
    forces = model.evaluate(Batch(atoms.numbers, places[None], cell, atoms.pbc), ("forces",))["forces"][0]
    for count in range(round(1000 * picoseconds / TIMESTEP)):
        velocities += 0.5 * step * forces / masses
        places = places + step * velocities
        batch = Batch(atoms.numbers, places[None], cell, atoms.pbc)
        forces = model.evaluate(batch, ("forces",))["forces"][0]
        velocities += 0.5 * step * forces / masses
        if count % STRIDE == 0:
            yield batch


def spectra(samples: dict[str, np.ndarray], volume: float) -> Iterator[tuple[str, Spectrum]]:
    """Infrared and Raman spectra of a series."""
    timestep = STRIDE * TIMESTEP
    window, conditions = Window("hann", 1000.0), Conditions(timestep, TEMPERATURE, volume)
    for kind in CURVES:
        recorder = make_recorder(kind, timestep, window)
        recorder.add(samples)
        yield kind, spectrum_of([recorder], conditions, window)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="water")
    parser.add_argument("--ps", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    double, atoms = load(options.model), read(STRUCTURE)
    models = {"double": double, "single": with_precision(double, "single", options.model)}
    series: dict[str, dict[str, list]] = {name: {own: [] for own in WANT} for name in models}
    for batch in trajectory(double, atoms, options.ps, options.seed):
        for name, model in models.items():
            answer = model.evaluate(batch, WANT)
            for own in WANT:
                series[name][own].append(answer[own][0])
    arrays = {name: {key: np.array(own) for key, own in kept.items()} for name, kept in series.items()}
    both = {name: dict(spectra(own, atoms.get_volume())) for name, own in arrays.items()}
    print("| spectrum | curve | maxima | largest difference | at / cm⁻¹ | of the heights, root mean square |")
    print("|---|---|---|---|---|---|")
    for kind, names in CURVES.items():
        for name in names:
            expected, found = (both[precision][kind][name].values for precision in models)
            tops = argrelmax(expected)[0]
            off = found[tops] / expected[tops] - 1
            worst = np.argmax(abs(off))
            where, mean = both["double"][kind].wavenumber[tops[worst]], np.sqrt((off**2).mean())
            print(f"| {kind} | {name} | {len(tops)} | {abs(off).max():.1e} | {where:.0f} | {mean:.1e} |")


if __name__ == "__main__":
    main()
