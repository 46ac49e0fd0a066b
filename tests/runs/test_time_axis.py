"""What steps and times in a file say of its samples."""

from pathlib import Path

import numpy as np
import pytest
from beadwise.errors import SeriesError
from beadwise.runs.output.time_axis import is_axis, time_axis

PATH = Path("a.dat")
STEPS = np.arange(400)


@pytest.mark.parametrize(
    ("times", "spacing"),
    [
        (STEPS, 1),
        (STEPS * 20, 20),
        (np.round(STEPS * 0.4838, 3), 0.4838),  # 20 atomic units, with three digits
        (np.round(STEPS * 0.0005, 5), 0.0005),
        (STEPS * 0.1, 0.1),  # no multiple is exact
        (1e6 + STEPS * 0.25, 0.25),
    ],
)
def test_equally_spaced(times, spacing):
    axis = time_axis(times, PATH)
    assert axis.spacing == pytest.approx(spacing, rel=1e-4) and axis.counts.all() and axis.note == ""
    assert is_axis(times)


@pytest.mark.parametrize(
    ("times", "first", "second"),
    [
        (np.delete(STEPS, 200), 199, 201),
        (np.concatenate([STEPS, 400 + 2 * STEPS[:300]]), 400, 402),
        (np.delete(STEPS * 0.5, 7), 3, 4),
        (np.where(STEPS < 200, STEPS, STEPS + 0.04), 199, 200.04),
    ],
)
def test_gaps_and_strides(times, first, second):
    with pytest.raises(SeriesError, match=rf"goes from step {first} to {second}, its other samples are"):
        time_axis(times, PATH)


def test_later_ones_count():
    axis = time_axis(np.concatenate([STEPS, np.arange(350, 500)]), PATH)
    assert not axis.counts[350:400].any() and axis.counts.sum() == 500 and axis.spacing == 1
    assert axis.note.startswith("50 of 550 samples are written again later")


def test_what_is_no_time():
    dipole = np.cumsum(np.random.default_rng(0).normal(size=400))
    for values in (dipole, np.round(dipole, 1), np.round(dipole), np.zeros(400), -STEPS, STEPS[:1], np.sin(STEPS)):
        assert not is_axis(values)
    assert is_axis(np.concatenate([STEPS, STEPS[300:] + 1]))  # of a restart
    with pytest.raises(SeriesError, match=r"step of sample 1 of 'a\.dat' is not finite"):
        time_axis(np.array([0, np.nan, 2]), PATH)
