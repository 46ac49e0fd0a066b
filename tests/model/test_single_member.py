"""One member of a committee alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from beadwise.model import Corrected, load, save
from beadwise.model.errors import EvaluatorError
from beadwise.model.evaluators import from_any_folder, load_evaluator
from beadwise.model.members import MemberError, single_member
from models import random_model
from test_members import COUNT, batch_of, with_members


def test_a_member_alone_is_what_the_committee_says_of_it():
    model, batch = with_members(random_model(hidden=(4,))), batch_of(0, 1)
    together = model.evaluate(batch, ("committee_energy", "committee_forces", "committee_virial", "committee_dipole"))
    tensors = model.evaluate(batch, ("committee_polarizability",)).committee_polarizability
    for index in range(COUNT):
        alone = single_member(model, index)
        assert alone.members is None
        own = alone.evaluate(batch, ("energy", "forces", "virial", "dipole", "polarizability"))
        for name in ("energy", "forces", "virial", "dipole"):
            np.testing.assert_allclose(own[name], together[f"committee_{name}"][:, index], rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(own.polarizability, tensors[:, index], rtol=1e-10)


def test_names_of_members(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(with_members(random_model(heads=("energy",))), "own.safetensors")
    batch = batch_of(2)
    committee = load("own.safetensors").evaluate(batch, ("committee_energy",)).committee_energy
    assert load_evaluator("member:3,own.safetensors").evaluate(batch, ("energy",)).energy == pytest.approx(
        committee[:, 3]
    )
    assert from_any_folder("member:3,own.safetensors") == f"member:3,{tmp_path / 'own.safetensors'}"
    for name, error, message in (
        ("member:5,own.safetensors", MemberError, "member 5 of a model is wanted; it has the members 0 to 4"),
        ("member:x,own.safetensors", EvaluatorError, "'member:x,own.safetensors' is no member; it is written member:K"),
        ("member:0,water_accurate", MemberError, "it has no members"),
    ):
        with pytest.raises(error, match=message):
            load_evaluator(name)


def test_a_member_of_a_correction_keeps_its_baseline(tmp_path):

    save(
        replace(with_members(random_model(heads=("energy",))), baseline="harmonic:k=0.3"), tmp_path / "own.safetensors"
    )
    alone, batch = load_evaluator(f"member:1,{tmp_path / 'own.safetensors'}"), batch_of(2)
    assert isinstance(alone, Corrected)
    whole = load(tmp_path / "own.safetensors").evaluate(batch, ("committee_energy",)).committee_energy
    assert alone.evaluate(batch, ("energy",)).energy == pytest.approx(whole[:, 1])
