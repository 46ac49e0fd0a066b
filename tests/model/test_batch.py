"""What a user gives a batch, and what wrong uses in a notebook are told."""

from __future__ import annotations

from pathlib import Path

import beadwise
import numpy as np
import pytest
from ase import Atoms
from beadwise.errors import BeadwiseError
from beadwise.model import Batch, ModelFileError, PropertyError, StructureError, save
from models import random_model

GIVEN = {"numbers": [8], "positions": [[[0, 0, 0]]], "cells": [np.eye(3)], "periodic": [True] * 3}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"numbers": [8.5]}, r"numbers of a batch are \[8.5\]; whole numbers are needed"),
        ({"numbers": [np.nan]}, "whole numbers are needed"),
        ({"numbers": ["O"]}, r"numbers of a batch are \['O'\], of <U1; real numbers are needed"),
        ({"numbers": [-8]}, "atomic number of atom 0 is -8; allowed are 0 to 118"),
        ({"numbers": [119]}, "atomic number of atom 0 is 119; allowed are 0 to 118"),
        ({"numbers": None}, "numbers of a batch are None"),
        ({"positions": np.zeros((1, 1, 3)) + 1j}, r"array\(1 × 1 × 3\), of complex128; real numbers are needed"),
        ({"positions": [[[0, 0, 0], [0, 0]]]}, "positions of a batch are list of 1, which is no array"),
        ({"positions": [[[None, 0, 0]]]}, "of object; real numbers are needed"),
        ({"periodic": [0, 2, 0]}, r"periodic of a batch are \[0, 2, 0\]; True or False are needed"),
        ({"periodic": ["T", "F", "F"]}, "periodic of a batch are"),
        ({"periodic": True}, r"periodic has shape \(\)"),
    ],
)
def test_what_a_batch_does_not_take(wrong, message):
    with pytest.raises(StructureError, match=message):
        Batch(**GIVEN | wrong)


def test_what_a_batch_takes():
    batch = Batch(**GIVEN)
    assert batch == Batch(np.array([8.0]), np.zeros((1, 1, 3), np.float32), np.eye(3, dtype=int)[None], [1, 1, 1])
    assert [getattr(batch, name).dtype for name in GIVEN] == [np.int32, np.float64, np.float64, np.bool_]
    assert Batch([], np.zeros((1, 0, 3)), [np.eye(3)], [True] * 3).atoms == 0
    turned = Batch([8], np.zeros((3, 1, 1), np.float32).T, [np.eye(3)], [True] * 3)
    assert turned.positions.flags.c_contiguous


def test_batches_are_compared_by_their_numbers():
    frame = Atoms("OHH", np.eye(3))
    batch = Batch.from_ase([frame, frame])
    moved = frame.copy()
    moved.positions[0, 0] += 1e-9
    assert batch == Batch.from_ase([frame, frame])
    assert batch != Batch.from_ase([frame, moved]) and batch != Batch.from_ase(frame) and batch != 3


@pytest.mark.parametrize("field", ["0,0,1", [0, 0, "a"], 0.1, [[1], [1, 2]], [0, 0, np.nan]])
def test_a_field_that_is_none(field):
    with pytest.raises(PropertyError, match="must be three finite numbers"):
        beadwise.Calculator("qtip4pf", electric_field=field)
    with pytest.raises(BeadwiseError, match="cannot be put into the electric field"):
        beadwise.Calculator("harmonic:k=1.0", electric_field=field)


def test_a_text_is_no_structure():
    with pytest.raises(BeadwiseError, match=r"atoms = 'H2O'; ase\.Atoms are needed"):
        beadwise.Calculator("harmonic:k=1.0", atoms="H2O")


def test_names_of_properties():
    model = beadwise.load("qtip4pf")
    with pytest.raises(PropertyError, match="want is None; names of properties are needed"):
        beadwise.evaluate(model, Atoms("OHH", np.eye(3)), None)
    with pytest.raises(PropertyError, match="did you mean 'born_charges'"):
        beadwise.evaluate(model, Atoms("OHH", np.eye(3)), ["born_effective_charges"])


def test_names_of_models(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("small.safetensors").touch()
    for name, message in (
        ("folder", "no model 'folder', which is a folder: give the file in it"),
        ("small", r"; did you mean 'small\.safetensors'\?"),
        ("member", "no model 'member' alone, a colon and more have to follow"),
    ):
        with pytest.raises(ModelFileError, match=message) as caught:
            beadwise.load(name)
        assert f"did you mean '{name}'" not in str(caught.value)


@pytest.mark.parametrize(("members", "said"), [(("a", "b", "a"), "'a' 2 times"), (("a", "b"), "")])
def test_a_member_that_is_there_twice(members, said, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate("ab"):
        save(random_model(seed=seed), name)
    committee = beadwise.load(f"committee:{','.join(members)}")
    assert len(committee.members) == len(members)
    assert [record.getMessage() for record in caplog.records] == (
        [f"the committee has the member {said}: its uncertainty is too small"] if said else []
    )


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({}, None),
        ({"charge": None}, None),
        ({"charge": 0}, 0.0),
        ({"total_charge": -1.0}, -1.0),
        ({"charge": None, "total_charge": 2}, 2.0),
        ({"charge": 1, "total_charge": 1.0}, 1.0),
        ({"charge": np.zeros(3)}, None),  # of atoms
    ],
)
def test_the_charge_that_a_structure_says(info, expected):
    assert Batch.from_ase(Atoms("OHH", np.eye(3), info=info)).charge == expected


@pytest.mark.parametrize("charge", [None, 0, 1, -3, 0.1])
@pytest.mark.parametrize("atoms", [1, 3, 49])
def test_the_charge_that_other_programs_are_told(charge, atoms):
    structure = Atoms(numbers=[1] * atoms, positions=np.random.default_rng(0).normal(size=(atoms, 3)), pbc=True)
    structure.info["charge"] = charge
    told = Batch.from_ase([structure] * 2).to_ase(1)
    assert told == structure or charge
    assert told.info == ({"charge": charge} if charge else {})
    charges = told.get_initial_charges()
    assert charges.sum() == charges[::-1].sum() == (charge or 0)  # exact: some round it towards 0
    np.testing.assert_allclose(charges, (charge or 0) / atoms, atol=1e-4)


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ({"charge": "+1"}, r"charge of a structure is '\+1'; a finite number in e is needed"),
        ({"charge": np.nan}, "charge of a structure is nan; a finite number"),
        ({"charge": True}, "charge of a structure is True; a finite number"),
        ({"charge": 1, "total_charge": "one"}, "total_charge of a structure is 'one'"),
        ({"charge": 0, "total_charge": 1}, "a structure has 'charge' = 0 and 'total_charge' = 1, which differ"),
    ],
)
def test_a_charge_that_is_none(info, message):
    structure = Atoms("OHH", np.eye(3), info=info)
    with pytest.raises(StructureError, match=message) as refusal:
        Batch.from_ase([structure, structure])
    assert "\n" not in str(refusal.value)
