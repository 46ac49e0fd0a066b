"""The plane of force error against time per atom: `python docs/pictures/frontier.py --data VALID.xyz LABEL=MODEL …`.

Every model is evaluated on the frames and timed, NEP beside them in the same run.  Writes frontier.json and
frontier.png beside this file; with --plot-only it only draws the figures already there.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
from beadwise.learning.data import read_frames
from beadwise.learning.fitting.accuracy import evaluate_errors
from beadwise.model import load
from rich.console import Console
from rich.progress import track

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "benchmarks"))
from contenders import WANTS, Beadwise, Nep, PeerError  # noqa: E402
from measuring import PEERS, interleaved, limit_threads, machine, moving_beads, water_box  # noqa: E402

BEADS = 32
# µs per atom of 192 atoms of water, energy and forces, one thread of a shared Zen 3 core; trained on other data
OTHERS = {"PACE": 129, "SNAP": 138, "DeePMD, compressed": 260, "MACE 64x0e": 4361, "SevenNet-0": 27670}
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


def plot(report: dict, path: Path) -> None:
    """Draw the frontier."""
    figure, axes = plt.subplots(figsize=(8.5, 5.2), layout="constrained")
    task = next(iter(WANTS))
    points = [
        (report["microseconds_per_atom"][label][task], own["forces"]["root_mean_square_error"], label)
        for label, own in report["errors"].items()
    ]
    for place, (speed, error, label) in enumerate(sorted(points)):
        left = place % 2 == 1  # so that neighbours do not write over each other
        network = "linear" not in label
        axes.plot(speed, error, "o" if network else "s", color="C0" if network else "C7", markersize=8)
        axes.annotate(
            label,
            (speed, error),
            xytext=(-8 if left else 8, -3),
            textcoords="offset points",
            fontsize=9,
            ha="right" if left else "left",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )
    axes.axhspan(*LABEL_SPREAD, color="C2", alpha=0.2, lw=0)
    axes.text(1.1, np.mean(LABEL_SPREAD), "spread of the committee that made the labels", va="center", fontsize=8)
    for name, speed in {"NEP": report["microseconds_per_atom"].get("NEP", {}).get(task), **OTHERS}.items():
        if speed:
            axes.axvline(speed, color="0.75", lw=0.8, zorder=0)
            side = "left" if name == "SNAP" else "right"  # beside PACE
            axes.text(speed, 1.0, f" {name} ", rotation=90, va="bottom", ha=side, fontsize=8, color="0.4")
    axes.set(xscale="log", xlim=(1, 60000), ylim=(0, 62))
    axes.set_xlabel("µs per atom, energy, forces and virial, one thread")
    axes.set_ylabel("root-mean-square force error, meV/Å")
    axes.set_title(
        f"Liquid water, frames never fitted ({report['data']}); other codes: time only,\n"
        "of NEP on the same machine in the same run, of the others on a Zen 3 core",
        fontsize=9,
    )
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", metavar="LABEL=MODEL")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--peers", type=Path, default=PEERS)
    parser.add_argument("--repetitions", type=int, default=12)
    parser.add_argument("--plot-only", action="store_true")
    options = parser.parse_args()
    figures = HERE / "frontier.json"
    if not options.plot_only:
        limit_threads(1)
        models = dict(entry.split("=", 1) for entry in options.models)
        report = measure(models, options.data, options.peers, options.repetitions)
        figures.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    plot(json.loads(figures.read_text(encoding="utf-8")), HERE / "frontier.png")


if __name__ == "__main__":
    main()
