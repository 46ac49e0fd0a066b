"""What a model remembers from step to step: nothing of it may be seen in an answer, or hide what is wrong."""

import numpy as np
import pytest
from beadwise.model import Batch, StructureError, load, outputs
from beadwise.model.checks import check_cells, volumes
from beadwise.model.structures import indices_of_species

WATER = np.array([[0.0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])


def batch(cell=8.0, periodic=(True, True, True), numbers=(8, 1, 1)):
    cells = np.array(cell) if np.ndim(cell) == 2 else cell * np.eye(3)
    return Batch(np.array(numbers, dtype=np.int32), WATER[None], cells[None], np.array(periodic))


def test_indices_of_species_are_those_of_any_type_and_cannot_be_written():
    own = indices_of_species((1, 8), np.array([8, 1, 1], dtype=np.int32))
    np.testing.assert_array_equal(own, [1, 0, 0])
    np.testing.assert_array_equal(own, indices_of_species((1, 8), np.array([8, 1, 1])))
    np.testing.assert_array_equal(indices_of_species((1, 6, 8), np.array([8, 1, 1], dtype=np.int32)), [2, 0, 0])
    with pytest.raises(ValueError, match="read-only"):
        own[0] = 0


def test_what_is_wrong_is_refused_each_time_and_after_what_is_right():
    check_cells(batch())
    for _ in range(2):
        with pytest.raises(StructureError, match=r"is only 0\.5 Å high"):
            check_cells(batch(0.5))
        with pytest.raises(StructureError, match="atom 0 is C, a species unknown"):
            indices_of_species((1, 8), np.array([6, 1, 1], dtype=np.int32))
        check_cells(batch(0.5, (False, False, False)))
        check_cells(batch())


def test_volumes_follow_the_cells_and_the_periodic_directions():
    sheared = np.array([[8.0, 0, 0], [1.0, 7.0, 0], [0.5, -2.0, -6.0]])
    for _ in range(2):
        assert volumes(batch(8.0))[0] == pytest.approx(512.0, rel=1e-14)
        assert volumes(batch(sheared))[0] == pytest.approx(336.0, rel=1e-14)
        assert np.isinf(volumes(batch(8.0, (True, True, False)))[0])


def test_answers_do_not_depend_on_what_was_asked_before():
    first, want = load("water"), ("energy", "forces", "virial")
    before = first.evaluate(batch(), want)
    first.evaluate(batch(), ("dipole", "born_charges"))
    first.evaluate(batch(9.0, (False, False, False)), ("energy", "polarizability"))
    again, fresh = first.evaluate(batch(), want), load("water").evaluate(batch(), want)
    for name in want:
        np.testing.assert_array_equal(again[name], before[name])
        np.testing.assert_array_equal(again[name], fresh[name])
    in_field = first.in_field((0.0, 0.0, 0.1))
    assert not np.array_equal(in_field.evaluate(batch(), want).forces, before.forces)
    first.electric_field = (0.0, 0.0, 0.1)  # the layout stays, and tells one field from another
    np.testing.assert_array_equal(first.evaluate(batch(), want).forces, in_field.evaluate(batch(), want).forces)
    first.electric_field = (0.0, 0.0, 0.0)
    np.testing.assert_array_equal(first.evaluate(batch(), want).forces, before.forces)


def test_fields_that_change_at_every_step_do_not_fill_the_memory():
    layout = load("water").layout
    for step in range(3 * outputs.REMEMBERED):
        field = (0.0, 0.0, 1e-3 * step)
        _, rows = layout.asked_of_kernel(("energy", "forces"), field)
        np.testing.assert_array_equal(rows, layout.gradient_rows(("energy", "forces"), field))
    assert len(layout._remembered[1]) <= outputs.REMEMBERED
