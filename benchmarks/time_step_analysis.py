"""What the rungs of a ladder of time steps tell: drift, averages, bond lengths, evaluations, time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from ase.units import kB
from beadwise.pictures import (
    COLOURS,
    LEGEND,
    PALE,
    REFERENCE,
    SMALL,
    WIDTH,
    head,
    name_panel,
    panels,
    series_style,
    write_png,
)
from beadwise.runs.output.properties import read_property_table
from counted_model import read_log
from rich.table import Table

FINISHED = "finished.json"
LEAST_BLOCKS = 8  # fewer say little of the error
BIN_EDGES = np.linspace(0.75, 1.35, 61)  # Å
IN_BAR = {"fontsize": SMALL, "color": "white", "zorder": 3}
AGREES = 2.0  # standard errors
WORDS = {
    "temperature": "temperature",
    "hydrogen_temperature": "temperature of H",
    "potential": "potential energy",
    "bond_mean": "mean r(OH)",
    "bond_width": "width of r(OH)",
}
COMPARED = ("drift", "temperature", "hydrogen_temperature", "potential", "bond_mean", "bond_width")


@dataclass(frozen=True)
class Estimate:
    """A mean and its standard error."""

    value: float
    error: float

    def deviation_from(self, other: Estimate) -> float:
        """Difference in standard errors of both."""
        return (self.value - other.value) / max(np.hypot(self.error, other.error), 1e-300)

    def text(self, scale: float, digits: int) -> str:
        """``value ± error`` in another unit."""
        return f"{scale * self.value:.{digits}f} ± {scale * self.error:.{digits}f}"


@dataclass(frozen=True)
class RungSeries:
    """What one run of a rung wrote."""

    time: np.ndarray  # ps
    conserved: np.ndarray  # eV per atom, change since the start
    temperature: np.ndarray  # K
    hydrogen_temperature: np.ndarray  # K
    potential: np.ndarray  # eV per atom
    bonds: np.ndarray  # Å, shape (frames, hydrogen atoms)
    outer_evaluations: int
    seconds: float  # from the first evaluation to the end of the last
    outer_seconds: float  # of these inside the outer model


@dataclass(frozen=True)
class Rung:
    """Averages of a rung over its runs."""

    multiple: int
    runs: int
    picoseconds: float  # of all runs together
    drift: Estimate  # eV per atom and ps
    fluctuation: float  # eV per atom, root mean square about the drift
    temperature: Estimate
    hydrogen_temperature: Estimate
    potential: Estimate  # eV per atom
    bond_mean: Estimate  # Å
    bond_width: Estimate  # Å
    histogram: list[float]  # 1/Å, in BIN_EDGES
    outer_evaluations: int
    evaluations_per_step: float  # of the outer model, the one at the start left out
    seconds_per_picosecond: float
    outer_share: float  # of that time
    failure: str = ""


def blocked_error(series: np.ndarray) -> float:
    """Standard error of the mean of a correlated series.

    That of block means, at the block length where it is largest, with at least `LEAST_BLOCKS` blocks (Flyvbjerg,
    Petersen, J. Chem. Phys. 91, 461 (1989)).
    """
    largest, blocks = 0.0, np.asarray(series, float)
    while len(blocks) >= LEAST_BLOCKS:
        largest = max(largest, blocks.std(ddof=1) / np.sqrt(len(blocks)))
        blocks = blocks[: len(blocks) // 2 * 2].reshape(-1, 2).mean(axis=1)
    return float(largest)


def mean_of(series: np.ndarray) -> Estimate:
    """Mean of a correlated series."""
    return Estimate(float(series.mean()), blocked_error(series))


def drift_of(time: np.ndarray, conserved: np.ndarray) -> tuple[Estimate, float]:
    """Slope of a straight line through the conserved quantity, and the root mean square of what is left.

    Its error is that of least squares with independent residuals times what blocking makes of the residuals' own.
    """
    about = time - time.mean()
    slope = float(about @ conserved / (about @ about))
    left = conserved - conserved.mean() - slope * about
    independent = left.std(ddof=2) / np.sqrt(about @ about)
    naive = left.std(ddof=1) / np.sqrt(len(left))
    correlated = blocked_error(left) / naive if naive > 0 else 1.0
    return Estimate(slope, float(independent * max(correlated, 1.0))), float(left.std())


def together(estimates: Sequence[Estimate]) -> Estimate:
    """Mean of the same quantity over independent runs.

    Its error is that of the errors of the runs, or that of their spread where there are three or more and it is larger:
    a short run does not see its own slowest fluctuations.
    """
    values, errors = np.array([(one.value, one.error) for one in estimates]).T
    error = np.sqrt((errors**2).sum()) / len(errors)
    if len(values) > 2:
        error = max(error, values.std(ddof=1) / np.sqrt(len(values)))
    return Estimate(float(values.mean()), float(error))


def bond_lengths(positions: np.ndarray, symbols: Sequence[str], cell: np.ndarray) -> np.ndarray:
    """Distance of each hydrogen atom from the oxygen atom nearest to it, whichever image it is.

    Parameters
    ----------
    positions : ndarray of float64, shape (frames, atoms, 3)
    symbols : sequence of str
    cell : ndarray of float64, shape (3, 3)
        Lattice vectors, one per row; images are those of fractional coordinates within a half, which is right for
        bonds in any cell that is not very skewed.

    Returns
    -------
    ndarray of float64, shape (frames, hydrogen atoms)
    """
    is_oxygen, is_hydrogen = (np.array([symbol == element for symbol in symbols]) for element in "OH")
    fractional = positions @ np.linalg.inv(cell)
    found = []
    for frame in fractional:
        apart = frame[is_hydrogen][:, None] - frame[is_oxygen][None]
        apart -= np.round(apart)
        found.append(np.linalg.norm(apart @ cell, axis=-1).min(axis=1))
    return np.array(found)


def read_positions(path: Path, atoms: int) -> tuple[np.ndarray, list[str]]:
    """Frames of an xyz file that i-PI wrote, shape (frames, atoms, 3), and the symbols."""
    lines = path.read_text().splitlines()
    frames = len(lines) // (atoms + 2)
    rows = [
        line.split() for frame in range(frames) for line in lines[frame * (atoms + 2) + 2 : (frame + 1) * (atoms + 2)]
    ]
    numbers = np.array([row[1:4] for row in rows], float).reshape(frames, atoms, 3)
    return numbers, [row[0] for row in rows[:atoms]]


def read_run(folder: Path, atoms: int, cell: np.ndarray) -> RungSeries:
    """What a finished run left in its folder."""
    table = read_property_table(folder / "rung.out")
    assert table is not None
    columns = table.by_name
    outer, inner = (read_log(folder, role) for role in ("outer", "inner"))
    stamps = np.concatenate([outer, inner])
    positions, symbols = read_positions(next(folder.glob("rung.positions_0*xyz")), atoms)
    conserved = columns["conserved"] / atoms
    return RungSeries(
        time=columns["time"],
        conserved=conserved - conserved[0],
        temperature=columns["temperature"],
        hydrogen_temperature=columns["temperature(H)"],
        potential=columns["potential"] / atoms,
        bonds=bond_lengths(positions, symbols, cell),
        outer_evaluations=int(outer[:, 2].sum()),
        seconds=float(stamps[:, 1].max() - stamps[:, 0].min()),
        outer_seconds=float((outer[:, 1] - outer[:, 0]).sum()),
    )


def rung_of(multiple: int, runs: Sequence[RungSeries], discard: float, failure: str = "") -> Rung:
    """Averages over the runs of a rung; the first `discard` ps of each count for the drift alone."""
    drifts = [drift_of(run.time, run.conserved) for run in runs]
    kept = [run.time >= discard for run in runs]
    frames = [run.bonds[int(len(run.bonds) * discard / max(run.time[-1], discard)) :] for run in runs]
    bonds = np.concatenate([one.ravel() for one in frames])
    steps = sum(len(run.time) - 1 for run in runs)
    picoseconds = sum(float(run.time[-1] - run.time[0]) for run in runs)
    seconds = sum(run.seconds for run in runs)

    def mean(name: str) -> Estimate:
        return together([mean_of(getattr(run, name)[keep]) for run, keep in zip(runs, kept, strict=True)])

    return Rung(
        multiple=multiple,
        runs=len(runs),
        picoseconds=picoseconds,
        drift=together([drift for drift, _ in drifts]),
        fluctuation=float(np.sqrt(np.mean([rest**2 for _, rest in drifts]))),
        temperature=mean("temperature"),
        hydrogen_temperature=mean("hydrogen_temperature"),
        potential=mean("potential"),
        bond_mean=together([mean_of(one.mean(axis=1)) for one in frames]),
        bond_width=together([mean_of(one.std(axis=1)) for one in frames]),
        histogram=np.histogram(bonds, BIN_EDGES, density=True)[0].tolist(),
        outer_evaluations=sum(run.outer_evaluations for run in runs),
        evaluations_per_step=(sum(run.outer_evaluations for run in runs) - len(runs)) / steps,
        seconds_per_picosecond=seconds / picoseconds,
        outer_share=sum(run.outer_seconds for run in runs) / seconds,
        failure=failure,
    )


def deviations(rung: Rung, reference: Rung) -> dict[str, float]:
    """Differences from the rung with one step, in standard errors."""
    return {name: getattr(rung, name).deviation_from(getattr(reference, name)) for name in COMPARED}


def largest_that_agrees(rungs: Sequence[Rung], within: float) -> int:
    """Largest multiple none of whose quantities differs from those of the first rung by more standard errors."""
    agreeing = [
        rung.multiple
        for rung in rungs
        if not rung.failure and all(abs(z) <= within for z in deviations(rung, rungs[0]).values())
    ]
    return max(agreeing)


def table_of(rungs: Sequence[Rung], inner_step: float) -> Table:
    """The rungs as a table, one column each."""
    first = rungs[0]
    table = Table(title="in brackets: deviation from the first rung in standard errors")
    table.add_column("M")
    for rung in rungs:
        table.add_column(f"{rung.multiple}{' (unstable)' if rung.failure else ''}", justify="right")

    def add(name: str, cell: Callable[[Rung], str]) -> None:
        table.add_row(name, *map(cell, rungs))

    def add_compared(name: str, heading: str, scale: float, digits: int, origin: float = 0.0) -> None:
        def cell(rung: Rung) -> str:
            estimate: Estimate = getattr(rung, name)
            shown = Estimate(estimate.value - origin, estimate.error).text(scale, digits)
            return f"{shown} ({deviations(rung, first)[name]:.1f})"

        add(heading, cell)

    add("outer step / fs", lambda rung: f"{rung.multiple * inner_step:g}")
    add("runs, together / ps", lambda rung: f"{rung.runs}, {rung.picoseconds:.3g}")
    add_compared("drift", "drift / meV/(atom ps)", 1e3, 4)
    add("drift / K/ps", lambda rung: rung.drift.text(kelvin(1.0), 3))
    add("fluctuation / meV/atom", lambda rung: f"{1e3 * rung.fluctuation:.4f}")
    add_compared("temperature", "temperature / K", 1, 1)
    add_compared("hydrogen_temperature", "temperature of H / K", 1, 1)
    add_compared("potential", "potential energy, change / meV/atom", 1e3, 2, first.potential.value)
    add_compared("bond_mean", "mean r(OH) / Å", 1, 5)
    add_compared("bond_width", "width of r(OH) / Å", 1, 5)
    add("outer evaluations", lambda rung: str(rung.outer_evaluations))
    add("outer evaluations per outer step", lambda rung: f"{rung.evaluations_per_step:.3f}")
    add("wall time / s/ps", lambda rung: f"{rung.seconds_per_picosecond:.1f}")
    add("of it in the outer model", lambda rung: f"{100 * rung.outer_share:.0f} %")
    add("speed-up", lambda rung: f"{first.seconds_per_picosecond / rung.seconds_per_picosecond:.2f}")
    return table


def kelvin(energy: float) -> float:
    """The rise in temperature, K, if an energy per atom, eV, all became kinetic: 2E/3k."""
    return 2 * energy / (3 * kB)


def as_json(rungs: Sequence[Rung], within: float, settings: dict[str, object], machine: dict[str, str]) -> str:
    """Everything that was found: energies in eV per atom, lengths in Å, times in s and ps."""
    first, best = rungs[0], largest_that_agrees(rungs, within)
    found = {
        "settings": settings,
        "machine": machine,
        "bin edges": BIN_EDGES.tolist(),
        "rungs": [
            {
                **asdict(rung),
                "deviations": deviations(rung, first),
                "speed-up": first.seconds_per_picosecond / rung.seconds_per_picosecond,
            }
            for rung in rungs
        ],
        "largest that agrees": best,
    }
    return json.dumps(found, indent=1) + "\n"


def draw(rungs: Sequence[Rung], inner_step: float, image: Path) -> None:
    """What `draw_ladder` shows, of rungs."""
    estimates = {name: [getattr(rung, name) for rung in rungs] for name in COMPARED}
    steps = [rung.multiple * inner_step for rung in rungs]
    draw_ladder(steps, estimates, [rung.seconds_per_picosecond for rung in rungs], image)


def draw_ladder(
    steps: Sequence[float], estimates: Mapping[str, Sequence[Estimate]], seconds: Sequence[float], image: Path
) -> None:
    """Drift, how far averages are from those of the first rung, and how much faster each rung is.

    Parameters
    ----------
    steps : sequence of float
        Outer steps in fs; the first is the inner step.
    estimates : mapping of str to sequence of Estimate
        Some of `COMPARED`, for each step, ``drift`` among them.
    seconds : sequence of float
        Wall time for a picosecond.
    image : Path
    """
    figure, (drift, averages, speed) = panels((WIDTH, 6.4), 3, sharex=True, height_ratios=(1.0, 1.1, 1.0))
    place = np.arange(len(steps))
    values = 1e3 * np.array([[one.value, one.error] for one in estimates["drift"]])
    drift.axhline(0.0, color=REFERENCE, linewidth=0.8, zorder=1)
    drift.errorbar(place, values[:, 0], values[:, 1], fmt="o", color=COLOURS[0], capsize=3, zorder=3)
    for at, (value, error) in zip(place, values, strict=True):
        drift.annotate(
            f"{value:.2f} ± {error:.2f}",
            (at, value + error),
            (0, 4),
            textcoords="offset points",
            ha="center",
            fontsize=SMALL,
        )
    drift.set_ylabel("drift\n/ meV per atom and ps")
    drift.set_ylim(min(0.0, 1.2 * (values[:, 0] - values[:, 1]).min()), 1.3 * (values[:, 0] + values[:, 1]).max())
    averages.axhspan(-AGREES, AGREES, color=PALE, alpha=0.5, linewidth=0, zorder=0)
    averages.axhline(0.0, color=REFERENCE, linewidth=0.8, zorder=1)
    shown = [name for name in estimates if name != "drift"]
    for number, name in enumerate(shown):
        off = [one.deviation_from(estimates[name][0]) for one in estimates[name]]
        style = series_style(COLOURS[number], "", "osD^v"[number])
        across = place[1:] + 0.12 * (number - (len(shown) - 1) / 2)
        averages.plot(across, off[1:], **style, label=WORDS[name])
    averages.set_ylabel("difference from first\n/ standard errors")
    lowest, highest = averages.get_ylim()
    averages.legend(loc="center left", **LEGEND)  # beside the first rung, which has no points
    averages.set_ylim(min(lowest, -1.2 * AGREES), max(highest, 1.2 * AGREES))
    gained = seconds[0] / np.array(seconds)
    speed.bar(place, gained, 0.5, color=COLOURS[0], zorder=2)
    ideal = np.array(steps) / steps[0]
    speed.plot(place, ideal, "_", color=REFERENCE, markersize=34, zorder=3)
    for at, one in zip(place, gained, strict=True):
        speed.annotate(f"{one:.1f}", (at, one), (0, -3), textcoords="offset points", ha="center", va="top", **IN_BAR)
    speed.set_ylim(0, 1.1 * ideal.max())
    speed.set_ylabel("speed-up\n/ first rung")
    name_panel(speed, "black: if the inner model cost nothing", "left")
    speed.set_xticks(place, [f"{step:g}" for step in steps])
    speed.set_xlabel("outer step / fs")
    head(drift, f"Outer steps of {steps[0]:g} to {steps[-1]:g} fs, inner step {steps[0]:g} fs")
    figure.align_ylabels()
    write_png(figure, image)
