"""The picture of an average: shieldings of a water molecule that tumbles, from samples that are drawn here.

python docs/pictures/averages/picture.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from beadwise.analysis.averages.groups import Group
from beadwise.analysis.averages.make import distributions_of
from beadwise.analysis.averages.outcome import Outcome
from beadwise.analysis.averages.picture import draw
from beadwise.analysis.averages.rows import rows_of
from beadwise.analysis.averages.series import KeptSeries, averaged_property

STEPS, BEADS, MEMBERS = 400, 32, 8
MEANS, WIDTHS = np.array([322.0, 30.6, 30.6]), np.array([9.0, 0.9, 0.9])  # ppm
LABELS = ("O", "H", "H")


class Kept:
    """What the distributions ask of a run."""

    of = "shielding"


def main() -> None:
    """Draw it."""
    rng = np.random.default_rng(1)
    values = MEANS + WIDTHS * (rng.normal(size=(STEPS, BEADS, 3)) + 0.3 * rng.gamma(1.0, size=(STEPS, BEADS, 3)))
    tensors = values.mean(axis=1)[..., None, None] * np.eye(3)
    members = tensors.mean(axis=0) + rng.normal(0, 0.12, (MEMBERS, 3))[..., None, None] * WIDTHS[
        :, None, None
    ] * np.eye(3)
    kept = [KeptSeries(np.arange(STEPS), tensors, values.astype(np.float32), members)]
    groups = [Group("O", (0,)), Group("H", (1, 2))]
    rows = rows_of(kept, averaged_property("shielding"), LABELS, groups, False, {}).rows
    found = distributions_of(Kept(), kept, groups, 60)
    title = f"shielding: {STEPS} samples, {BEADS} beads, 300 K"
    draw(Outcome(title, "shielding", "ppm", tuple(rows), found, (), ()), Path(__file__).with_name("shieldings.png"))


if __name__ == "__main__":
    main()
