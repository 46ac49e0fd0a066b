"""Telling the order of a liquid's atoms from their distances."""

import numpy as np
import pytest
from beadwise.driver.doors.molecular_order import species_from_distances
from beadwise.model import StructureError

WATER = (8, 1, 1)


@pytest.mark.parametrize("order", ["OHH", "HOH", "HHO", "elements", "elements reversed"])
@pytest.mark.parametrize("spread", [0.0, 0.06], ids=["classical", "bead"])
def test_every_order_of_water_is_told(liquid, order, spread):
    molecules = np.arange(192).reshape(-1, 3)
    places = {
        "OHH": molecules.ravel(),
        "HOH": molecules[:, [1, 0, 2]].ravel(),
        "HHO": molecules[:, [1, 2, 0]].ravel(),
        "elements": np.concatenate([molecules[:, 0], molecules[:, 1:].ravel()]),
        "elements reversed": np.concatenate([molecules[:, 1:].ravel(), molecules[:, 0]]),
    }[order]
    positions = liquid.positions + np.random.default_rng(0).normal(0, spread, (192, 3))
    told = species_from_distances(WATER, liquid.cell.array, positions[places])
    np.testing.assert_array_equal(told, liquid.numbers[places])


def test_what_is_no_water_is_refused(liquid):
    shuffled = np.random.default_rng(0).permutation(192)
    with pytest.raises(StructureError, match="192 atoms fit no order of OHH molecules"):
        species_from_distances(WATER, liquid.cell.array, liquid.positions[shuffled])
    with pytest.raises(StructureError, match="191 atoms are no whole number of OHH molecules"):
        species_from_distances(WATER, liquid.cell.array, liquid.positions[:-1])
    liquid.positions[3, 1] = np.inf
    with pytest.raises(StructureError, match="1 coordinates are not finite"):
        species_from_distances(WATER, liquid.cell.array, liquid.positions)
