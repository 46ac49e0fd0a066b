"""The dashboard in a terminal: what it shows, at any size, and the line where there is no terminal."""

import io
import re
import time

import numpy as np
import pytest
from beadwise.driver.watch.in_terminal import watch_in_terminal
from beadwise.driver.watch.pulse import Pulse
from beadwise.driver.watch.small_plot import BLOCKS, axis_line, braille_plot, sparkline
from beadwise.driver.watch.state import State
from beadwise.driver.watch.terminal import Dashboard, plain_line
from rich.cells import cell_len
from rich.console import Console

GRID = np.arange(0.0, 4500.0, 3.0)
CURVE = np.exp(-(((GRID - 600) / 150) ** 2)) + 2 * np.exp(-(((GRID - 3400) / 120) ** 2))
PULSE = Pulse(1200, 4000, 31.0, State("going on", "last change 2 s ago", 1e9))


def series(name, label, unit, **more):
    time = np.linspace(0, 1, 50)
    nothing = {"low": None, "high": None, "mean": None, "target": None, "drift": None}
    return {"name": name, "label": label, "unit": unit, "x_label": "time / ps", "x": list(time), **nothing} | {
        "y": list(np.sin(9 * time)),
        **more,
    }


def content(**more):
    mean = {"value": 298.234, "error": 1.34, "independent": 40.0, "begins": 0.5}
    band = {"position": 3401.7, "position_error": 9.3, "height": 2.0, "height_error": 0.1}
    curve = {"name": "", "y": list(CURVE), "error": [0.1] * len(GRID), "model_error": None, "members": []}
    return {
        "title": "water",
        "run": {"formula": "H128O64", "dynamics": "TRPMD", "beads": 8, "temperature": 300.0, "timestep": 0.5},
        "verdicts": [{"name": "drift", "label": "Drift", "colour": "good", "sentence": "small, 0.01 of 1 allowed"}],
        "series": [
            series("potential", "potential energy", "eV"),
            series("temperature", "temperature", "K", mean=mean, target=300.0),
            series("conserved", "conserved", "meV per atom", drift={"value": 0.012, "error": 0.004}),
        ],
        "uncertainties": [series("forces", "force uncertainty", "eV/Å", high=[0.25, 0.31], worst=0.31)],
        "spectra": [
            {
                "kind": "ir",
                "title": "Infrared absorption",
                "preliminary": False,
                "x": list(GRID),
                "bands": [band],
                "panels": [{"label": "n(ω) α(ω) / cm⁻¹", "curves": [curve]}],
            }
        ],
    } | more


def shown(width=100, height=40, **more):
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    console.print(Dashboard(content(**more), PULSE))
    return console.file.getvalue()


def test_everything_is_there():
    text = shown()
    for words in ("water", "H128O64, TRPMD, 8 beads, 300 K, 0.5 fs", "going on", "step 1200/4000", "31 steps/s",
                  "1 min 30 s left", "298.234 ± 1.3 K, target 300 K", "Drift: small, 0.01 of 1 allowed",
                  "largest force uncertainty: 0.31 eV/Å", "3402 ± 9.3", "⣿", "1500"):  # fmt: skip
        assert words in text, words


@pytest.mark.parametrize("width, height", [(20, 8), (40, 20), (80, 24), (200, 60)])
def test_it_fits_any_terminal(width, height):
    lines = shown(width, height).splitlines()
    assert max(map(cell_len, lines)) <= width
    assert len(lines) <= height and any("step 1" in line for line in lines)


def test_nothing_is_known_yet():
    text = shown(series=[], spectra=[], uncertainties=[], verdicts=[], run={})
    assert "water" in text and "step 1200/4000" in text
    text = plain_line({}, Pulse(None, 100, 0.0, State("not begun", "i-PI has not written anything yet")))
    assert text == "i-PI has not written anything yet; step 0/100"


def test_one_line():
    line = plain_line(content(), PULSE)
    assert line.startswith("step 1200/4000  31 steps/s") and "\n" not in line
    assert "298.234 ± 1.3 K" in line and "drift 0.012 ± 0.004 meV per atom and ps" in line
    assert "ir bands 3402 ± 9.3 cm⁻¹" in line


def test_curves_in_letters():
    plot = braille_plot(CURVE, 60, 5)
    assert len(plot) == 5 and {len(row) for row in plot} == {60}
    filled = [column for column in range(60) if plot[0][column] != "⠀"]
    assert all(abs(column / 60 * 4500 - 3400) < 150 for column in filled) and filled
    assert braille_plot(np.full(10, np.nan), 10, 2) == ["⠀" * 10] * 2 and braille_plot(np.zeros(3), 4, 1) == ["⠀" * 4]
    assert braille_plot(np.array([9.0, 1.0]), 1, 1, high=1.0) == ["⣿"]  # what is beyond the top is cut
    assert sparkline(np.arange(8.0), 8) == BLOCKS and sparkline(np.array([]), 5) == ""
    assert sparkline(np.full(100, 3.0), 4) == BLOCKS[0] * 4
    line = axis_line(0, 4000, 41, [0, 1000, 2000, 3000, 4000])
    assert len(line) == 41 and line.startswith("0") and line.endswith("4000") and line.index("2000") == 18
    assert axis_line(0, 4000, 3, [0, 1000, 4000]).strip() == "0"


class Watched:
    """A run that ends at its third look."""

    def __init__(self):
        self.looks, self.content, self.pulse = 0, content(), PULSE

    def look(self):
        self.looks += 1
        if self.looks == 3:
            self.pulse = Pulse(4000, 4000, 0.0, State("ended", "ended at its last step, 4000"))
        return 0.01


def test_until_the_run_ends_in_a_terminal_that_changes_its_size(monkeypatch):
    sizes = iter([(100, 40), (60, 30), (30, 20)])
    console = Console(file=io.StringIO(), width=120, height=50, force_terminal=True, color_system=None)

    def sleep(seconds):
        console.size = next(sizes, (30, 20))
        time.sleep(seconds)

    watched = Watched()
    watch_in_terminal(watched, console, sleep)
    text = console.file.getvalue()
    assert watched.looks == 3 and "\x1b[?1049h" in text and "\x1b[?1049l" in text  # a screen of its own, and back
    last = text.rpartition("\x1b[?1049l")[2]
    assert "step 4000/4000" in last.replace("…", "") or "● ended" in last
    widths = {len(frame) for frame in re.findall("╭[^╮]*╮", text)}
    assert {120, 100, 60} <= widths


def test_lines_where_there_is_no_terminal(monkeypatch):
    monkeypatch.delenv("BEADWISE_PROGRESS", raising=False)
    console = Console(file=io.StringIO(), width=80)
    watch_in_terminal(Watched(), console, lambda seconds: None)
    first, last = console.file.getvalue().splitlines()
    assert first.startswith("step 1200/4000") and last.startswith("ended at its last step, 4000; step 4000/4000")
    monkeypatch.setenv("BEADWISE_PROGRESS", "none")
    console = Console(file=io.StringIO(), width=80)
    watch_in_terminal(Watched(), console, lambda seconds: None)
    assert console.file.getvalue().count("\n") == 1
    console = Console(file=io.StringIO(), width=80)
    watched = Watched()
    watch_in_terminal(watched, console, once=True)
    assert watched.looks == 1 and console.file.getvalue().startswith("step 1200/4000")
