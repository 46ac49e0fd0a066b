"""The acoustic sum rule: enforced, reported once, and kept by our own models without."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from beadwise.driver.doors.sum_rule import SumRule, remove_mean
from beadwise.model import Batch, load
from models import random_structure

LOGGER = "beadwise.driver.doors.sum_rule"


def charges(seed=0, excess=0.0):
    values = np.random.default_rng(seed).normal(size=(4, 9, 3, 3))
    return values - values.mean(axis=1, keepdims=True) + excess


def test_the_mean_is_removed_bead_by_bead():
    before = charges()
    offsets = np.random.default_rng(1).normal(size=(4, 1, 3, 3))
    broken = before + offsets
    copy = broken.copy()
    after, mean = remove_mean(broken)
    np.testing.assert_array_equal(broken, copy)
    np.testing.assert_allclose(after, before, atol=1e-14)
    np.testing.assert_allclose(mean, offsets[:, 0], atol=1e-14)
    np.testing.assert_allclose(after.mean(axis=1), 0, atol=1e-15)


def test_a_net_charge_is_removed_too():
    """What the documentation says of ions: the charge goes, and differences between atoms stay."""
    ion = np.tile(np.eye(3) / 9, (1, 9, 1, 1)) + charges()[:1]
    after, mean = remove_mean(ion)
    np.testing.assert_allclose(mean[0], np.eye(3) / 9, atol=1e-15)
    np.testing.assert_allclose(after[0, 1] - after[0, 0], ion[0, 1] - ion[0, 0], atol=1e-15)


def test_it_is_said_once(caplog):
    caplog.set_level(logging.INFO, LOGGER)
    rule = SumRule()
    for excess in (0.0, 1e-7, -0.02, 0.5):
        np.testing.assert_allclose(rule.enforce(charges(excess=excess)), charges(), atol=1e-14)
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]
    assert caplog.records[1].message == (
        "warning: the Born effective charges of this model break the acoustic sum rule by 0.02 e per atom; "
        "it was removed"
    )
    SumRule().enforce(charges(excess=0.5))
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "WARNING"]  # another server


@pytest.mark.parametrize("name", ["water", "ethanol"])
def test_shipped_models_keep_the_rule(name):
    atoms = random_structure(1)
    if name == "ethanol":
        atoms.numbers[0] = 6
    before = load(name).evaluate(Batch.from_ase([atoms, atoms]), ("born_charges",)).born_charges
    after, mean = remove_mean(before)
    assert np.abs(mean).max() < 1e-14
    np.testing.assert_allclose(after, before, atol=1e-14)
