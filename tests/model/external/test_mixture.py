"""Models out of several: sums and their derivatives, units, members, fields, and what is said of wrong files."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from beadwise.analysis.promotion.kept_energies import KeptEnergies
from beadwise.driver.commands.group import main
from beadwise.errors import BeadwiseError
from beadwise.learning.labels.references import EvaluatorReference
from beadwise.learning.labels.settings import LabelSettings
from beadwise.model import Batch, Committee, Model, PropertyError, StructureError, save
from beadwise.model.correction import Corrected
from beadwise.model.evaluators import files_of, from_any_folder, identity_of, in_field, load_evaluator, parts_of
from beadwise.model.mixtures.mixture import Mixture, MixtureError, Part
from beadwise.properties.quantities import properties
from click.testing import CliRunner
from models import random_model, random_structure

ENERGIES = ("energy", "forces", "virial")
FIELD = (0.05, -0.1, 0.2)
PAIRS = "lennard-jones:epsilon=0.01,sigma=0.9,cutoff=2.8"


class Counted:
    """Another evaluator that counts its evaluations, and can lack properties."""

    def __init__(self, evaluator, without=()):
        self.evaluator, self.calls = evaluator, []
        self.species = evaluator.species
        self.properties = tuple(name for name in evaluator.properties if name not in without)

    def evaluate(self, batch, want):
        self.calls.append(tuple(want))
        return self.evaluator.evaluate(batch, want)


def answer(evaluator, atoms, want):
    response = evaluator.evaluate(Batch.from_ase(atoms), want)
    return {name: response[name][0] for name in want}


def assert_same(found, expected, tolerance=1e-13):
    for name in expected:
        scale = max(1.0, np.abs(expected[name]).max())
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=tolerance * scale, err_msg=name)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two models, and the folder that they are in, which is not the current one."""
    for seed in range(3):
        save(random_model(seed), tmp_path / f"model_{seed}.safetensors")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path


def described(folder, text, name="mixed.toml"):
    (folder / name).write_text(text)
    return str(folder / name)


THREE = """
[energy]
models = ["model_0.safetensors", "lennard-jones:epsilon=0.01,sigma=0.9,cutoff=2.8"]

[dipole]
model = "model_1.safetensors"

[polarizability]
model = "model_2.safetensors"
unit = "bohr^3"
"""


def test_each_quantity_comes_from_its_part(folder):
    mixed = load_evaluator(described(folder, THREE))
    atoms = random_structure()
    parts = [load_evaluator(str(folder / f"model_{seed}.safetensors")) for seed in range(3)]
    want = [*ENERGIES, "dipole", "born_charges", "polarizability", "polarizability_derivatives"]
    assert set(want) <= set(mixed.properties)
    found = answer(mixed, atoms, want)
    pairs = load_evaluator(PAIRS)
    expected = answer(parts[1], atoms, ["dipole", "born_charges"])
    bohr = 0.529177210903**3
    expected |= {
        name: bohr * value
        for name, value in answer(parts[2], atoms, ["polarizability", "polarizability_derivatives"]).items()
    }
    sums = [answer(part, atoms, ENERGIES) for part in (parts[0], pairs)]
    expected |= {name: sums[0][name] + sums[1][name] for name in ENERGIES}
    assert_same(found, expected, 1e-9)  # the bohr is CODATA's of another year there
    assert mixed.species == (1, 8)


def test_forces_and_virial_are_derivatives(folder):
    mixed = load_evaluator(described(folder, THREE))
    atoms = random_structure()
    step = 1e-4
    forces, virial = (answer(mixed, atoms, [name])[name] for name in ("forces", "virial"))

    def energy(displacement, strain):
        moved = atoms.copy()
        moved.positions += displacement
        moved.set_cell(moved.cell.array @ (np.eye(3) + strain), scale_atoms=False)
        moved.positions = moved.positions @ (np.eye(3) + strain)
        return float(answer(mixed, moved, ["energy"])["energy"])

    displacement = np.zeros((len(atoms), 3))
    displacement[2, 1] = step
    slope = (energy(displacement, 0) - energy(-displacement, 0)) / (2 * step)
    assert -slope == pytest.approx(forces[2, 1], abs=1e-7)
    strain = np.zeros((3, 3))
    strain[0, 0] = step
    slope = (energy(0, strain) - energy(0, -strain)) / (2 * step)
    assert -slope == pytest.approx(virial[0, 0], abs=1e-6)


def test_every_part_is_evaluated_once(folder):
    whole = Counted(random_model(0))
    mixed = Mixture(
        {"energy": [Part(whole)], "dipole": [Part(whole)], "polarizability": [Part(Counted(random_model(1)))]}
    )
    mixed.evaluate(Batch.from_ase(random_structure()), ["energy", "forces", "dipole", "polarizability"])
    assert whole.calls == [("energy", "forces", "dipole")]
    name = described(folder, '[energy]\nmodel = "model_0.safetensors"\n[dipole]\nmodel = "model_0.safetensors"\n')
    assert len(load_evaluator(name).evaluators) == 1


def test_without_an_energy_it_is_no_driver_and_says_so(folder):
    name = described(folder, '[dipole]\nmodel = "model_1.safetensors"\n')
    assert "energy" not in load_evaluator(name).properties
    result = CliRunner().invoke(main, ["serve", name, "--unix", "beadwise-none", "--wait", "0"])
    assert result.exit_code == 2
    assert "energy" in result.stderr and "Traceback" not in result.output


def test_members_of_one_part_get_what_the_others_add(folder):
    committee, pairs = Committee([random_model(0), random_model(1)]), load_evaluator(PAIRS)
    mixed = Mixture({"energy": [Part(committee), Part(pairs)]})
    atoms = random_structure()
    found = answer(mixed, atoms, ["committee_energy", "committee_forces", "energy_uncertainty", "energy"])
    own, added = answer(committee, atoms, ["committee_energy", "energy_uncertainty"]), answer(pairs, atoms, ["energy"])
    np.testing.assert_allclose(found["committee_energy"], own["committee_energy"] + added["energy"], rtol=1e-13)
    np.testing.assert_allclose(found["committee_energy"].mean(), found["energy"], rtol=1e-13)
    assert found["energy_uncertainty"] == own["energy_uncertainty"]
    assert not {"committee_energy"} & set(Mixture({"energy": [Part(committee), Part(committee)]}).properties)


def test_a_committee_beside_the_energy(folder):
    text = f'[energy]\nmodel = "{PAIRS}"\n[committee]\nenergy = ["model_0.safetensors", "model_1.safetensors"]\n'
    atoms = random_structure()
    mixed = load_evaluator(described(folder, text))
    members = Committee([random_model(0), random_model(1)])
    found = answer(mixed, atoms, ["energy", "forces", "energy_uncertainty", "committee_energy", "forces_uncertainty"])
    assert found["energy"] == answer(load_evaluator(PAIRS), atoms, ["energy"])["energy"]
    assert_same(found, answer(members, atoms, ["energy_uncertainty", "committee_energy", "forces_uncertainty"]), 1e-6)
    alone = load_evaluator(described(folder, text.partition("[committee]")[2].join(["[committee]", ""])))
    assert_same(answer(alone, atoms, ENERGIES), answer(members, atoms, ENERGIES), 1e-6)


@pytest.mark.parametrize("without", [(), ("virial",)], ids=["energy in a field", "born charges"])
def test_in_a_field_the_dipole_acts(without):
    model, pairs, atoms = random_model(0), load_evaluator(PAIRS), random_structure()
    part = model if not without else Counted(model, without)
    mixed = Mixture({"energy": [Part(pairs)], "dipole": [Part(part)]})
    driven = mixed.in_field(FIELD)
    want = [name for name in (*ENERGIES, "dipole") if name in driven.properties]
    assert ("virial" in want) is not bool(without)
    found, plain, own = (
        answer(driven, atoms, want),
        answer(mixed, atoms, want),
        answer(model, atoms, ["dipole", "born_charges"]),
    )
    assert found["energy"] == pytest.approx(plain["energy"] - own["dipole"] @ FIELD, abs=1e-12)
    np.testing.assert_allclose(found["forces"], plain["forces"] + own["born_charges"] @ FIELD, atol=1e-12)
    assert_same({"dipole": found["dipole"]}, {"dipole": own["dipole"]})
    if not without:
        added = answer(model.in_field(FIELD), atoms, ["virial"])["virial"] - answer(model, atoms, ["virial"])["virial"]
        np.testing.assert_allclose(found["virial"], plain["virial"] + added, atol=1e-12)


def test_in_a_field_a_part_is_made_and_asked_once():
    model = random_model(0)
    made = []

    class Watched(Counted):
        def in_field(self, field):
            made.append(Counted(model.in_field(field)))
            return made[-1]

    part = Watched(model)
    driven = Mixture({"energy": [Part(part)], "dipole": [Part(part)]}).in_field(FIELD)
    for _ in range(3):
        found = driven.evaluate(Batch.from_ase(random_structure()), ["energy", "forces", "dipole"])
    assert len(made) == 1 and not part.calls and len(made[0].calls) == 3  # all of it in the field
    several = Mixture({"energy": [Part(part), Part(load_evaluator(PAIRS))], "dipole": [Part(part, 0.5)]})
    sums = several.in_field(FIELD).evaluate(Batch.from_ase(random_structure()), ["energy"])
    half = answer(model.in_field(0.5 * np.array(FIELD)), random_structure(), ["energy"])["energy"]
    pairs = answer(load_evaluator(PAIRS), random_structure(), ["energy"])["energy"]
    assert sums["energy"][0] == pytest.approx(half + pairs, abs=1e-12) and not part.calls
    expected = answer(model.in_field(FIELD), random_structure(), ["energy", "forces"])
    assert_same({name: found[name][0] for name in expected}, expected, 1e-12)


def test_a_field_counts_in_the_unit_of_the_dipole():
    model, atoms = random_model(0), random_structure()
    in_units = Mixture({"energy": [Part(load_evaluator(PAIRS))], "dipole": [Part(model, 0.25)]})
    expected = -0.25 * answer(model, atoms, ["dipole"])["dipole"] @ FIELD
    expected += answer(load_evaluator(PAIRS), atoms, ["energy"])["energy"]
    assert answer(in_units.in_field(FIELD), atoms, ["energy"])["energy"] == pytest.approx(expected, abs=1e-12)
    with pytest.raises(PropertyError, match="neither born_charges"):
        Mixture({"energy": [Part(model)], "dipole": [Part(Counted(model, ("born_charges", "virial")))]}).in_field(FIELD)
    with pytest.raises(PropertyError, match="no dipole"):
        in_field(Mixture({"energy": [Part(model)]}), FIELD, "mixed.toml")


def test_names_files_and_paths(folder, monkeypatch):
    name = described(folder, THREE)
    assert parts_of(name) == [str(folder / "model_0.safetensors"), PAIRS, str(folder / "model_1.safetensors"),
                              str(folder / "model_2.safetensors")]  # fmt: skip
    assert {file.name for file in files_of(name)} == {"mixed.toml", *(f"model_{seed}.safetensors" for seed in range(3))}
    monkeypatch.chdir(folder)
    assert from_any_folder("mixed.toml") == name


def test_what_is_kept_belongs_to_the_files_of_the_parts(folder):
    """Free energies, labels and harmonic references are made anew once a part of a part was fitted again."""
    described(folder, '[energy]\nmodel = "model_2.safetensors"\n', "inner.toml")
    name = described(folder, '[energy]\nmodels = ["model_0.safetensors", "inner.toml"]\n')

    def kept():
        reference = EvaluatorReference(LabelSettings(reference=name, folder=folder))
        return KeptEnergies(name, folder).file, reference.identity, identity_of(name, load_evaluator(name))

    before = kept()
    assert kept() == before
    save(random_model(7), folder / "model_2.safetensors")
    assert not set(before) & set(kept())


def test_inspect_tells_parts_and_hashes(folder):
    result = CliRunner().invoke(main, ["inspect", described(folder, THREE), "--json", "-"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert found["parts"]["polarizability"]["unit"] == "bohr^3"
    assert len(found["parts"]["dipole"]["model_1.safetensors"]["sha256"]["model_1.safetensors"]) == 64
    shown = CliRunner().invoke(main, ["inspect", described(folder, THREE)])
    assert shown.exit_code == 0 and "model_1.safetensors" in shown.output


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no model"),
        ("[energi]\nmodel = 'water'", "did you mean 'energy'"),
        ("energy = 'water'", r"a section \[energy\] is needed"),
        ("[energy]\nmodle = 'water'", "did you mean 'model'"),
        ("[energy]\nmodel = 'water'\nmodels = ['water']", "either model or models"),
        ("[energy]\nmodels = []", "a list of names"),
        ("[energy]\nmodels = 3", "a list of one or more texts"),
        ("[dipole]\nmodels = ['water', 'water_accurate']", "only energies add up"),
        ("[dipole]\nmodel = 'water'\nunit = 'furlong'", "furlong"),
        ("[dipole]\nmodel = 'water'\nunit = 'eV'", "measures"),
        ("[dipole]\nmodel = 'qtip4pf-none'", "qtip4pf"),
        ("[polarizability]\nmodel = 'qtip4pf'", "which has no polarizability"),
        ("[energy]\nmodel = 'mixed.toml'", "leads back"),
        ("[committee]\nenergie = ['water']", "did you mean 'energy'"),
        ("[committee]\nenergy = ['qtip4pf']", "without members"),
        ("[energy]\nmodel = 'ethanol'\n[dipole]\nmodel = 'qtip4pf'\n[x", "cannot read"),
    ],
)
def test_wrong_files_are_one_line(folder, text, words):
    with pytest.raises(BeadwiseError, match=words) as caught:
        load_evaluator(described(folder, text))
    assert "\n" not in str(caught.value)


def test_species_must_be_common():
    with pytest.raises(MixtureError, match="none of them in common"):
        Mixture({"energy": [Part(random_model(0, numbers=(1, 8)))], "dipole": [Part(random_model(0, numbers=(6, 7)))]})
    mixed = Mixture(
        {"energy": [Part(random_model(0, numbers=(1, 8)))], "dipole": [Part(random_model(0, numbers=(1, 6)))]}
    )
    assert mixed.species == (1,)
    with pytest.raises(StructureError):
        mixed.evaluate(Batch.from_ase(random_structure()), ["energy", "dipole"])


def test_a_correction_keeps_the_quantities_of_its_baseline():
    baseline, atoms = random_model(0), random_structure()
    learned = replace(random_model(1, heads=["energy"]), baseline="the other")
    corrected = Corrected(baseline, learned)
    assert {"dipole", "born_charges", "polarizability"} <= set(corrected.properties)
    want = ["energy", "forces", "dipole", "born_charges"]
    found, own = answer(corrected, atoms, want), answer(baseline, atoms, want)
    assert_same({"dipole": found["dipole"]}, {"dipole": own["dipole"]})
    assert found["energy"] == pytest.approx(own["energy"] + answer(learned, atoms, ["energy"])["energy"], abs=1e-12)
    assert_same(answer(corrected, atoms, ["dipole"]), {"dipole": own["dipole"]})
    driven = answer(corrected.in_field(FIELD), atoms, ["energy", "forces"])
    assert driven["energy"] == pytest.approx(found["energy"] - own["dipole"] @ FIELD, abs=1e-12)
    np.testing.assert_allclose(driven["forces"], found["forces"] + own["born_charges"] @ FIELD, atol=1e-12)
    both = Corrected(baseline, replace(random_model(1), baseline="the other"))
    assert_same(answer(both, atoms, ["dipole"]), answer(random_model(1), atoms, ["dipole"]))


def test_the_list_of_properties_follows_the_registry():
    mixed = Mixture({"energy": [Part(Committee([random_model(0), random_model(1)]))]})
    assert all(properties()[name].quantity.name == "energy" for name in mixed.properties if properties()[name].quantity)
    assert isinstance(mixed.evaluators[0], Committee) and not isinstance(mixed, Model)
    assert "Mixture" in repr(mixed)
