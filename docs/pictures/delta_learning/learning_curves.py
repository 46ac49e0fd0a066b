"""Learning curves of liquid water: the reference learned directly, and as a correction to GFN1-xTB.

python docs/pictures/delta_learning/learning_curves.py [FOLDER_OF_DATA [--networks]]

FOLDER_OF_DATA holds bulk_train.xyz and bulk_valid.xyz (see docs/reference/models.md).  All fits and what
they are compared with are kept under build/delta_learning, so that the command may be interrupted; the figures go into
learning_curves.json, and learning_curves.png beside this file.  With --networks the shipped models' kind of network is
fitted to all frames as well, which takes half an hour.  Without a folder the picture is drawn once more.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from beadwise.driver.launch.stages import Stages
from beadwise.learning.fitting.configuration import read_configuration
from beadwise.learning.fitting.fit import error_reports, fit
from beadwise.pictures import COLOURS, WIDTH, foot, head, label_decades, log_limits, name_panel, panels, write_png
from matplotlib.lines import Line2D

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[2]
WORK = REPOSITORY / "build" / "delta_learning"
BASELINE = "GFN1-xTB"
SIZES = (25, 50, 100, 200, 400, 800)
REPETITIONS = 3  # different frames, where there are enough of them
KINDS = {"direct": "", "correction": f'baseline = "{BASELINE}"'}
QUANTITIES = {"energy": "energy / meV/atom", "forces": "forces / meV/Å", "stress": "stress / meV/Å³"}
NAMES = {"direct": "direct", "correction": f"correction to {BASELINE}"}
COLOUR_OF = dict(zip(NAMES, (COLOURS[1], COLOURS[0]), strict=True))
CONFIGURATION = """
[data]
train = ["{train}"]
validation = ["{validation}"]
[density]
cutoff = 6.0
radial = 8
l_max = 3
[energy]
{baseline}
energy_error = 0.0007
force_error = 0.05
stress_error = 0.0003
{network}
[output]
model = "{name}.safetensors"
baselines = "../baselines"
"""
NETWORK = "[network]\nhidden = [32, 32]\nepochs = 50\nbatch = 4\nlearning_rate = 0.002\n"


def frames_as_text(path: Path) -> list[str]:
    """The frames of an extended xyz file as they stand there."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    frames, first = [], 0
    while first < len(lines):
        after = first + int(lines[first]) + 2
        frames.append("".join(lines[first:after]))
        first = after
    return frames


def subsets(frames: list[str]) -> Iterator[tuple[int, int, list[str]]]:
    """Size, repetition and frames of every training set; the smaller ones of a repetition are parts of the larger."""
    for repetition in range(REPETITIONS):
        order = np.random.default_rng(repetition).permutation(len(frames))
        for size in SIZES:
            if repetition == 0 or size * REPETITIONS <= len(frames):
                yield size, repetition, [frames[index] for index in order[:size]]


def errors_of_fit(name: str, train: Path, validation: Path, kind: str, network: str = "") -> dict[str, float]:
    """Fit, unless it was done before, and return the errors on the validation frames."""
    result = WORK / f"{name}.json"
    if not result.exists():
        text = CONFIGURATION.format(
            name=name, train=train, validation=validation, baseline=KINDS[kind], network=network
        )
        path = WORK / f"{name}.toml"
        path.write_text(text, encoding="utf-8")
        settings = read_configuration(path)
        with Stages() as stages:
            model = fit(settings, stages)
            report = error_reports(model, settings, stages)[validation.name].as_dict()["properties"]
        errors = {quantity: report[quantity]["root_mean_square_error"] for quantity in QUANTITIES}
        result.write_text(json.dumps(errors), encoding="utf-8")
    return json.loads(result.read_text(encoding="utf-8"))


def main() -> None:
    """Fit everything, write the errors, and draw them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--networks", action="store_true")
    arguments = parser.parse_args()
    if arguments.data is None:
        kept = json.loads((HERE / "learning_curves.json").read_text(encoding="utf-8"))
        draw(kept["linear"], kept.get("network"), HERE / "learning_curves.png")
        return
    WORK.mkdir(parents=True, exist_ok=True)
    data = arguments.data.resolve()
    validation = data / "bulk_valid.xyz"
    curves: dict[str, dict[str, list[dict[str, float]]]] = {kind: {} for kind in KINDS}
    for size, repetition, frames in subsets(frames_as_text(data / "bulk_train.xyz")):
        train = WORK / f"train_{size}_{repetition}.xyz"
        train.write_text("".join(frames), encoding="utf-8")
        for kind in KINDS:
            errors = errors_of_fit(f"{kind}_{size}_{repetition}", train, validation, kind)
            curves[kind].setdefault(str(size), []).append(errors)
            print(f"{kind:>10} {size:4d} frames, set {repetition}: " + describe(errors))
    result: dict[str, object] = {"baseline": BASELINE, "linear": curves}
    if arguments.networks:
        result["network"] = {
            kind: errors_of_fit(f"network_{kind}", data / "bulk_train.xyz", validation, kind, NETWORK) for kind in KINDS
        }
        for kind, errors in result["network"].items():
            print(f"{kind:>10}, network, all frames: " + describe(errors))
    (HERE / "learning_curves.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    draw(curves, result.get("network"), HERE / "learning_curves.png")


def describe(errors: dict[str, float]) -> str:
    """One line of errors."""
    return ", ".join(f"{QUANTITIES[name]} {value:.3f}" for name, value in errors.items())


def draw(curves: dict, networks: dict | None, path: Path) -> None:
    """Errors against the number of frames, both axes logarithmic; every set is a point, the line goes through means."""
    figure, all_axes = panels((WIDTH, 3.6), 1, len(QUANTITIES))
    for axes, (quantity, label) in zip(all_axes, QUANTITIES.items(), strict=True):
        drawn = []
        for kind, by_size in curves.items():
            sizes = [int(size) for size in by_size]
            values = [[errors[quantity] for errors in sets] for sets in by_size.values()]
            axes.plot(sizes, [np.mean(own) for own in values], "-", color=COLOUR_OF[kind])
            for size, own in zip(sizes, values, strict=True):
                axes.plot([size] * len(own), own, ".", color=COLOUR_OF[kind])
                drawn += own
            if networks:
                axes.plot(SIZES[-1], networks[kind][quantity], "*", color=COLOUR_OF[kind], markersize=8)
                drawn.append(networks[kind][quantity])
        lowest, highest = log_limits(np.array(drawn))
        axes.set(xscale="log", yscale="log", ylim=(lowest, 1.1 * highest))
        axes.set_xticks(SIZES, [str(size) if place % 2 == 0 else "" for place, size in enumerate(SIZES)])
        axes.minorticks_off()
        label_decades(axes.yaxis, highest / lowest)
        axes.set_xlabel("training frames")
        name_panel(axes, f"RMSE of\n{label}")
    handles = [Line2D([], [], color=COLOUR_OF[kind], marker=".", label=f"linear, {NAMES[kind]}") for kind in curves]
    if networks:
        style = {"linestyle": "", "marker": "*", "markersize": 8}
        handles += [Line2D([], [], **style, color=COLOUR_OF[kind], label=f"network, {NAMES[kind]}") for kind in curves]
    head(all_axes[0], "Liquid water: learned directly, and as a correction", handles, width=WIDTH)
    foot(
        figure,
        "each point: one set of frames of 32 molecules; lines: means over sets; errors on 100 frames never fitted",
    )
    write_png(figure, path)


if __name__ == "__main__":
    main()
