"""Levels of benzene from a Hamiltonian with random weights: docs/pictures/hamiltonian/benzene.png, and benzene.csv.

python docs/pictures/hamiltonian/benzene.py
"""

import sys
from pathlib import Path

import numpy as np
from beadwise.colours import COLOURS, REFERENCE
from beadwise.pictures import dress, panels, write_png

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "orbitals"))
from orbital_models import benzene, isolated, random_model  # noqa: E402

SHAPES = {
    "six equal bonds\nD6h": {},
    "alternating bonds\nD3h": {"kekule": 0.03},
    "stretched along one axis\nD2h": {"quinoid": 0.02},
}


def main() -> None:
    """Draw a column for each shape: pairs as two short lines side by side, single levels as one."""
    model = random_model()
    rows = ["shape,level / eV,degeneracy"]
    figure, (axes,) = panels((7.0, 5.0))
    for column, distortion in enumerate(SHAPES.values()):
        levels = np.linalg.eigvalsh(model.matrices(isolated(*benzene(**distortion))))[0]
        groups = np.split(levels, np.flatnonzero(np.diff(levels) > 1e-9 * np.ptp(levels)) + 1)
        rows += [f"{list(SHAPES)[column].splitlines()[1]},{own[0]:.12f},{len(own)}" for own in groups]
        for own in groups:
            for begin, end in [(-0.3, -0.03), (0.03, 0.3)] if len(own) == 2 else [(-0.3, 0.3)]:
                colour = COLOURS[0] if len(own) == 2 else REFERENCE
                axes.plot([column + begin, column + end], [own[0]] * 2, color=colour, linewidth=1.4)
        axes.text(column, levels.max() + 0.12, f"{len(groups)} levels", ha="center")
    axes.set_xticks(range(len(SHAPES)), SHAPES)
    axes.set(ylabel="level / eV, random weights", xlim=(-0.5, 2.5))
    axes.margins(y=0.1)
    axes.plot([], [], color=COLOURS[0], label="pair")
    axes.plot([], [], color=REFERENCE, label="single level")
    axes.legend(loc="center right", bbox_to_anchor=(0.98, 0.57))  # in the gap
    dress(axes)
    write_png(figure, HERE / "benzene.png")
    (HERE / "benzene.csv").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
