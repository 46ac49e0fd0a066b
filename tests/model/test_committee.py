"""Committees: mean and members' values, as extras, and in i-PI's ``<ffcommittee>``."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from beadwise.driver.doors.extras import encode_extras
from beadwise.model import Batch, Committee, PropertyError, load, save
from beadwise.model.committee import CommitteeError
from beadwise.model.errors import EvaluatorError
from beadwise.model.evaluators import from_any_folder, load_evaluator
from beadwise.properties.quantities import COMMITTEE_PROPERTIES
from beadwise.runs.units import to_atomic
from members import baseline, four
from springs import Springs, without_polarizability
from toy import KNOWN, water

ENERGIES = ("energy", "forces", "virial")
OF_MEMBERS = tuple(name for name, of in COMMITTEE_PROPERTIES.items() if of in KNOWN)
SPREADS = tuple(f"{name}_uncertainty" for name in ("energy", "forces", "dipole", "polarizability"))


def beads(count: int = 3) -> Batch:
    return Batch.from_ase([water(seed) for seed in range(count)])


def test_mean_and_members():
    members, batch = four(), beads()
    committee = Committee(members)
    everything = (*KNOWN, *OF_MEMBERS)
    assert committee.properties == (*everything, *SPREADS)
    response = committee.evaluate(batch, everything)
    alone = [member.evaluate(batch, KNOWN) for member in four()]
    for name in KNOWN:
        np.testing.assert_allclose(response[name], np.mean([one[name] for one in alone], axis=0), rtol=1e-13)
    for place, one in enumerate(alone):
        np.testing.assert_array_equal(response.committee_energy[:, place], one.energy)
        np.testing.assert_array_equal(response.committee_forces[:, place], one.forces)
        np.testing.assert_array_equal(response.committee_virial[:, place], one.virial)
        np.testing.assert_array_equal(response.committee_dipole[:, place], one.dipole)
        np.testing.assert_array_equal(response.committee_polarizability[:, place], one.polarizability)
    assert response.committee_forces.shape == (3, 4, 6, 3)
    assert response.committee_polarizability.shape == (3, 4, 3, 3)


@pytest.mark.parametrize("want", [("energy",), ("committee_dipole",), ("committee_energy", "energy", *ENERGIES)])
def test_members_are_evaluated_once(want):
    members = four()
    response = Committee(members).evaluate(beads(), want)
    assert set(response.names) == set(want)
    wanted = tuple(dict.fromkeys(name.removeprefix("committee_") for name in want))
    assert [member.wants for member in members] == [[wanted]] * 4


def test_what_all_members_have():
    committee = Committee([Springs(), without_polarizability()])
    own = (*ENERGIES, "dipole")
    assert committee.properties == (*own, *(f"committee_{name}" for name in own), *SPREADS[:3])
    with pytest.raises(PropertyError, match="'committee_polarizability' is not available; this committee has"):
        committee.evaluate(beads(), ["committee_polarizability"])


def test_common_species():
    def knows(*numbers: int) -> Springs:
        springs = Springs()
        springs.species = numbers
        return springs

    assert Committee([knows(8, 1, 6), knows(1, 8, 7)]).species == (1, 8)
    assert Committee([knows(), knows(6)]).species == (6,)
    assert Committee([knows(), knows()]).species == ()
    with pytest.raises(CommitteeError, match=r"\(1,\), \(6, 8\).*none of them in common"):
        Committee([knows(1), knows(6, 8), knows()])


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_members(count):
    with pytest.raises(CommitteeError, match=f"a committee of {count}; at least 2"):
        Committee(four()[:count])


def test_a_member_may_be_a_committee():
    inner, batch = Committee(four()), beads()
    response = Committee([inner, baseline()]).evaluate(batch, ["committee_energy"])
    np.testing.assert_array_equal(response.committee_energy[:, 0], inner.evaluate(batch, ["energy"]).energy)


@pytest.fixture(scope="module")
def perturbed(tmp_path_factory):
    """Files of models with the weights of the shipped one, each block of them changed by a thousandth."""
    folder, random = tmp_path_factory.mktemp("models"), np.random.default_rng(3)
    for number in range(2):
        model = load("water")
        for name in ("energy", "dipole"):
            for weights in model.heads[name].weights:
                weights *= 1 + 1e-3 * random.normal()
        save(model, folder / f"{number}.safetensors")
    return folder


def test_fitted_models(perturbed, liquid, monkeypatch):
    monkeypatch.chdir(perturbed)
    committee = load_evaluator("committee:0.safetensors,1.safetensors, water", threads=2)
    assert [member.threads for member in committee.members] == [2, 2, 2]
    assert committee.metadata == {"repeating_unit": "OHH"}
    batch = Batch.from_ase([liquid])
    response = committee.evaluate(batch, ["energy", "forces", "committee_forces", "committee_dipole"])
    spread = np.std(response.committee_forces[0], axis=0, ddof=1)
    assert 0 < spread.max() < 1.0
    assert np.ptp(response.committee_dipole[0], axis=0).min() > 0
    field = (0.0, 0.0, 0.05)
    in_field = committee.in_field(field).evaluate(batch, ["energy", "dipole"])
    np.testing.assert_allclose(in_field.energy, response.energy - in_field.dipole @ field, rtol=1e-12)


def test_in_field_needs_it_of_every_member():
    with pytest.raises(CommitteeError, match="member 1 of the committee cannot be put into the electric field"):
        Committee([load("water"), Springs()]).in_field((0, 0, 0.1))


def test_names_on_the_command_line(perturbed, monkeypatch):
    monkeypatch.chdir(perturbed)
    absolute = f"committee:{perturbed / '0.safetensors'},members:first,harmonic:k=1"
    assert from_any_folder("committee:0.safetensors, members:first,harmonic:k=1") == absolute
    assert [type(member).__name__ for member in load_evaluator(absolute).members] == ["Model", "Member", "Harmonic"]
    assert from_any_folder("0.safetensors") == str(perturbed / "0.safetensors")
    assert from_any_folder("water") == "water"


def test_a_file_or_a_module_may_be_called_committee(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    save(load("water"), tmp_path / "committee:a,b")
    assert load_evaluator("committee:a,b").species == (1, 8)
    assert from_any_folder("committee:a,b") == str(tmp_path / "committee:a,b")
    (tmp_path / "committee.py").write_text("from springs import springs\n")
    assert isinstance(load_evaluator("committee:springs"), Springs)


@pytest.mark.parametrize("name", ["committee:water,", "committee:,water", "committee:water,committee:water"])
def test_names_that_are_refused(name):
    with pytest.raises(EvaluatorError, match=f"'{re.escape(name)}' has the member '.*'; allowed are"):
        load_evaluator(name)


def test_extras():
    batch = beads(2)
    response = Committee(four()).evaluate(batch, (*KNOWN, *OF_MEMBERS))
    want = list(OF_MEMBERS)
    for bead, text in enumerate(encode_extras(response, want)):
        extras = json.loads(text)
        assert list(extras) == [
            "committee_pot",
            "committee_force",
            "committee_virial",
            "member_dipoles",
            "member_polarizabilities",
        ]
        shapes = [np.shape(values) for values in extras.values()]
        assert shapes == [(4,), (4, 18), (4, 3, 3), (12,), (36,)]
        for name, values in zip(want, extras.values(), strict=True):
            expected = to_atomic(name.removeprefix("committee_"), response[name][bead])
            np.testing.assert_array_equal(np.reshape(values, expected.shape), expected)


def test_extras_without_energies():
    response = Committee(four()).evaluate(beads(2), ["committee_dipole"])
    assert [list(json.loads(text)) for text in encode_extras(response, ["committee_dipole"])] == [
        ["member_dipoles"]
    ] * 2
