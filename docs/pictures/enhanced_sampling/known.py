"""Particles whose free energies are known, under metadynamics, OPES and umbrella windows of real i-PI and PLUMED.

python docs/pictures/enhanced_sampling/known.py [--folder FOLDER] [--steps N] [--figure FILE.png]

A hydrogen atom in a double well and one in a harmonic well, classical and with 16 beads at 300 K, as in
tests/driver/test_known_free_energies.py
but for longer.  What is finished is not run again.  Prints how far each profile is
from the exact one, and draws all of them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import numpy as np
from beadwise.analysis.profile.make import ProfileRequest, make
from beadwise.analysis.profile.samples import ProfileOptions
from beadwise.driver.launch.supervision import ipi_command
from beadwise.pictures import COLOURS, WIDTH, head, name_panel, panels, reference_style, write_png
from matplotlib.lines import Line2D

TESTS = Path(__file__).resolve().parents[3] / "tests"
sys.path[:0] = [str(TESTS / folder) for folder in ("helpers", "driver", "analysis")]
from biased_particles import write_deposited, write_windows  # noqa: E402
from known_particles import THERMAL_ENERGY, known_free_energy  # noqa: E402
from test_known_free_energies import BEADS, CENTRES, HIGHEST, POTENTIALS, PROFILES  # noqa: E402
from test_profile_command import table_of  # noqa: E402

WINDOW_SHARE = 5  # steps of a deposited run for one of a window
EXACT = {"quantum": reference_style(), "classical": reference_style((0, (4, 2)))}
BINS, LIMITS = 18, (-0.9, 0.9)
COLOUR_OF = dict(zip(("metadynamics", "OPES", "umbrella"), COLOURS, strict=False))


def run(folder: Path, steps: int) -> None:
    """All runs that are not there yet, two at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, beads in BEADS.items():
        if not (folder / f"{name}-deposited").exists():
            write_deposited(folder / f"{name}-deposited", beads, steps)
        if not (folder / f"{name}-windows").exists():
            write_windows(folder / f"{name}-windows", beads, steps // WINDOW_SHARE, CENTRES)
    for name in BEADS:
        waiting = [own for own in folder.glob(f"{name}-*") if not (own / "RESTART").exists()]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(TESTS / "helpers")}
        running = [
            subprocess.Popen([*ipi_command(), "input.xml"], cwd=own, env=environment, stdout=log(own), stderr=log(own))
            for own in waiting
        ]
        for process in running:
            if process.wait() != 0:
                raise SystemExit(f"i-PI ended with status {process.returncode}")


def log(folder: Path) -> IO[str]:
    return (folder / "log").open("a")


def tables(folder: Path) -> dict[tuple[str, str, str], np.ndarray]:
    """Coordinate, free energy and error of every profile, by statistics, method and well."""
    found = {}
    for statistics in BEADS:
        for (method, well), (kind, variable, bias) in PROFILES.items():
            stem = folder / f"{statistics} {method} {well}"
            options = ProfileOptions(variable, (bias,), limits=LIMITS, bins=BINS)
            make(ProfileRequest((folder / f"{statistics}-{kind}",), options, output=stem))
            found[statistics, method, well] = table_of(stem.with_suffix(".csv"))[1]
    return found


def compare(found: dict[tuple[str, str, str], np.ndarray], figure_file: Path) -> None:
    """Print deviations from the exact curves, and draw them."""
    figure, all_axes = panels((WIDTH, 4.2), 1, 2)
    axes_of = dict(zip(POTENTIALS, all_axes, strict=True))
    edges = np.linspace(*LIMITS, BINS + 1)
    half = (edges[1] - edges[0]) / 2
    centres = np.linspace(LIMITS[0] + half, LIMITS[1] - half, 171)  # a bin of the same width around each
    shifts = {}
    for well, potential in POTENTIALS.items():
        for statistics in BEADS:
            exact = np.concatenate(
                [known_free_energy(potential, np.array([x - half, x + half]), statistics == "quantum") for x in centres]
            )
            shifts[well, statistics] = exact.min()
            shown = exact - exact.min() < HIGHEST
            axes_of[well].plot(centres[shown], (exact - exact.min())[shown], **EXACT[statistics])
        name_panel(axes_of[well], well, "left")
        axes_of[well].set_xlabel("x / Å")
        axes_of[well].margins(y=0.12)  # room for the name
    all_axes[0].set_ylabel("free energy / eV")
    print(f"{'':38s} rms of (F - exact)/error   mean error / meV   mean |F - exact| / meV")
    for (statistics, method, well), table in found.items():
        exact = known_free_energy(POTENTIALS[well], edges, statistics == "quantum")
        known = np.isfinite(table[:, 2]) & (exact - exact.min() < HIGHEST)
        weights = np.exp(-exact[known] / THERMAL_ENERGY)
        shift = np.average((table[:, 1] - exact)[known], weights=weights)
        off = (table[:, 1] - exact)[known] - shift
        error = table[known, 2]
        print(
            f"{statistics:10s} {method:13s} {well:13s} {np.sqrt(np.mean((off / error) ** 2)):15.2f} "
            f"{1000 * error.mean():22.1f} {1000 * np.abs(off).mean():20.1f}"
        )
        is_quantum = statistics == "quantum"
        axes_of[well].errorbar(
            table[known, 0],
            exact[known] + off - shifts[well, statistics],
            error,
            fmt="o" if is_quantum else "s",
            markersize=3.5,
            linewidth=1,
            color=COLOUR_OF[method],
            markerfacecolor=COLOUR_OF[method] if is_quantum else "white",
        )
    handles = [Line2D([], [], **style, label=f"exact, {statistics}") for statistics, style in EXACT.items()]
    handles += [
        Line2D([], [], color=colour, marker="o", linestyle="", label=f"{method}, ± 1 standard error")
        for method, colour in COLOUR_OF.items()
    ]
    head(all_axes[0], "H atom at 300 K, classical (open) and quantum (filled)", handles, width=WIDTH)
    write_png(figure, figure_file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("known_free_energies"))
    parser.add_argument("--steps", type=int, default=30_000)
    parser.add_argument("--figure", type=Path, default=Path(__file__).with_name("known.png"))
    options = parser.parse_args()
    run(options.folder, options.steps)
    compare(tables(options.folder), options.figure)


if __name__ == "__main__":
    main()
