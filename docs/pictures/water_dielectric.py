"""How the dielectric constant of water converges: `python docs/pictures/water_dielectric.py [RUN …]`.

RUN is a folder of a run of `beadwise run input.xml --spectrum dielectric`, as docs/how_to/dielectric.md has it; several
have random numbers of their own.  Writes water_dielectric.json and water_dielectric.png beside this file; without a run
it only draws the figures already there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from beadwise.pictures import COLOURS, WIDTH, band, band_entry, foot, head, panels, reference_style, write_png
from beadwise.runs.output.bead_means import read_bead_means
from beadwise.spectra.dielectric import dielectric_constant
from matplotlib.lines import Line2D

HERE = Path(__file__).parent
TEMPERATURE, VOLUME, BETWEEN = 298.0, 9.86**3, 0.025  # ps
EXPERIMENT = 78.4  # Malmberg, Maryott, J. Res. NBS 56, 1 (1956), at 25 °C
SKIPPED = 20.0  # ps at the beginning
POINTS = 60


def measure(runs: list[Path]) -> dict:
    """ε of the first parts of all runs, longer and longer."""
    means = [read_bead_means(sorted(run.glob("*.moments_*"))) for run in runs]
    dipoles = [own.series("dipole")[round(SKIPPED / BETWEEN) :] for own in means]
    susceptibility = np.concatenate([own.series("polarizability") for own in means]).trace(axis1=1, axis2=2) / 3
    optical = 1 + 4 * np.pi * susceptibility.mean() / VOLUME
    found, picoseconds = [], []
    for part in np.arange(1, POINTS + 1) / POINTS:
        parts = [own[: round(part * len(own))] for own in dipoles]
        found.append(dielectric_constant(parts, TEMPERATURE, VOLUME, optical)[0])
        picoseconds.append(BETWEEN * sum(map(len, parts)))
    relaxation = float(np.mean([relaxation_time(own) for own in dipoles]))
    errors = (np.array(found) - optical) * np.sqrt(2 * relaxation / (3 * np.array(picoseconds)))
    return {
        "runs": len(runs),
        "picoseconds": np.round(picoseconds, 1).tolist(),
        "permittivity": np.round(found, 2).tolist(),
        "error": errors.round(2).tolist(),
        "optical": round(float(optical), 4),
        "relaxation": round(relaxation, 1),
    }


def relaxation_time(dipole: np.ndarray) -> float:
    """Integral of the correlation function of the dipole in ps, up to where it falls below 0.05."""
    size = 2 * len(dipole)
    power = np.square(np.abs(np.fft.rfft(dipole - dipole.mean(axis=0), size, axis=0))).sum(axis=1)
    own = np.fft.irfft(power)[: len(dipole)] / np.arange(len(dipole), 0, -1)
    own /= own[0]
    end = int(np.argmax(own < 0.05)) or len(own)
    return float(BETWEEN * (own[:end].sum() - 0.5))


def plot(figures: dict) -> None:
    times, values, errors = (np.array(figures[name]) for name in ("picoseconds", "permittivity", "error"))
    figure, (axes,) = panels((WIDTH, 3.6))
    axes.plot(times, values, color=COLOURS[0], linewidth=1.4, zorder=3)
    band(axes, times, values, errors, COLOURS[0])
    axes.axhline(EXPERIMENT, **reference_style())
    axes.set(xlabel="length of all runs / ps", ylabel="dielectric constant", ylim=(0, 160), xlim=(0, times[-1]))
    handles = [
        Line2D([], [], color=COLOURS[0], label="all up to here"),
        Line2D([], [], **reference_style(), label="experiment, 78.4"),
        band_entry(),
    ]
    head(axes, f"Liquid water at 298 K: {values[-1]:.0f} ± {errors[-1]:.0f} after {times[-1]:.0f} ps", handles)
    foot(
        figure,
        f"32 molecules, model `water`, classical nuclei of equal masses, {figures['runs']} runs through i-PI; "
        f"ε∞ {figures['optical']:.3f}; the dipole relaxes within {figures['relaxation']:.0f} ps; "
        "errors √(2τ/3t) (ε − ε∞)",
    )
    write_png(figure, HERE / "water_dielectric.png")


def main() -> None:
    figures = HERE / "water_dielectric.json"
    if runs := [Path(name) for name in sys.argv[1:]]:
        figures.write_text(json.dumps(measure(runs)) + "\n", encoding="utf-8")
    plot(json.loads(figures.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
