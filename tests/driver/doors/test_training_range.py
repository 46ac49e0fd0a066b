"""A model that is asked for something quite different from its training says so, once."""

import logging

import numpy as np
import pytest
from ase.build import molecule
from ase.units import Bohr
from beadwise.driver.doors.responder import Responder
from beadwise.model.evaluators import load_evaluator

LOGGER = "beadwise.driver.doors.training_range"


@pytest.mark.parametrize(("name", "formula", "warns"), [("ethanol", "CH3CH2OH", False), ("ethanol", "H2O", True)])
def test_a_structure_far_from_the_training_is_said_once(name, formula, warns, caplog):
    atoms = molecule(formula)
    positions = np.array([atoms.positions, atoms.positions + 0.1]) / Bohr
    cells = np.array([np.eye(3) * 20 / Bohr] * 2)
    responder = Responder(load_evaluator(name), atoms.numbers)
    with caplog.at_level(logging.WARNING, LOGGER):
        answers = [responder.answer(cells, positions) for _ in range(2)]
    assert [message.startswith("warning: the first structure is far from all") for message in caplog.messages] == (
        [True] if warns else []
    )
    assert answers[0].extras == answers[1].extras  # what is looked at is not sent
    np.testing.assert_array_equal(answers[0].forces, answers[1].forces)
