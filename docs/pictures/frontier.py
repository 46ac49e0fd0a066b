"""The plane of force error against time per atom: `python docs/pictures/frontier.py --data VALID.xyz LABEL=MODEL …`.

Every model is evaluated on the frames and timed, NEP beside them in the same run.  Writes frontier.json and
frontier.png beside this file; with --add the models there stay, on the scale of NEP's time in both runs; with
--plot-only it only draws the figures already there.  Models of other programs, and ours that were timed in the same
run with them, are in benchmarks/peers/points.json, which benchmarks/peers/compare.py wrote.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from beadwise.learning.data import read_frames
from beadwise.learning.fitting.accuracy import evaluate_errors
from beadwise.model import load
from beadwise.pictures import COLOURS, HALO, PALE, SMALL, SMALLEST, WIDTH, PlainNumbers, foot, head, panels, write_png
from rich.console import Console
from rich.progress import track

HERE = Path(__file__).parent
PEERS_TABLE = HERE.parents[1] / "benchmarks" / "peers" / "points.json"
sys.path.insert(0, str(HERE.parents[1] / "benchmarks"))
from contenders import WANTS, Beadwise, Nep, PeerError  # noqa: E402
from measuring import PEERS, interleaved, limit_threads, machine, moving_beads, water_box  # noqa: E402

BEADS = 32
# µs per atom of 192 atoms of water, energy and forces, one thread of a shared Zen 3 core; trained on other data
OTHERS = {"PACE": 129, "DeePMD, compressed": 260, "MACE 64x0e": 4361, "SevenNet-0": 27670}
PLACES = {  # of names beside points, where the usual one would cover something: offset in points, and alignment
    "water": (-8, -3, "right"),
    "water_accurate": (-8, -6, "right"),
    "128, 64; l ≤ 4": (6, 6, "left"),
    "SNAP, quadratic": (0, -16, "center"),
    "POD": (-8, 4, "right"),
}
PUBLISHED_NEP = "NEP, published"  # trained on other data: a time only, and the clock of all runs
BOTTOM, TOP, TICKS = 9, 400, (10, 20, 30, 50, 100, 200, 300)  # of the scale of errors, meV/Å
LABEL_SPREAD = (12, 15)  # meV/Å, of the committee that made the labels


def measure(models: dict[str, str], data: Path, peers: Path, repetitions: int) -> dict:
    """Errors and times of all models, and NEP's time."""
    frames, structure = read_frames([data]), water_box()
    errors = {}
    for label, path in track(models.items(), "errors", console=Console(stderr=True)):
        errors[label] = evaluate_errors(load(path), frames).as_dict()["properties"]
    tasks = list(WANTS)[:2]
    contenders = {
        (label, task): Beadwise(path, task, structure, 1)
        for label, path in models.items()
        for task in tasks
        if set(WANTS[task]) <= set(load(path).properties)
    }
    try:
        contenders["NEP", tasks[0]] = Nep(peers / "nep4_water_pes.txt", "calculate", tasks[0], structure)
    except PeerError as reason:
        Console(stderr=True).print(f"skipped: {reason}")
    seconds = interleaved(list(contenders.values()), moving_beads(structure, BEADS), repetitions)
    times: dict[str, dict[str, float]] = {}
    for (label, task), contender in contenders.items():
        times.setdefault(label, {})[task] = float(1e6 * np.min(seconds[contender]) / (BEADS * len(structure)))
    return {"machine": machine(), "data": data.name, "errors": errors, "microseconds_per_atom": times}


def added(known: dict, new: dict) -> dict:
    """Figures of two runs, times of the second one on the clock of the first, as NEP has one time in both."""
    task = next(iter(WANTS))
    if "NEP" not in new["microseconds_per_atom"]:
        sys.exit("Error: --add needs the time of NEP in this run; --peers names the folder of its models")
    scale = known["microseconds_per_atom"]["NEP"][task] / new["microseconds_per_atom"].pop("NEP")[task]
    times = {
        label: {name: scale * time for name, time in own.items()} for label, own in new["microseconds_per_atom"].items()
    }
    return known | {
        "errors": known["errors"] | new["errors"],
        "microseconds_per_atom": known["microseconds_per_atom"] | times,
        "added": [*known.get("added", []), {"models": list(new["errors"]), "machine": new["machine"], "scale": scale}],
    }


def points(report: dict, table: dict) -> list[tuple[str, float, float, str]]:
    """Label, µs per atom, meV/Å and kind of every model, on the clock of the run with the peers."""
    task, rows = next(iter(WANTS)), table["models"]
    scale = rows[PUBLISHED_NEP]["least_microseconds_per_atom"] / report["microseconds_per_atom"]["NEP"][task]
    found = [
        (label, scale * report["microseconds_per_atom"][label][task], own["forces"]["root_mean_square_error"], "ours")
        for label, own in report["errors"].items()
        if label not in rows
    ]
    for label, row in rows.items():
        if "errors" in row:
            kind = "ours" if row["program"] == "beadwise" else "peer" if row["record"]["solved"] else "unconverged peer"
            found.append((label, row["least_microseconds_per_atom"], row["errors"]["forces, meV/Å"], kind))
    return found


def plot(report: dict, table: dict, path: Path) -> None:
    """Draw the frontier."""
    figure, (axes,) = panels((WIDTH, 5.2))
    for label, speed, error, kind in points(report, table):
        filled = "none" if kind == "unconverged peer" else COLOURS[kind != "ours"]
        sign = "D" if kind != "ours" else "s" if "linear" in label else "o"
        colour = COLOURS[kind != "ours"]
        axes.plot(speed, error, sign, color=colour, markerfacecolor=filled, markersize=7, zorder=3)
        across, up, side = PLACES.get(label, (9, -3, "left"))
        axes.annotate(
            label,
            (speed, error),
            xytext=(across, up),
            textcoords="offset points",
            fontsize=SMALL,
            ha=side,
            path_effects=HALO,
            zorder=4,
        )
    axes.axhspan(*LABEL_SPREAD, color=PALE, alpha=0.6, linewidth=0, zorder=0)
    text = {"fontsize": SMALLEST, "color": "0.3", "path_effects": HALO}
    axes.text(
        6e4,
        np.sqrt(np.prod(LABEL_SPREAD)),
        "spread of the committee that made the labels ",
        va="center",
        ha="right",
        **text,
    )
    for name, speed in {PUBLISHED_NEP: table["models"][PUBLISHED_NEP]["least_microseconds_per_atom"], **OTHERS}.items():
        axes.axvline(speed, color="0.6", linewidth=0.9, linestyle=":", zorder=1)
        axes.text(speed, 0.98 * TOP, f" {name} ", rotation=90, va="top", ha="right", **text)
    axes.set(xscale="log", yscale="log", xlim=(1, 60000), ylim=(BOTTOM, TOP))
    axes.xaxis.set_major_formatter(PlainNumbers())
    axes.set_yticks(TICKS, [str(tick) for tick in TICKS])
    axes.set_yticks([], minor=True)
    axes.set_xlabel("time for energy, forces and virial, one thread / µs per atom")
    axes.set_ylabel("force RMSE / meV/Å")
    head(axes, "Liquid water: error and time of beadwise and of its peers")
    foot(
        figure,
        f"errors on {table['frames']} frames that were never fitted ({table['valid']}); times of 192 atoms\n"
        "circles and square, beadwise; diamonds, other programs, fitted to the 800 frames of bulk_train.xyz\n"
        "dotted: time only, trained on other data",
    )
    write_png(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", metavar="LABEL=MODEL")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--peers", type=Path, default=PEERS)
    parser.add_argument("--repetitions", type=int, default=12)
    parser.add_argument("--add", action="store_true")
    parser.add_argument("--plot-only", action="store_true")
    options = parser.parse_args()
    figures = HERE / "frontier.json"
    if not options.plot_only:
        limit_threads(1)
        models = dict(entry.split("=", 1) for entry in options.models)
        report = measure(models, options.data, options.peers, options.repetitions)
        if options.add:
            report = added(json.loads(figures.read_text(encoding="utf-8")), report)
        figures.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    report, table = (json.loads(file.read_text(encoding="utf-8")) for file in (figures, PEERS_TABLE))
    plot(report, table, HERE / "frontier.png")


if __name__ == "__main__":
    main()
