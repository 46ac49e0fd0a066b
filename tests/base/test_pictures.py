"""What all pictures have in common, and that nobody waits for what draws them before there is something to draw."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from beadwise.errors import PictureError
from beadwise.pictures import band, dress, panels, reach, write_png
from matplotlib.image import imread

NAN, INF = np.nan, np.inf
DRAWING = [
    "driver.commands.group",
    "driver.launch.run",
    "driver.doors.sockets",
    "analysis.spectrum.make",
    "analysis.profile.make",
    "analysis.reweighting.make",
    "analysis.mass.make",
    "analysis.promotion.make",
    "learning.fitting.fit",
    "learning.loop.loop",
]


def test_what_may_draw_does_not_import_matplotlib_before_it_does():
    code = f"import importlib, sys\nfor name in {DRAWING}: importlib.import_module('beadwise.' + name)\n"
    subprocess.run([sys.executable, "-c", code + "assert 'matplotlib' not in sys.modules"], check=True)


def test_every_picture_is_drawn_in_one_style():
    """What draws begins with `panels` and ends with `write_png`, or with a page that holds its pictures."""
    root = Path(__file__).resolve().parents[2]
    sources = [path for path in root.rglob("*.py") if path.relative_to(root).parts[0] not in {"tests", "build"}]
    texts = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in sources}
    assert len(texts) > 300
    assert [name for name, text in texts.items() if "import matplotlib.pyplot" in text] == []
    saving = {name for name, text in texts.items() if ".savefig(" in text}
    assert saving == {"base/pictures.py", "learning/pictures/loop_report.py"}


def test_a_picture_of_several_panels(tmp_path):
    figure, all_axes = panels((4.0, 3.0), 2, 3, grid="y", sharex=True)
    assert all_axes.shape == (6,)
    x = np.linspace(0, 1, 5)
    for axes in all_axes:
        band(axes, x, x, 0.1 + x, "red")
        assert not axes.spines["top"].get_visible()
        dress(axes)
    write_png(figure, tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert imread(tmp_path / "a.png").shape[:2] == (450, 600)
    with pytest.raises(PictureError, match=r"cannot write the plot '.*none/a.png': No such file"):
        write_png(figure, tmp_path / "none" / "a.png")


@pytest.mark.parametrize(
    "values, errors, expected",
    [
        ([0, 4, 2], [], (4, 0)),
        ([0, 4, 2], [[1, 1, 1]], (5, -1)),
        ([0, 4, 2], [[0.5, 0.5, 0.5], [0, 1, 0]], (5, -0.5)),
        ([0, 4, 2], [[100, 100, 100]], (104, -100)),
        ([-3, -1], [[0.5, 0.5]], (0, -3.5)),
        ([NAN, 4, INF], [[1, NAN, 1]], (4, 0)),
        ([NAN], [[1]], (0, 0)),
    ],
)
def test_how_far_a_curve_and_its_bands_reach(values, errors, expected):
    assert reach(np.array(values, dtype=float), *(np.array(error, dtype=float) for error in errors)) == expected
