"""i-PI's readers without its engine: nothing is left behind, and frames are what i-PI itself reads."""

import io
import subprocess
import sys

import numpy as np
import pytest
from beadwise.runs import ipi_utilities
from ipi.utils import io as of_ipi
from ipi.utils.units import unit_to_internal

FRAME = "2\n# CELL(abcABC): 8.0 9.0 10.0 90.0 80.0 70.0 {}\nO 0.5 -1.25 3e-1\nXx 1 2 3\n"
COMMENTS = [
    "",
    "positions{angstrom} cell{angstrom}",
    "cell{nanometer}",
    "Step: 3 Bead: 1 x_centroid{atomic_unit} cell{atomic_unit}",
    "velocities{m/s} cell{angstrom}",
    "velocities{atomic_unit}",
    "positions{angstrom} velocities{atomic_unit}",
    "positions{angstrom} positions{nanometer}",
    "cell{angstrom} cell{nanometer}",
    "x_centroid{angstrom} positions{nanometer}",
    "positions{parsec}",
    "positions{ase} cell{ase}",
    "own{angstrom}",
]
ASKED = [
    {},
    {"dimension": "length"},
    {"dimension": "length", "units": "angstrom"},
    {"dimension": "length", "units": "angstrom", "cell_units": "nanometer"},
    {"dimension": "velocity"},
    {"units": "angstrom"},
]


def read(reader, comment, asked):
    """Frames, or the error."""
    try:
        return [
            (frame["atoms"].q.tolist(), list(frame["atoms"].names), frame["atoms"].m.tolist(), frame["cell"].h.tolist())
            for frame in reader("xyz", io.StringIO(2 * FRAME.format(comment)), **asked)
        ]
    except (ValueError, TypeError, KeyError) as error:
        return type(error), str(error)


@pytest.mark.parametrize("comment", COMMENTS)
def test_frames_are_those_of_ipi(comment, capsys):
    for asked in ASKED:
        assert read(ipi_utilities.iter_file, comment, asked) == read(of_ipi.iter_file, comment, asked), asked


def test_one_frame_and_none():
    frame = ipi_utilities.read_file("xyz", io.StringIO(FRAME.format("positions{angstrom}")), dimension="length")
    np.testing.assert_array_equal(frame["atoms"].q[3:], np.array([1, 2, 3]) * unit_to_internal("length", "angstrom", 1))
    with pytest.raises(EOFError, match="no frame"):
        ipi_utilities.read_file("xyz", io.StringIO(""))


def test_nothing_of_ipi_is_left_and_all_of_it_comes_later():
    """In a process of its own: what a run needs of i-PI, and then i-PI."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, beadwise.driver.launch.run\n"
            "assert not [name for name in sys.modules if name.partition('.')[0] == 'ipi']\n"
            "import ipi.engine.simulation\n"
            "import ipi.utils.units, beadwise.runs.ipi_utilities as own\n"
            "assert ipi.utils.units.UnitMap == own.UnitMap and ipi.utils.units.UnitMap is not own.UnitMap\n"
            "assert ipi.ipi_global_settings and ipi.engine.simulation.Simulation",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
