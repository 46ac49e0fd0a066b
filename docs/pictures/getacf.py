"""Our correlation function and i-PI's, of a process whose own is known: `python docs/pictures/getacf.py`.

Writes getacf.png beside this file.  The series are those of tests/spectra/test_against_getacf.py, three to an atom, and
both read the same ones: `i-pi-getacf` in blocks of 400 steps, its default for 200 lags.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "tests" / "spectra"))
from test_against_getacf import circular, correlate, from_getacf, ornstein_uhlenbeck  # noqa: E402

LAGS, BLOCK, RELAXATION = 200, 400, 50
SERIES, BLOCKS = 600, 20
EXACT, OURS, TOOL = "#222222", "#1f6fb4", "#d1495b"


def main() -> None:
    series = ornstein_uhlenbeck(SERIES, BLOCK * BLOCKS, RELAXATION, seed=3)
    ours = correlate(series, LAGS)
    with tempfile.TemporaryDirectory() as folder:
        tool = from_getacf(Path(folder), series, LAGS, BLOCK)
    lags = np.arange(LAGS)
    plot(lags, ours.values[:LAGS], ours.standard_error[:LAGS], tool)


def plot(lags: np.ndarray, ours: np.ndarray, error: np.ndarray, tool: np.ndarray) -> None:
    exact, expected = np.exp(-lags / RELAXATION), circular(lags, BLOCK, RELAXATION)
    plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(7, 6.2), sharex=True, height_ratios=[3, 2], constrained_layout=True
    )
    above.plot(lags, exact, color=EXACT, lw=4, alpha=0.25, label=r"exact, $e^{-t/\tau}$")
    above.plot(lags, ours, color=OURS, lw=1.6, label="beadwise")
    above.plot(lags, tool, color=TOOL, lw=1.6, label="i-pi-getacf")
    above.set_ylabel(r"correlation $\langle x(0)\,x(t)\rangle$")
    above.set_ylim(0, 1.02)
    above.legend(frameon=False)

    below.axhline(0, color=EXACT, lw=4, alpha=0.25)
    below.fill_between(lags, ours - exact - 2 * error, ours - exact + 2 * error, color=OURS, alpha=0.2, lw=0)
    below.plot(lags, ours - exact, color=OURS, lw=1.6)
    below.plot(lags, tool - exact, color=TOOL, lw=1.6)
    below.plot(lags, expected - exact, color=TOOL, lw=1.2, ls=(0, (4, 3)))
    below.annotate(
        "beadwise, ± 2 standard errors",
        (150, (ours - exact + 2 * error)[150]),
        (0, 5),
        textcoords="offset points",
        color=OURS,
        ha="center",
    )
    below.annotate(
        "i-pi-getacf; dashed, what a transform\nwithout zero padding must give",
        (98, (expected - exact)[98]),
        (0, -16),
        textcoords="offset points",
        color=TOOL,
        va="top",
    )
    below.set_ylabel("found − exact")
    below.set_ylim(-0.065, 0.025)
    below.set_xlabel(r"time $t$ in steps;  $\tau$ = 50 steps, blocks of 400")
    below.set_xlim(0, LAGS)
    figure.savefig(HERE / "getacf.png", dpi=160)


if __name__ == "__main__":
    main()
