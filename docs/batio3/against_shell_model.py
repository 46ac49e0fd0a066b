"""The shell model of BaTiO₃ and a model that was fitted to it, both through i-PI at the same temperatures.

    python against_shell_model.py visit     # folders of the shell model that frames for the fit are taken from
    python against_shell_model.py prepare   # folders of both at all temperatures; it takes start.xyz of shell_frames.py
    python against_shell_model.py measure   # table of what the runs in these folders come to
    python against_shell_model.py draw      # its picture

`measure` leaves out the first 5 ps of each run.  Errors are those of blocks (`beadwise.sampling.block_averages`).
"""

import re
import shutil
import sys
from pathlib import Path

import ase.io
import numpy as np
from beadwise import load
from beadwise.driver.launch.shipped_inputs import SHIM
from beadwise.model import Batch
from beadwise.pictures import COLOURS, WIDTH, foot, head, panels, write_png
from beadwise.runs.output.bead_means import read_bead_means
from beadwise.sampling.block_averages import block_average
from matplotlib.lines import Line2D

HERE = Path(__file__).resolve().parent
TABLE = HERE / "against_shell_model.csv"
MODELS = {"shell": "shell_model:crystal", "fitted": "../batio3_shell.safetensors"}
TEMPERATURES = (100, 150, 200, 250, 300)  # K
SEEDS = (1, 2)
VISITED, VISITED_SEED = (100, 200, 400), 9
SKIPPED = 5.0  # ps
UNIT_CELLS = 8
VACUUM_PERMITTIVITY = 0.00552634936  # e/(V Å)
ELEMENTARY = 16.02176634  # C/m² of an e/Å²
KELVIN = 8.617333262e-5  # eV
COLUMNS = ("lattice constant / Å", "longest / shortest edge", "⟨|P|⟩ / C m⁻²", "ε")
DIGITS = (4, 4, 4, 1)
LABELS = ("shell model", "fitted to it")


def visit() -> None:
    """Write the folders of short runs that keep many structures."""
    for temperature in VISITED:
        folder = folder_of("visit", MODELS["shell"], temperature, VISITED_SEED)
        text = (folder / "input.xml").read_text(encoding="utf-8")
        text = text.replace("> 15000 <", "> 4000 <").replace("stride='500' format", "stride='50' format")
        (folder / "input.xml").write_text(text, encoding="utf-8")


def prepare() -> None:
    """Write a folder for each model, temperature and seed."""
    for name, model in MODELS.items():
        for temperature in TEMPERATURES:
            for seed in SEEDS:
                folder_of(name, model, temperature, seed)


def folder_of(name: str, model: str, temperature: int, seed: int) -> Path:
    """A new folder with all that a run needs."""
    folder = Path(f"{name}_{temperature}_{seed}")
    folder.mkdir()
    text = (HERE / "npt.xml").read_text(encoding="utf-8").replace("beadwise_shim.py", str(SHIM))
    text = re.sub(r"(units='kelvin'>) 300 <", rf"\1 {temperature} <", text)
    text = text.replace("<seed> 1 <", f"<seed> {seed} <").replace(MODELS["shell"], model)
    (folder / "input.xml").write_text(text, encoding="utf-8")
    for file in ("start.xyz", HERE / "shell_model.py", HERE / "shell_model.cpp"):
        shutil.copy(file, folder)
    return folder


def series_of(run: Path, temperature: float) -> tuple[np.ndarray, float]:
    """Columns of the table after the beginning, shape (samples, 4), ε without ε∞; the picoseconds of the run."""
    moments = read_bead_means([run / "npt.moments_0"])
    cells = np.loadtxt(run / "npt.cell")
    samples = min(len(cells), len(moments.steps))
    kept = cells[:samples, 1] >= SKIPPED
    dipole, cells = moments.series("dipole")[:samples][kept], cells[:samples][kept]
    volume = cells[:, 4]
    xx, yy, zz, xy, xz, yz = cells[:, 5:].T
    edges = np.stack([xx, np.hypot(xy, yy), np.sqrt(xz**2 + yz**2 + zz**2)])
    square = np.square(dipole).sum(axis=1)
    columns = (
        np.cbrt(volume / UNIT_CELLS),
        edges.max(axis=0) / edges.min(axis=0),
        np.sqrt(square) / volume * ELEMENTARY,
        square / volume / (3 * VACUUM_PERMITTIVITY * KELVIN * temperature),
    )
    return np.stack(columns, axis=1), float(np.ptp(cells[:, 1]))


def optical(runs: list[Path], model: str) -> float:
    """ε∞ of the structures that runs wrote."""
    evaluator = load(model)
    found = []
    for run in runs:
        for atoms in ase.io.read(run / "npt.pos_0.extxyz", "4:"):
            alpha = evaluator.evaluate(Batch.from_ase(atoms), ["polarizability"]).polarizability[0]
            found.append(1 + 4 * np.pi * np.trace(alpha) / 3 / atoms.get_volume())
    return float(np.mean(found))


def measure() -> list[list[str]]:
    """Rows of the table: of each temperature and quantity both values, their errors, and their difference in errors."""
    rows = []
    for temperature in TEMPERATURES:
        found = {name: average_of(name, temperature) for name in MODELS}
        for column, (quantity, digits) in enumerate(zip(COLUMNS, DIGITS, strict=True)):
            row = [str(temperature), quantity]
            for means, errors, picoseconds in found.values():
                row += [f"{means[column]:.{digits}f}", f"{errors[column]:.{digits}f}", f"{picoseconds:.0f}"]
            (mean, error, _), (other, other_error, _) = found.values()
            row.append(f"{(other[column] - mean[column]) / np.hypot(error[column], other_error[column]):.1f}")
            rows.append(row)
            print(*row)
    return rows


def average_of(name: str, temperature: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Means and errors of all columns over the runs of a model, and their picoseconds; NaN where there is no run."""
    runs = [run for run in sorted(Path().glob(f"{name}_{temperature}_*/")) if (run / "npt.cell").is_file()]
    if not runs:
        return np.full(len(COLUMNS), np.nan), np.full(len(COLUMNS), np.nan), 0.0
    series, times = zip(*(series_of(run, temperature) for run in runs), strict=True)
    average = block_average(series)
    means = average.mean.copy()
    means[-1] += optical(runs, MODELS[name].removeprefix("../"))
    return means, average.error, sum(times)


def draw(table: list[list[str]]) -> None:
    """Each quantity over the temperature, of both."""
    figure, axes = panels((WIDTH, 3.2), columns=3)
    drawn = [column for column in range(len(MODELS)) if any(row[2 + 3 * column] != "nan" for row in table)]
    for own, quantity in zip(axes, (COLUMNS[0], *COLUMNS[2:]), strict=True):
        rows = np.array([[row[0], *row[2:8]] for row in table if row[1] == quantity], float)
        for column in drawn:
            own.errorbar(
                rows[:, 0] + (3 * (2 * column - 1) if len(drawn) > 1 else 0),
                rows[:, 1 + 3 * column],
                2 * rows[:, 2 + 3 * column],
                color=COLOURS[column],
                marker="os"[column],
                markersize=4,
                capsize=2,
                linewidth=1,
            )
        own.set(xlabel="temperature / K", ylabel=quantity)
    handles = [
        Line2D([], [], color=COLOURS[column], marker="os"[column], markersize=4, label=LABELS[column])
        for column in drawn
    ]
    head(axes[0], "BaTiO₃, 40 atoms, through i-PI", handles, width=WIDTH)
    apart = "; points are moved apart by 6 K" if len(drawn) > 1 else ""
    foot(figure, f"Constant pressure, flexible cell; bars are two standard errors{apart}")
    write_png(figure, TABLE.with_suffix(".png"))


def main() -> None:
    what = sys.argv[1]
    if what in ("visit", "prepare"):
        {"visit": visit, "prepare": prepare}[what]()
    elif what == "measure":
        head_line = ["temperature / K", "quantity", "shell model", "its error", "its ps", "fitted", "its error"]
        head_line += ["its ps", "difference / error of both"]
        lines = [",".join(row) for row in (head_line, *measure())]
        TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        draw([line.split(",") for line in TABLE.read_text(encoding="utf-8").splitlines()[1:]])


if __name__ == "__main__":
    main()
