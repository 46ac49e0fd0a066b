"""What is missed of the polarizability of a molecule, with and without the field of all others: run this script.

The numbers are of fits of linear heads to molecules of liquid water, its slab and ice Ih (SCAN, Berrens et al., JACS
Au 5, 1173 (2025)), 32 frames of each, and 8 others of each that were not fitted.  Writes field_inside.png beside it.
"""

from pathlib import Path

import numpy as np
from beadwise.pictures import COLOURS, SMALLEST, WIDTH, foot, head, panels, write_png
from matplotlib.patches import Patch

PHASES = ("liquid", "liquid, slab", "ice Ih", "ice Ih, slab,\nnever fitted")
FITS = {  # error over deviation in %, by phase
    "as labelled, 7 Å, l ≤ 5": (34.2, 60.6, 18.1, 98.2),
    "local, 6 Å, l ≤ 3": (14.4, 14.0, 14.4, 17.4),
    "local, 7 Å, l ≤ 5": (12.1, 11.8, 11.4, 15.0),
    "local, 7.5 Å, l ≤ 6": (11.0, 11.0, 10.2, 14.2),
}
COLOURS_OF_FITS = ("0.75", *COLOURS[:3])


def main() -> None:
    figure, (axes,) = panels((WIDTH, 3.8), grid="y")
    width = 0.8 / len(FITS)
    for number, (own, colour) in enumerate(zip(FITS.values(), COLOURS_OF_FITS, strict=True)):
        places = np.arange(len(PHASES)) + (number - (len(FITS) - 1) / 2) * width
        axes.bar(places, own, 0.92 * width, color=colour, zorder=2)
        for place, value in zip(places, own, strict=True):
            axes.text(place, value + 1.5, f"{value:.0f}", ha="center", fontsize=SMALLEST)
    axes.set_xticks(range(len(PHASES)), PHASES)
    axes.set(ylim=(0, 110), ylabel="error / deviation / %")
    handles = [Patch(color=colour, label=name) for name, colour in zip(FITS, COLOURS_OF_FITS, strict=True)]
    head(axes, "Polarizability of a molecule of water in the field of all others", handles)
    foot(
        figure,
        "linear heads, 8 radial functions, one fit for all phases, 32 frames each of the first three; errors on frames "
        "that were not fitted, of the response to the field in the medium",
    )
    write_png(figure, Path(__file__).with_name("field_inside.png"))


if __name__ == "__main__":
    main()
