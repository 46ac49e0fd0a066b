"""`beadwise fit` with ``[charges]``: from labels of charges, or of dipoles, to a model that is served."""

import json
from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from beadwise.driver.commands.group import main as cli
from beadwise.learning.data import Frame
from beadwise.learning.fitting.charges import fit as charge_fit
from beadwise.learning.fitting.configuration import ConfigurationError, read_configuration
from beadwise.learning.fitting.fit import fitted_model
from beadwise.learning.labels.references import EvaluatorReference
from beadwise.learning.labels.settings import LabelSettings
from beadwise.model import Batch, save
from beadwise.model.charges.evaluator import WithCharges
from beadwise.model.evaluators import load_evaluator
from beadwise.model.outputs import empty_head
from click.testing import CliRunner
from models import random_model, random_structure

KINDS = {
    "plain": 'kind = "plain"',
    "transfers": 'kind = "transfers"\nreach = 2.7',
    "equilibration": 'kind = "equilibration"\nenergy = "coulomb"\nhardness = {H = 9}',
}
WIDTHS = {"H": 0.5, "O": 0.7}
TOML = """[data]
train = ["train.xyz"]
validation = ["valid.xyz"]

[density]
cutoff = 3.0
radial = 3
l_max = 2
warp_length = 0.3
innermost = 0.7
decay_length = 2.0
decay_power = 3.0

[charges]
l_max = 2
ridge = 1e-9
widths = {H = 0.5, O = 0.7}
%s

[energy]

[repulsion]
strength = 0.0

[output]
model = "model.safetensors"
"""


def reference(kind):
    form = {"kind": kind, "energy": "coulomb", "widths": WIDTHS, "reach": 2.7, "totals": [0.0, 1.0]}
    if kind == "equilibration":
        form |= {"hardness": {"H": 9.0, "O": 11.0}}
    latent = "partial_charges" if kind == "plain" else "electronegativity"
    model = random_model(5, heads=("energy", latent), metadata={"charges": form})
    own, factor = model.heads[latent], 3.0 if kind == "plain" else 60.0
    head = type(own)(own.order, own.shape, factor * own.offset, factor * own.linear, factor * own.weights)
    model.heads[latent] = head
    model.heads["energy"] = replace(empty_head(0, own.shape), offset=np.array([-13.6, -430.0]))
    return WithCharges(model)


def write_frames(path, kind, seeds, labels):
    evaluator, frames = reference(kind), []
    for seed in seeds:
        atoms = random_structure(seed, molecules=2)
        atoms.pbc, atoms.cell = False, None
        atoms.info["charge"] = float(seed % 2) if kind != "transfers" else 0.0
        found = evaluator.evaluate(Batch.from_ase(atoms), ("energy", "forces", "partial_charges", "dipole"))
        results = {"energy": found.energy[0], "forces": found.forces[0]}
        if "charges" in labels:
            atoms.arrays["reference_charges"] = found.partial_charges[0]
        if "dipole" in labels:
            results["dipole"] = found.dipole[0]
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    ase.io.write(path, frames)


@pytest.mark.parametrize(
    ("kind", "labels"),
    [("plain", "dipole"), ("transfers", "dipole"), ("equilibration", "charges")],
)
def test_a_fit_finds_the_charges_again(tmp_path, monkeypatch, kind, labels):
    monkeypatch.chdir(tmp_path)
    origin = 'dipole_origin = "coordinates"\n'
    write_frames("train.xyz", kind, range(60 if labels == "charges" else 24), labels)
    write_frames("valid.xyz", kind, range(100, 104), labels)
    given = KINDS[kind]
    if labels == "dipole":  # which do not tell hardnesses
        given = given.replace("{H = 9}", "{H = 9, O = 11}")
    text = TOML % given
    (tmp_path / "fit.toml").write_text(text.replace("[density]", f"{origin}\n[density]", 1))
    result = CliRunner().invoke(cli, ["fit", "fit.toml"])
    assert result.exit_code == 0, result.output
    errors = json.loads((tmp_path / "report" / "errors.json").read_text())["valid.xyz"]["properties"]
    for name in ("partial_charges",) if labels == "charges" else ("dipole",):
        assert errors[name]["percent_error"] < (2 if labels == "charges" else 4), errors
    if labels == "charges":  # dipoles do not tell charges one by one
        assert errors["forces"]["percent_error"] < 15
    evaluator = load_evaluator("model.safetensors")
    assert isinstance(evaluator, WithCharges)
    assert {"energy", "forces", "virial", "dipole", "born_charges", "partial_charges"} <= set(evaluator.properties)
    if kind == "equilibration" and labels == "charges":
        assert evaluator.form.hardness["O"] == pytest.approx(11.0, rel=0.15)
        assert evaluator.form.hardness["H"] == 9.0
    inspected = CliRunner().invoke(cli, ["inspect", "model.safetensors"])
    assert inspected.exit_code == 0 and kind in inspected.output and "partial_charges" in inspected.output


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ('[charges]\nkind = "plain"\nenergy = "equilibration"\n', "allowed are none and coulomb"),
        ("[charges]\n[partial_charges]\n", "cannot stand beside it"),
        ("[charges]\n[committee]\n", "allowed is one of them"),
        ('[charges]\nkind = "latent"\n', "kind"),
    ],
)
def test_sections_that_cannot_be_are_refused(tmp_path, section, message):
    (tmp_path / "fit.toml").write_text(
        f'[data]\ntrain = ["train.xyz"]\n[energy]\n{section}[output]\nmodel = "model.safetensors"\n'
    )
    with pytest.raises(ConfigurationError, match=message):
        read_configuration(tmp_path / "fit.toml")


def test_of_frames_without_labels_nothing_is_fitted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("train.xyz", "valid.xyz"):
        write_frames(name, "plain", range(4), "")
    (tmp_path / "fit.toml").write_text(TOML % KINDS["plain"])
    result = CliRunner().invoke(cli, ["fit", "fit.toml"])
    assert result.exit_code == 2 and "no training frame has labels for [charges]" in result.output


def test_what_some_frames_have_is_no_cell_of_all(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_frames("train.xyz", "plain", range(4), "charges")
    frames = ase.io.read("train.xyz", ":")
    frames[0].set_cell([20.0, 20.0, 20.0])
    frames[0].pbc = True
    ase.io.write("train.xyz", frames)
    ase.io.write("valid.xyz", frames[1:])
    (tmp_path / "fit.toml").write_text(TOML % KINDS["plain"])
    result = CliRunner().invoke(cli, ["fit", "fit.toml"])
    assert result.exit_code == 2 and "some training frames have a cell" in result.output
    assert np.isfinite(frames[0].positions).all()


def test_a_model_with_charges_gets_no_members(tmp_path):
    save(reference("plain").model, tmp_path / "charged.safetensors")
    text = TOML.partition("[charges]")[0] + "[committee]\nmodel = 'charged.safetensors'\n"
    text += "[energy]\n" + "[output]\nmodel = 'committee.safetensors'\n"
    (tmp_path / "fit.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=r"'charged\.safetensors', which is to get members, has charges"):
        fitted_model(read_configuration(tmp_path / "fit.toml"))


def test_a_correction_without_its_baseline_keeps_its_charges(tmp_path):
    own = reference("plain")
    save(replace(own.model, baseline="lj:epsilon=0.01,sigma=3.0,cutoff=8.0"), tmp_path / "own.safetensors")
    alone = load_evaluator(f"correction:{tmp_path / 'own.safetensors'}")
    assert isinstance(alone, WithCharges) and alone.properties == own.properties
    batch = replace(Batch.from_ase(random_structure(0)), charge=1.0)
    np.testing.assert_array_equal(alone.evaluate(batch, ("energy",)).energy, own.evaluate(batch, ("energy",)).energy)


HEAD = '[data]\ntrain = ["train.xyz"]\n[energy]\n[charges]\n'
TAIL = '\n[output]\nmodel = "model.safetensors"\n'


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ('kind = "plain"\nformal = {O = -2}', "formal in .* of kind = 'plain'; it is for kind = 'transfers'"),
        ('kind = "transfers"\nhardness = {O = 9}', "hardness in .* it is for kind = 'equilibration'"),
        ('kind = "plain"\ngroups = "molecules"', "repeating_unit in .metadata."),
        ('groups = "molecules"\n[metadata]\nrepeating_unit = "OHH"', "kind = 'equilibration'; it needs kind = 'plain'"),
        ("[dipole]\nnominal_charges = {O = -2, H = 1}", "nominal_charges in .dipole. and .charges."),
    ],
)
def test_what_a_kind_does_not_look_at_is_refused(tmp_path, section, message):
    (tmp_path / "fit.toml").write_text(HEAD + section + TAIL)
    with pytest.raises(ConfigurationError, match=message):
        read_configuration(tmp_path / "fit.toml")


def fitted_with(tmp_path, change, given, kind="plain"):
    """The output of a fit to four frames with dipoles, which are changed before."""
    for name in ("train.xyz", "valid.xyz"):
        write_frames(name, kind, range(4), ("charges", "dipole"))
        frames = ase.io.read(name, ":")
        for frame in frames:
            change(frame)
        ase.io.write(name, frames)
    (tmp_path / "fit.toml").write_text(TOML % given)
    return CliRunner().invoke(cli, ["fit", "fit.toml"])


def test_dipoles_of_ions_need_an_origin(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = fitted_with(tmp_path, lambda frame: None, KINDS["plain"])
    assert result.exit_code == 2 and "say dipole_origin" in result.output, result.output


def periodic(frame, quantum=False):
    frame.info["charge"] = 0.0
    frame.set_cell(8.0 * np.eye(3))
    frame.pbc = True
    if quantum:
        frame.info["dipole_quantum"] = 8.0 * np.eye(3)


def test_dipoles_of_a_branch_that_nobody_knows_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = fitted_with(tmp_path, lambda frame: periodic(frame, True), KINDS["transfers"], "transfers")
    assert result.exit_code == 2 and "known up to whole quanta" in result.output, result.output


def test_dipoles_that_depend_on_images_may_be_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = 'kind = "equilibration"\nhardness = {H = 9, O = 11}\n'
    result = fitted_with(tmp_path, periodic, given)
    assert result.exit_code == 2 and "depends on the image" in result.output
    result = fitted_with(tmp_path, periodic, given + "dipole_weight = 0")
    assert result.exit_code == 0, result.output
    errors = json.loads((tmp_path / "report" / "errors.json").read_text())["valid.xyz"]["properties"]
    assert "dipole" not in errors and {"partial_charges", "forces"} <= errors.keys()


def test_of_too_many_atoms_some_frames_are_taken(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(charge_fit, "MOST_ATOMS", 12)
    result = fitted_with(tmp_path, lambda frame: frame.info.update(charge=0.0), KINDS["plain"])
    assert result.exit_code == 0, result.output
    assert "one of every 2 frames, as all have 36 labels and 24 atoms" in caplog.text
    assert "no label says" not in caplog.text


def test_species_without_labels_are_told(caplog):
    labels = {"partial_charges": np.array([-0.8, np.nan, np.nan])}
    frames = [Frame(Atoms("OHH"), labels), Frame(Atoms("OHH"), {"dipole": np.zeros(3)})]
    charge_fit.warn_of_unlabelled(frames, {"partial_charges", "dipole"})
    assert not caplog.text
    charge_fit.warn_of_unlabelled(frames, {"partial_charges"})
    assert "no label says the charge of H;" in caplog.text


def test_formal_charges_that_are_no_total_charge_are_refused_with_the_frame(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = fitted_with(tmp_path, lambda frame: frame.info.update(charge=-1.0), KINDS["transfers"], "transfers")
    assert result.exit_code == 2 and "say dipole_origin" in result.output
    given = KINDS["transfers"] + "\ndipole_weight = 0"
    result = fitted_with(tmp_path, lambda frame: frame.info.update(charge=-1.0), given, "transfers")
    line = result.output.strip().splitlines()[-1]
    assert result.exit_code == 2 and line.startswith("Error: kind = 'transfers' in [charges]: frame 0 of"), line
    assert "total charge is -1 e" in line


def test_a_model_that_labels_goes_without_a_dipole_that_depends_on_images(tmp_path):
    save(reference("plain").model, tmp_path / "teacher.safetensors")
    teacher = EvaluatorReference(LabelSettings(reference="teacher.safetensors", folder=tmp_path))
    atoms = random_structure(0, molecules=2)
    atoms.info["charge"] = 0.0
    assert "dipole" not in teacher.label(atoms) and "partial_charges" in teacher.label(atoms)
    atoms.pbc = False
    assert teacher.label(atoms)["dipole"].shape == (3,)
