"""Telling the order of a liquid's atoms from their distances."""

import numpy as np
import pytest
from beadwise.driver.doors.molecular_order import orders, refuse_wrong_order, species_from_distances
from beadwise.driver.doors.responder import Responder
from beadwise.model import StructureError
from beadwise.model.evaluators import load_evaluator

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


@pytest.mark.parametrize("wrong", [(1, 1, 8), (1, 8, 1)])
def test_a_structure_in_the_wrong_order_is_refused(liquid, wrong):
    responder = Responder(load_evaluator("water"), np.tile(wrong, 64))
    lengths = [np.array([array]) / 0.529177210544 for array in (liquid.cell.array, liquid.positions)]
    with pytest.raises(StructureError, match="a structure in i-PI's order is needed"):
        responder.answer(*lengths)
    Responder(load_evaluator("water"), liquid.numbers).answer(*lengths)


def test_where_distances_do_not_tell_the_given_order_counts(liquid):
    cell = liquid.cell.array
    broken = liquid.positions.copy()
    broken[1] += 3.0
    refuse_wrong_order(WATER, liquid.numbers, cell, broken)
    refuse_wrong_order(WATER, np.append(liquid.numbers[:-1], 8), cell, liquid.positions)  # other molecules, too
    refuse_wrong_order((18,), np.full(192, 18), cell, liquid.positions)


def test_large_molecules_have_few_orders():
    assert len(list(orders([6] * 6 + [1] * 12 + [8] * 6, 2))) < 20
    assert len(list(orders(range(1, 30), 1))) == 2


def test_many_atoms_need_no_table_of_all_distances(liquid):
    many = liquid * (4, 4, 4)
    assert len(species_from_distances(WATER, many.cell.array, many.positions)) == 12288
