"""Active learning of water against labels drawn at random, from several starts, judged on path-integral frames.

    python docs/pictures/active_learning/compare.py [water_data compare [--starts 3]]

1. Frames to judge by: path integrals at 300 and 400 K with the shipped model `water` (runs as inputs/water_learn.toml
   has them, 0.8 ps), four beads every 50 fs after the first 0.2 ps, labelled by the reference of that file.
2. Loops: inputs/water_learn.toml with other start frames, and the same with kind = "random".
3. The model of every round on these frames and on bulk_valid.xyz; the table, and compare.png beside this script.

What is there already is not done again.  Without data the picture is drawn once more from compare.json.
"""

import argparse
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import tomllib
from ase import Atoms
from ase.io import read
from beadwise.learning.data import read_frames
from beadwise.learning.fitting.accuracy import evaluate_errors
from beadwise.learning.labels.labeller import labelled_frames, labeller
from beadwise.learning.loop.frames import write_frames
from beadwise.model import load
from beadwise.pictures import COLOURS, WIDTH, foot, head, label_decades, name_panel, panels, series_style, write_png
from matplotlib.lines import Line2D

HERE = Path(__file__).resolve().parent
INPUTS = HERE.parents[2] / "inputs"
TEMPERATURES = (300, 400)
KINDS = {"diverse": "active", "random": "random"}
STYLES = tuple(zip(COLOURS, "os", strict=False))
BEADS, PICKED, STEPS, STRIDE, DISCARDED = 16, 4, 1600, 100, 400
CENTROIDS = re.compile(r"<trajectory filename='centroid'.*?</trajectory>", re.DOTALL)
POSITIONS = f"<trajectory filename='beads' stride='{STRIDE}' format='xyz'> positions{{angstrom}} </trajectory>"


def sampled(temperature: int, folder: Path) -> list[Atoms]:
    """Beads of a path-integral run with the shipped model."""
    run = folder / f"path_integrals_{temperature}"
    if not (run / "RESTART").exists():
        run.mkdir(parents=True, exist_ok=True)
        shutil.copy(INPUTS / "water_32.xyz", run)
        text = CENTROIDS.sub(POSITIONS, (INPUTS / f"water_learn_{temperature}.xml").read_text())
        text = re.sub("<total_steps>[^<]*", f"<total_steps> {STEPS} ", text)
        text = re.sub("<seed>[^<]*", f"<seed> 4{temperature} ", text)
        (run / "water.xml").write_text(re.sub("prefix='[^']*'", "prefix='water'", text))
        subprocess.run(["beadwise", "run", "water.xml", "--spectrum", "none"], cwd=run, check=True)
    beads = [read(run / f"water.beads_{bead:02d}.xyz", ":") for bead in range(BEADS)]
    cell = read(INPUTS / "water_32.xyz").cell
    chosen = []
    for snapshot in range(DISCARDED // STRIDE + 1, len(beads[0])):
        for place in range(PICKED):
            atoms = beads[(snapshot + place * BEADS // PICKED) % BEADS][snapshot]
            chosen.append(Atoms(atoms.numbers, atoms.positions, cell=cell, pbc=True))
    return chosen


def judges(data: Path, folder: Path) -> dict[str, list]:
    """Frames to judge by, with labels."""
    settings = tomllib.loads((INPUTS / "water_learn.toml").read_text())["label"]
    files = {"bulk_valid.xyz, 300 K": data / "bulk_valid.xyz"}
    for temperature in TEMPERATURES:
        path = folder / f"path_integrals_{temperature}.xyz"
        if not path.exists():
            with labeller(settings, folder / "labels", INPUTS) as reference:
                frames = labelled_frames(reference.label(sampled(temperature, folder)))
            write_frames(path, frames)
        files[f"path integrals, {temperature} K"] = path
    return {name: read_frames(path) for name, path in files.items()}


def loop(kind: str, start: int, data: Path, folder: Path) -> Path:
    """Run one loop; its folder."""
    own = folder / f"{kind}_{start}"
    own.mkdir(parents=True, exist_ok=True)
    for name in ("water_learn_300.xml", "water_learn_400.xml", "water_32.xyz", "water_cnnp.inp"):
        shutil.copy(INPUTS / name, own)
    text = (INPUTS / "water_learn.toml").read_text().replace("water_data", str(data))
    text = text.replace("count = 30", f"count = 30\nseed = {start}").replace('kind = "diverse"', f'kind = "{kind}"')
    text = text.replace('"water_learn"', '"learned"').replace("water_learn.safetensors", "learned.safetensors")
    (own / "learn.toml").write_text(text)
    subprocess.run(["beadwise", "learn", "learn.toml"], cwd=own, check=True)
    return own / "learned"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--starts", type=int, default=3)
    options = parser.parse_args()
    if options.folder is None:
        kept = json.loads((HERE / "compare.json").read_text())
        draw(kept["labels"], kept["forces, meV/A"])
        return
    data, folder = options.data.resolve(), options.folder.resolve()
    frames = judges(data, folder)
    labels: list[int] = []
    errors: dict[str, dict[str, list]] = {name: {kind: [] for kind in KINDS} for name in frames}
    for start in range(options.starts):
        for kind in KINDS:
            learned = loop(kind, start, data, folder)
            rounds = json.loads((learned / "state.json").read_text())["rounds"]
            labels = [own["training"] + own["validation"] for own in rounds]
            models = [load(learned / own["model"]) for own in rounds]
            for name, own in frames.items():
                found = [evaluate_errors(model, own).properties["forces"].root_mean_square_error for model in models]
                errors[name][kind].append(found)
    (HERE / "compare.json").write_text(json.dumps({"labels": labels, "forces, meV/A": errors}, indent=1) + "\n")
    draw(labels, errors)


def draw(labels: list[int], errors: dict[str, dict[str, list]]) -> None:
    """Print the table, and draw a panel for each set of frames."""
    figure, all_axes = panels((WIDTH, 3.6), 1, len(errors), sharey=True)
    for axes, (name, by_kind) in zip(all_axes, errors.items(), strict=True):
        print(name, "| labels", *labels)
        for (kind, runs), (colour, mark) in zip(by_kind.items(), STYLES, strict=True):
            each = np.array(runs)
            mean = np.exp(np.log(each).mean(axis=0))
            print(f"  {KINDS[kind]}", *(f"{value:.0f} ({low:.0f} to {high:.0f})" for value, low, high in
                                        zip(mean, each.min(axis=0), each.max(axis=0), strict=True)))  # fmt: skip
            axes.plot(labels, each.T, color=colour, linewidth=0.8, alpha=0.5)
            axes.plot(labels, mean, **series_style(colour, "-", mark))
        axes.set_yscale("log")
        name_panel(axes, name.replace(", ", ",\n"))
        axes.set_xlabel("labelled frames")
    starts = len(next(iter(next(iter(errors.values())).values())))
    label_decades(all_axes[0].yaxis, 100.0)
    all_axes[0].set_ylabel("force RMSE / meV/Å")
    handles = [
        Line2D([], [], **series_style(colour, "-", mark), label=f"{KINDS[kind]}, mean of {starts} starts")
        for kind, (colour, mark) in zip(KINDS, STYLES, strict=True)
    ]
    handles.append(Line2D([], [], color="0.5", linewidth=0.8, label="each start"))
    head(all_axes[0], "Water: labels that the loop chose, and labels drawn at random", handles, width=WIDTH)
    foot(figure, "geometric means; labels are training and validation frames")
    write_png(figure, HERE / "compare.png")


if __name__ == "__main__":
    main()
