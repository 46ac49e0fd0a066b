"""i-PI's cell is always there, so that a liquid whose cell was made up is known by the empty space around it."""

import warnings

import numpy as np
import pytest
from ase.io import read
from beadwise.driver.doors.responder import Responder
from beadwise.model import StructureWarning, load
from beadwise.runs.units import BOHR_PER_ANGSTROM
from places import INPUTS


def test_a_server_warns_once_of_empty_space_on_all_sides():
    box = read(INPUTS / "water_32.xyz")
    positions = box.positions[None] * BOHR_PER_ANGSTROM
    cells = np.array([box.cell.array * BOHR_PER_ANGSTROM])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Responder(load("water_short"), box.numbers).answer(cells, positions)
    responder = Responder(load("water_short"), box.numbers)
    with pytest.warns(StructureWarning, match="its cell leaves empty space on all sides") as caught:
        for _ in range(3):
            responder.answer(4 * cells, positions)
    assert len(caught) == 1
