"""Our correlation function and i-PI's, of a process whose own is known: `python docs/pictures/getacf.py`.

Writes getacf.png beside this file.  The series are those of tests/spectra/test_against_getacf.py, three to an atom, and
both read the same ones: `i-pi-getacf` in blocks of 400 steps, its default for 200 lags.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from beadwise.pictures import COLOURS, REFERENCE, SMALL, WIDTH, band, band_entry, head, panels, write_png
from matplotlib.lines import Line2D

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "tests" / "spectra"))
from test_against_getacf import circular, correlate, from_getacf, ornstein_uhlenbeck  # noqa: E402

LAGS, BLOCK, RELAXATION = 200, 400, 50
SERIES, BLOCKS = 600, 20
OURS, TOOL = COLOURS[:2]
MARKS = {"color": OURS, "marker": "o", "markersize": 3.5, "linestyle": "", "zorder": 3}


def main() -> None:
    series = ornstein_uhlenbeck(SERIES, BLOCK * BLOCKS, RELAXATION, seed=3)
    ours = correlate(series, LAGS)
    with tempfile.TemporaryDirectory() as folder:
        tool = from_getacf(Path(folder), series, LAGS, BLOCK)
    lags = np.arange(LAGS)
    plot(lags, ours.values[:LAGS], ours.standard_error[:LAGS], tool)


def plot(lags: np.ndarray, ours: np.ndarray, error: np.ndarray, tool: np.ndarray) -> None:
    exact, expected = np.exp(-lags / RELAXATION), circular(lags, BLOCK, RELAXATION)
    figure, (above, below) = panels((WIDTH, 5.6), 2, sharex=True, height_ratios=[3, 2])
    exact_style = {"color": REFERENCE, "linewidth": 1.2, "zorder": 2}
    above.plot(lags, exact, **exact_style)
    above.plot(lags[::8], ours[::8], **MARKS)
    above.plot(lags, tool, color=TOOL, linewidth=1.6)
    above.set_ylabel(r"correlation $\langle x(0)\,x(t)\rangle$")
    above.set_ylim(0, 1.02)

    below.axhline(0, **exact_style)
    band(below, lags, ours - exact, error, OURS)
    below.plot(lags, ours - exact, color=OURS, linewidth=1.6, zorder=3)
    below.plot(lags, tool - exact, color=TOOL, linewidth=1.6)
    below.plot(lags, expected - exact, color=TOOL, linewidth=1.2, linestyle=":")
    below.annotate(
        "dotted: what a transform without\nzero padding must give",
        (98, (expected - exact)[98]),
        (0, -14),
        textcoords="offset points",
        color=TOOL,
        fontsize=SMALL,
        va="top",
    )
    below.set_ylabel("found − exact")
    below.set_ylim(-0.06, 0.02)
    below.set_xlabel("time / steps")
    below.set_xlim(0, LAGS)
    handles = [
        Line2D([], [], **exact_style, label=rf"exact, $e^{{-t/\tau}}$, $\tau$ = {RELAXATION} steps"),
        Line2D([], [], **MARKS, label="beadwise"),
        band_entry(colour=OURS),
        Line2D([], [], color=TOOL, linewidth=1.6, label=f"i-pi-getacf, blocks of {BLOCK} steps"),
    ]
    head(above, f"Correlation of a process that is known, {SERIES} series of {BLOCK * BLOCKS} steps", handles)
    figure.align_ylabels()
    write_png(figure, HERE / "getacf.png")


if __name__ == "__main__":
    main()
