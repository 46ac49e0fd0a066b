"""Corrections to a baseline: sums and their derivatives, files of all versions, committees, fields, and every door."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.io import write
from beadwise.driver.commands.group import main
from beadwise.driver.commands.options import parse_models
from beadwise.driver.doors.sockets import serve
from beadwise.model import BaselineError, Batch, Committee, Corrected, Model, PropertyError, evaluators, load, save
from beadwise.model.calculator import Calculator
from beadwise.model.errors import EvaluatorError
from beadwise.model.evaluators import from_any_folder, load_evaluator
from beadwise.model.files import load_model
from beadwise.runs.units import BOHR_PER_ANGSTROM, HARTREE_PER_ELECTRONVOLT
from click.testing import CliRunner
from fake_ipi import PATIENCE, Pairs, in_background
from models import labelled, random_model, random_structure
from places import INPUTS
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from toy import Toy

BASELINE = "lennard-jones:epsilon=0.01,sigma=0.9,cutoff=2.8"
ENERGIES = ("energy", "forces", "virial")
FIELD = (0.05, -0.1, 0.2)
STEP = 1e-4


class Counted:
    """Another evaluator that counts the beads it is asked for."""

    def __init__(self, evaluator, properties=ENERGIES):
        self.evaluator, self.properties, self.beads = evaluator, properties, 0
        self.species = evaluator.species

    def evaluate(self, batch, want):
        self.beads += batch.beads
        return self.evaluator.evaluate(batch, want)


def correction(seed=0, baseline=BASELINE, **options):
    return replace(random_model(seed, **options), baseline=baseline)


def answer(evaluator, atoms, want=ENERGIES):
    response = evaluator.evaluate(Batch.from_ase(atoms), want)
    return {name: response[name][0] for name in want}


def assert_same(found, expected, tolerance=1e-12):
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=tolerance, atol=tolerance, err_msg=name)


def write_as_version(version, source, path):
    """What a release of that format version wrote: 1 had neither groups nor a network, 2 no baseline."""
    with safe_open(str(source), framework="numpy") as file:
        description = json.loads(file.metadata()["beadwise"])
    description["format_version"] = version
    for name in ("sha256", *{1: ("groups", "network", "baseline"), 2: ("baseline",)}[version]):
        del description[name]
    save_file(load_file(source), path, metadata={"beadwise": json.dumps(description)})


@pytest.fixture
def model_file(tmp_path):
    path = tmp_path / "delta.safetensors"
    save(correction(), path)
    return str(path)


@pytest.fixture
def orphan(tmp_path):
    """A model file whose baseline nobody has."""
    path = tmp_path / "orphan.safetensors"
    save(correction(baseline="ase:no_such_package.Method"), path)
    return str(path)


def test_energies_add_up_and_the_rest_is_learned():
    model, atoms = correction(), random_structure()
    corrected = Corrected(load_evaluator(BASELINE), model)
    whole, learned = (answer(evaluator, atoms, model.properties) for evaluator in (corrected, model))
    given = answer(load_evaluator(BASELINE), atoms)
    assert abs(given["energy"]) > 1e-3
    assert corrected.properties == model.properties and corrected.species == (1, 8)
    assert_same(whole, learned | {name: learned[name] + given[name] for name in ENERGIES}, 1e-13)


@pytest.mark.parametrize("field", [None, FIELD], ids=["without a field", "in a field"])
def test_forces_and_virial_are_derivatives(field):
    whole = Corrected(load_evaluator(BASELINE), correction())
    whole = evaluators.in_field(whole, field, "delta") if field else whole
    atoms = random_structure(2)
    found = answer(whole, atoms)
    if field:  # U − E·μ of the learned dipole
        bare = answer(Corrected(whole.baseline, correction()), atoms, ("energy", "dipole"))
        np.testing.assert_allclose(found["energy"], bare["energy"] - np.dot(field, bare["dipole"]), rtol=1e-12)

    def energies(change):
        trials = [atoms.copy(), atoms.copy()]
        for trial, step in zip(trials, (STEP, -STEP), strict=True):
            change(trial, step)
        return np.array([answer(whole, trial, ("energy",))["energy"] for trial in trials])

    for atom, axis in [(0, 0), (1, 2), (5, 1), (8, 0)]:

        def displace(trial, step, atom=atom, axis=axis):
            trial.positions[atom, axis] += step

        numerical = -np.subtract(*energies(displace)) / (2 * STEP)
        np.testing.assert_allclose(found["forces"][atom, axis], numerical, atol=1e-6)
    for a, b in [(0, 0), (1, 1), (0, 1), (2, 1)]:

        def strain(trial, step, a=a, b=b):
            deformation = np.eye(3)
            deformation[b, a] += step
            trial.set_cell(trial.cell.array @ deformation, scale_atoms=True)

        numerical = -np.subtract(*energies(strain)) / (2 * STEP)
        np.testing.assert_allclose(found["virial"][a, b], numerical, atol=1e-5)


def test_a_file_remembers_its_baseline(model_file):
    with safe_open(model_file, framework="numpy") as file:
        description = json.loads(file.metadata()["beadwise"])
    assert description["baseline"] == BASELINE and description["format_version"] == 3
    loaded, atoms = load(model_file), random_structure(1)
    assert isinstance(loaded, Corrected) and loaded.correction.baseline == BASELINE
    expected = answer(Corrected(load_evaluator(BASELINE), correction()), atoms, loaded.properties)
    assert_same(answer(loaded, atoms, loaded.properties), expected, 0)
    assert_same(answer(load_evaluator(model_file), atoms), {name: expected[name] for name in ENERGIES}, 0)


def test_the_bare_correction_has_a_name(model_file, tmp_path, monkeypatch):
    bare = load_evaluator(f"correction:{model_file}")
    assert isinstance(bare, Model) and bare.baseline == BASELINE
    atoms = random_structure(1)
    assert_same(answer(bare, atoms), answer(load_model(model_file), atoms), 0)
    monkeypatch.chdir(tmp_path)
    assert from_any_folder("correction:delta.safetensors") == f"correction:{tmp_path / 'delta.safetensors'}"
    save(random_model(), "direct.safetensors")
    with pytest.raises(EvaluatorError, match=r"'direct.safetensors' corrects no baseline; it is served as 'direct"):
        load_evaluator("correction:direct.safetensors")


@pytest.mark.parametrize("version", [1, 2])
def test_older_files_are_direct_models(version, tmp_path):
    save(random_model(), tmp_path / "now.safetensors")
    write_as_version(version, tmp_path / "now.safetensors", tmp_path / "then.safetensors")
    now, then = (load(tmp_path / f"{name}.safetensors") for name in ("now", "then"))
    assert isinstance(then, Model) and then.baseline == ""
    assert_same(answer(then, random_structure(), then.properties), answer(now, random_structure(), now.properties), 0)


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(BaselineError, match=r"a baseline with \['forces'\]; it must have an energy"):
        Corrected(Counted(Toy(), ("forces",)), correction())
    with pytest.raises(BaselineError, match=r"species \[6, 7\] on a baseline for \[1, 8\]; they must have some"):
        Corrected(Toy(), correction(numbers=(6, 7)))
    without_virial = Corrected(Counted(Toy(), ("energy", "forces")), correction())
    assert "virial" not in without_virial.properties and "dipole" in without_virial.properties
    with pytest.raises(PropertyError, match="'virial' is not available; this correction with its baseline has"):
        answer(without_virial, random_structure())
    with pytest.raises(PropertyError, match="LennardJones on a baseline cannot be put into an electric field"):
        Corrected(Toy(), load_evaluator(BASELINE)).in_field(FIELD)


def test_a_dipole_alone_needs_no_baseline():
    counted = Counted(load_evaluator(BASELINE))
    answer(Corrected(counted, correction()), random_structure(), ("dipole", "polarizability", "born_charges"))
    assert counted.beads == 0


@pytest.mark.parametrize("field", [None, FIELD], ids=["without a field", "in a field"])
def test_a_committee_evaluates_its_baseline_once(tmp_path, field, monkeypatch):
    files = [str(tmp_path / f"{seed}.safetensors") for seed in range(2)]
    for seed, file in enumerate(files):
        save(correction(seed), file)
    counted = Counted(load_evaluator(BASELINE))
    make = evaluators.BUILT_IN["lennard-jones"]
    monkeypatch.setitem(evaluators.BUILT_IN, "lennard-jones", replace(make, make=lambda threads, parameters: counted))
    committee = load_evaluator(f"committee:{','.join(files)}")
    whole = [load(file) for file in files]
    if field:
        committee, *whole = (evaluators.in_field(own, field, "") for own in (committee, *whole))
    members = [*ENERGIES, "dipole"]
    want = [*members, *(f"committee_{name}" for name in members)]
    beads = Batch.from_ase([random_structure(), random_structure(1)])
    counted.beads = 0
    found = committee.evaluate(beads, want)
    assert counted.beads == 2
    each = [evaluator.evaluate(beads, members) for evaluator in whole]
    for name in members:
        values = np.stack([response[name] for response in each], axis=1)
        np.testing.assert_allclose(found[f"committee_{name}"], values, rtol=1e-12, atol=1e-12, err_msg=name)
        np.testing.assert_allclose(found[name], values.mean(axis=1), rtol=1e-12, atol=1e-12, err_msg=name)


def test_a_committee_of_different_potentials_is_one_of_whole_ones(tmp_path, model_file):
    save(random_model(1), tmp_path / "direct.safetensors")
    committee = load_evaluator(f"committee:{model_file},{tmp_path / 'direct.safetensors'}")
    assert isinstance(committee, Committee)
    atoms = random_structure()
    expected = [answer(load(model_file), atoms)["energy"], answer(random_model(1), atoms)["energy"]]
    np.testing.assert_allclose(answer(committee, atoms, ["committee_energy"])["committee_energy"], expected, rtol=1e-12)


def test_a_calculator_of_ase(model_file):
    atoms = random_structure()
    expected = answer(load(model_file), atoms, (*ENERGIES, "dipole"))
    atoms.calc = Calculator(model_file)
    np.testing.assert_allclose(atoms.get_potential_energy(), expected["energy"], rtol=1e-13)
    np.testing.assert_allclose(atoms.get_forces(), expected["forces"], rtol=1e-13)
    np.testing.assert_allclose(
        atoms.get_stress(voigt=False), -expected["virial"] / atoms.get_volume(), rtol=1e-9, atol=1e-15
    )
    np.testing.assert_allclose(atoms.get_dipole_moment(), expected["dipole"], rtol=1e-13)


def test_ipi_is_told_what_evaluate_gives(model_file):
    transport, atoms = Pairs(), [random_structure(), random_structure(1)]
    server = in_background(serve, load_evaluator(model_file), transport, atoms[0].numbers, (*ENERGIES, "dipole"))
    ipi = transport.servers[0]
    ipi.initialize(" batch_size:2")
    cells, positions = (
        np.array([np.asarray(getattr(bead, name)) for bead in atoms]) * BOHR_PER_ANGSTROM
        for name in ("cell", "positions")
    )
    ipi.request(cells, positions)
    energies, forces, virials, extras = ipi.forces(2, len(atoms[0]))
    ipi.exit()
    assert server.result(PATIENCE) is None
    expected = load(model_file).evaluate(Batch.from_ase(atoms), (*ENERGIES, "dipole"))
    tolerance = {"rtol": 1e-10, "atol": 1e-10}
    np.testing.assert_allclose(energies / HARTREE_PER_ELECTRONVOLT, expected.energy, **tolerance)
    np.testing.assert_allclose(forces / HARTREE_PER_ELECTRONVOLT * BOHR_PER_ANGSTROM, expected.forces, **tolerance)
    np.testing.assert_allclose(virials / HARTREE_PER_ELECTRONVOLT, expected.virial, **tolerance)
    np.testing.assert_allclose([extra["dipole"] for extra in extras], expected.dipole * BOHR_PER_ANGSTROM, **tolerance)


def test_without_its_baseline_a_file_does_not_run(orphan, tmp_path, monkeypatch):
    with pytest.raises(BaselineError, match=r"corrects the baseline ase:no_such_package.Method and does not run witho"):
        load(orphan)
    monkeypatch.chdir(tmp_path)
    write("data.xyz", labelled(random_model(), random_structure()))
    shutil.copy(INPUTS / "water_64.xyz", ".")
    text = (INPUTS / "classical_nvt.xml").read_text()
    Path("input.xml").write_text(text)
    before = set(tmp_path.iterdir())
    for arguments in (
        ["serve", orphan, "--unix", "nowhere", "--structure", "data.xyz"],
        ["evaluate", orphan, "data.xyz"],
        ["run", "input.xml", "--model", orphan],
    ):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 2, result.output
        assert "corrects the baseline ase:no_such_package.Method" in result.stderr
        assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1
    assert set(tmp_path.iterdir()) == before  # i-PI was not started


def test_a_file_without_its_baseline_can_be_read(orphan):
    result = CliRunner().invoke(main, ["inspect", orphan])
    assert result.exit_code == 0, result.output
    assert any("baseline" in line and "ase:no_such_package.Method" in line for line in result.stdout.splitlines()[:4])
    result = CliRunner().invoke(main, ["inspect", orphan, "--json", "-"])
    assert json.loads(result.stdout)["baseline"] == "ase:no_such_package.Method"


def test_inspect_says_that_there_is_no_baseline(tmp_path):
    save(random_model(), tmp_path / "direct.safetensors")
    result = CliRunner().invoke(main, ["inspect", str(tmp_path / "direct.safetensors")])
    assert any("baseline" in line and "none" in line for line in result.stdout.splitlines()[:4])


@pytest.mark.parametrize("metadata", [{}, None, ["words"], {"baseline": "words"}])
def test_a_file_may_say_anything_of_itself(metadata, tmp_path, caplog):
    path = tmp_path / "delta.safetensors"
    model = correction()
    model.metadata = metadata
    save(model, path)
    assert isinstance(load(path), Corrected) and not caplog.records
    assert CliRunner().invoke(main, ["inspect", str(path)]).exit_code == 0


@pytest.mark.parametrize("package", ["ase 3.0.0", None])
def test_another_version_of_the_baseline_is_told(package, tmp_path, caplog):
    name = "ase:ase.calculators.lj.LennardJones:sigma=0.9,epsilon=0.01,rc=2.0"
    present = load_evaluator(name).provider
    path = tmp_path / "delta.safetensors"
    metadata = {"baseline": {"name": name, "provider": package or present}}
    save(correction(baseline=name, metadata=metadata), path)
    load(path, trust=[name])
    told = [record.getMessage() for record in caplog.records]
    assert told == [] if package is None else f"fitted on the baseline {name} of ase 3.0.0; here" in told[0]
    assert present.startswith("ase ")


def test_a_baseline_with_parameters_is_no_force_field():
    assert parse_models(["GFN1-xTB,accuracy=0.1"], "water") == {"": "GFN1-xTB,accuracy=0.1"}
    assert parse_models(["outer=GFN1-xTB,charge=1"], "water")["outer"] == "GFN1-xTB,charge=1"
