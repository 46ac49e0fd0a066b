"""What two models say of labels of one set of frames, side by side: Born charges and polarizabilities unless said.

python docs/pictures/joint_fit/parity_of_heads.py --frames FRAMES.xyz "linear heads=LINEAR" "network=NETWORK"

Writes parity.png beside this file.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from beadwise.learning.data import read_frames
from beadwise.learning.fitting.accuracy import evaluate_errors
from beadwise.learning.pictures.parity import plot_parity
from beadwise.model import load

HERE = Path(__file__).parent


def main() -> None:
    """Draw the parity of all models."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", required=True, help="frames that no model was fitted to")
    parser.add_argument("--labels", default="born_effective_charges,polarizability", help="names with commas")
    parser.add_argument("models", nargs="+", metavar="TITLE=MODEL")
    arguments = parser.parse_args()
    frames, shown = read_frames(arguments.frames), arguments.labels.split(",")
    reports = {}
    for title, path in (text.split("=", 1) for text in arguments.models):
        report = evaluate_errors(load(path), frames)
        reports[title] = replace(report, properties={name: report.properties[name] for name in shown})
        print(title, {name: own.root_mean_square_error for name, own in reports[title].properties.items()})
    plot_parity(reports, HERE / "parity.png")


if __name__ == "__main__":
    main()
