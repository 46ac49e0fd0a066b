"""What spectra cost while a run goes on, beside a force evaluation; correlation beside SciPy; see the README.

python benchmarks/spectra_speed.py [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
from beadwise.model import Batch, load
from beadwise.runs.output.bead_series import BeadSeries
from beadwise.runs.units import to_atomic
from beadwise.spectra import Conditions, Correlation, Window
from beadwise.spectra.plot import plot_spectra
from beadwise.spectra.recording import make_recorder, spectrum_of
from measuring import least_seconds, machine, moving_beads, water_box
from rich.console import Console
from rich.table import Table
from scipy.signal import correlate

BEADS, STRIDE = 8, 2  # as in the shipped input `water`
SAMPLES, PIECE = 20_000, 50  # samples, and how many of them are there whenever the files are looked at
WINDOW = Window("hann", 1000.0)
LAGS = 1000


def force_evaluation() -> float:
    """Seconds of energy, forces, virial, dipole and polarizability of 8 beads of 192 atoms on one thread."""
    structure, model = water_box(), load("water", threads=1)
    cells = np.repeat(structure.cell.array[None], BEADS, axis=0)
    frames = moving_beads(structure, BEADS)
    want = ["energy", "forces", "virial", "dipole", "polarizability"]
    return least_seconds(
        lambda: model.evaluate(Batch(structure.numbers, next(frames), cells, structure.pbc), want), 200
    )


def write_records(folder: Path) -> list[list[str]]:
    """Records of each bead as i-PI writes them."""
    random = np.random.default_rng(0)
    dipole = to_atomic("dipole", random.normal(size=(SAMPLES, BEADS, 3)))
    polarizability = to_atomic("polarizability", 90 + random.normal(size=(SAMPLES, BEADS, 9)))
    rows = np.concatenate([dipole, polarizability], axis=2)
    return [
        [
            f" #EXTRAS(dipole,polarizability)# Step:  {sample * STRIDE:10d} \n"
            + " ".join(f"{number:24.16e}" for number in row)
            + "\n"
            for sample, row in enumerate(rows[:, bead])
        ]
        for bead in range(BEADS)
    ]


def live_cost(folder: Path) -> tuple[float, float, float]:
    """Seconds for each sample to read it from the files of all beads and to correlate it, and of one drawing."""
    records = write_records(folder)
    paths = [folder / f"moments_{bead}" for bead in range(BEADS)]
    series = BeadSeries(paths)
    recorders = [make_recorder(kind, 1.0, WINDOW) for kind in ("ir", "raman")]
    reading = correlating = 0.0
    for first in range(0, SAMPLES, PIECE):
        for path, own in zip(paths, records, strict=True):
            with open(path, "a") as file:
                file.writelines(own[first : first + PIECE])
        start = perf_counter()
        samples = series.read()
        read = perf_counter()
        for recorder in recorders:
            recorder.add(samples)
        reading, correlating = reading + read - start, correlating + perf_counter() - read

    def draw() -> None:
        for recorder in recorders:
            spectrum = spectrum_of([recorder], Conditions(1.0, 300.0, 1900.0), WINDOW)
            spectrum.write(folder / "spectrum.csv")
            plot_spectra({"": spectrum}, folder / "spectrum.png")

    return reading / SAMPLES, correlating / SAMPLES, least_seconds(draw, 3)


def correlation_beside_scipy() -> dict[str, float]:
    """Seconds for 1000 lags of a series of 200 000 samples of 3 components, in the same process."""
    series = np.random.default_rng(1).normal(size=(200_000, 3))
    whole = len(series)

    def by_scipy() -> np.ndarray:
        full = sum(correlate(one, one, method="fft") for one in series.T)
        return full[whole - 1 : whole + LAGS] / (whole - np.arange(LAGS + 1))

    def by_plain_sums() -> np.ndarray:
        return np.array([np.vdot(series[: whole - k], series[k:]) / (whole - k) for k in range(LAGS + 1)])

    ours = Correlation(LAGS)
    np.testing.assert_allclose(ours.compute(series).values, by_scipy(), atol=1e-10)
    np.testing.assert_allclose(ours.values, by_plain_sums(), atol=1e-10)
    return {
        "beadwise, streaming, with errors": least_seconds(lambda: Correlation(LAGS).compute(series), 5),
        "scipy.signal.correlate, whole series at once": least_seconds(by_scipy, 5),
        "NumPy, one inner product for each lag": least_seconds(by_plain_sums, 1),
    }


def main() -> None:
    """Measure, print, and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        reading, correlating, drawing = live_cost(Path(folder))
    force = force_evaluation()
    step = (reading + correlating) / STRIDE
    console = Console()
    description = machine()
    for name, value in description.items():
        console.print(f"{name}: {value}", highlight=False)
    table = Table("192 atoms, 8 beads", "µs", "% of a force evaluation")
    for name, seconds in (
        ("force evaluation, one thread", force),
        ("read a sample of all beads", reading),
        ("infrared and Raman fluxes and correlation of a sample", correlating),
        (f"both, for each step, a sample every {STRIDE} steps", step),
    ):
        table.add_row(name, f"{1e6 * seconds:.1f}", f"{100 * seconds / force:.2f}")
    console.print(table)
    console.print(f"drawing both spectra: {drawing:.2f} s; a run spends 0.3 % of its time on it", highlight=False)
    peers = correlation_beside_scipy()
    ours = next(iter(peers.values()))
    table = Table("200 000 samples of 3 components, 1000 lags", "ms", "ratio to beadwise")
    for name, seconds in peers.items():
        table.add_row(name, f"{1e3 * seconds:.1f}", f"{seconds / ours:.2f}")
    console.print(table)
    if arguments.json:
        numbers = {"force": force, "reading": reading, "correlating": correlating, "drawing": drawing}
        arguments.json.write_text(json.dumps({"machine": description, **numbers, **peers}, indent=2))


if __name__ == "__main__":
    main()
