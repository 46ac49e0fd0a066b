"""Fits of a correction: labels, refusals, and the command."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from beadwise.learning.data import Frame, read_frames
from beadwise.learning.fitting.baseline_labels import (
    CachedBaseline,
    load_baseline,
    with_kept_baseline,
    without_baseline,
)
from beadwise.learning.fitting.configuration import ConfigurationError, read_configuration
from beadwise.learning.fitting.fit import error_reports, fit
from beadwise.model import BaselineError, Batch, Corrected, load, save
from beadwise.model.evaluators import load_evaluator
from beadwise.model.qtip4pf import QTip4pF
from delta import (
    ENERGIES,
    LENNARD_JONES,
    Own,
    assert_one_line,
    configuration,
    frames,
    invoke,
    kept_files,
    write_water,
)
from models import labelled, random_model, random_structure
from test_fit import molecules
from toy import Toy


def test_a_fit_on_a_baseline_gives_the_reference(tmp_path):
    truth = random_model(heads=["energy"])
    write_water(tmp_path / "train.xyz", truth, range(60))
    write_water(tmp_path / "valid.xyz", truth, range(100, 105))
    result = invoke("fit", configuration(tmp_path, "qtip4pf"))
    assert result.exit_code == 0, result.output
    fitted = load(tmp_path / "fitted.safetensors")
    assert isinstance(fitted, Corrected) and isinstance(fitted.baseline, QTip4pF)
    assert fitted.metadata["baseline"]["name"] == fitted.correction.baseline == "qtip4pf"
    batch = Batch.from_ase([molecules(seed) for seed in range(200, 204)])
    expected = Corrected(QTip4pF(), truth).evaluate(batch, ENERGIES)
    learned, given = truth.evaluate(batch, ENERGIES), fitted.evaluate(batch, ENERGIES)
    for name in ("forces", "virial"):
        tolerance = 1e-5 * np.abs(learned[name]).max()
        np.testing.assert_allclose(given[name], expected[name], atol=tolerance, rtol=0, err_msg=name)
    for name in ("valid.xyz", "train.xyz"):  # the errors are those of the whole
        errors = json.loads((tmp_path / "report" / "errors.json").read_text())[name]["properties"]
        assert errors["forces"]["percent_error"] < 1e-3 and errors["stress"]["percent_error"] < 1e-3
    assert len(kept_files(tmp_path / "baselines")) == 65

    result = invoke("evaluate", tmp_path / "fitted.safetensors", tmp_path / "valid.xyz", "--json", tmp_path / "a.json")
    assert result.exit_code == 0, result.output
    again = json.loads((tmp_path / "a.json").read_text())["properties"]["forces"]
    expected = json.loads((tmp_path / "report" / "errors.json").read_text())["valid.xyz"]["properties"]["forces"]
    assert again["root_mean_square_error"] == pytest.approx(expected["root_mean_square_error"])


def test_labels_lose_what_the_baseline_gives(tmp_path):
    atoms = random_structure(3, 2)
    learned = random_model(heads=["energy"]).evaluate(Batch.from_ase(atoms), ENERGIES)
    baseline = CachedBaseline(LENNARD_JONES, tmp_path)
    given = load_evaluator(LENNARD_JONES).evaluate(Batch.from_ase(atoms), ENERGIES)
    assert min(np.abs(given[name]).max() for name in ENERGIES) > 1e-3
    volume = atoms.get_volume()
    labels = {name: learned[name][0] + given[name][0] for name in ("energy", "forces")}
    labels |= {"stress": -(learned.virial[0] + given.virial[0]) / volume, "dipole": np.ones(3)}
    before = {name: np.copy(value) for name, value in labels.items()}
    (left,) = without_baseline([Frame(atoms, labels)], baseline)
    np.testing.assert_allclose(left.labels["energy"], learned.energy[0], rtol=1e-12)
    np.testing.assert_allclose(left.labels["forces"], learned.forces[0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(left.labels["stress"], -learned.virial[0] / volume, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(left.labels["dipole"], np.ones(3))
    for name, value in before.items():
        np.testing.assert_array_equal(labels[name], value)


def test_the_stress_of_a_baseline_is_the_derivative_of_its_energy(tmp_path):
    atoms, step = random_structure(3, 2), 1e-5
    (left,) = without_baseline([Frame(atoms, {"stress": np.zeros((3, 3))})], CachedBaseline(LENNARD_JONES, tmp_path))
    for a, b in np.ndindex(3, 3):
        energies = []
        for sign in (1, -1):
            deformation, strained = np.eye(3), atoms.copy()
            deformation[a, b] += sign * step
            strained.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
            batch = Batch.from_ase(strained)
            energies.append(load_evaluator(LENNARD_JONES).evaluate(batch, ["energy"]).energy[0])
        slope = np.subtract(*energies) / (2 * step) / atoms.get_volume()
        np.testing.assert_allclose(left.labels["stress"][a, b], -slope, atol=1e-9)


def test_a_baseline_without_virial_leaves_no_stress(tmp_path, own):
    own(Own(("energy", "forces")))
    (frame,) = frames(1)
    assert set(frame.labels) == {"energy", "forces", "stress"}
    (left,) = without_baseline([frame], CachedBaseline("own", tmp_path))
    assert set(left.labels) == {"energy", "forces"}


def test_frames_that_need_no_baseline_are_not_evaluated(tmp_path, own):
    evaluator = own(Own())
    bare = [Frame(random_structure(), {"dipole": np.zeros(3)}), Frame(random_structure(1))]
    baseline = CachedBaseline("own", tmp_path)
    baseline.prepare(bare)
    assert without_baseline(bare, baseline) == bare and not evaluator.batches


def test_isolated_frames(tmp_path):
    atoms = Atoms("OHH", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    name = "lennard-jones:epsilon=0.01,sigma=0.9"
    given = load_evaluator(name).evaluate(Batch.from_ase(atoms), ENERGIES)
    frame = Frame(atoms, {"energy": np.array(1.0), "forces": np.zeros((3, 3)), "stress": np.zeros((3, 3))})
    baseline = CachedBaseline(name, tmp_path)
    baseline.prepare([frame])
    (left,) = without_baseline([frame], baseline)
    assert set(left.labels) == {"energy", "forces"}  # no volume, no stress
    np.testing.assert_allclose(left.labels["energy"], 1 - given.energy[0])
    np.testing.assert_allclose(left.labels["forces"], -given.forces[0])


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("model.safetensors", "is made of files"),
        ("committee:a.safetensors,b.safetensors", "is made of files"),
        ("correction:water_gfn1", "is made of files"),
        ("weighted-baseline:uncertainty=0.1,a,b", "is made of files"),
        ("file", "is made of files"),
        ("no-such-thing", "no model 'no-such-thing'"),
        ("ase:no_such_package.Method", "no_such_package"),
        ("harmonic", "parameter k of the potential harmonic is missing"),
    ],
)
def test_baselines_that_are_refused(tmp_path, name, complaint, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with pytest.raises(BaselineError, match=complaint):
        load_baseline(name)
    write("train.xyz", labelled(random_model(heads=["energy"]), random_structure(0, 2)))
    Path("valid.xyz").write_bytes(Path("train.xyz").read_bytes())
    assert_one_line(invoke("fit", configuration(tmp_path, name)), complaint)


def test_a_baseline_without_forces_is_refused(own):
    own(Own(("energy", "dipole")))
    with pytest.raises(BaselineError, match=r"'own' has \['energy', 'dipole'\]; it must have forces"):
        load_baseline("own")


def test_a_folder_of_the_same_name_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("qtip4pf").mkdir()
    assert isinstance(load_baseline("qtip4pf"), QTip4pF)


def test_a_package_that_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tblite", None)
    monkeypatch.setitem(sys.modules, "tblite.library", None)
    write(tmp_path / "train.xyz", labelled(random_model(heads=["energy"]), random_structure(0, 2)))
    (tmp_path / "valid.xyz").write_bytes((tmp_path / "train.xyz").read_bytes())
    result = invoke("fit", configuration(tmp_path, "GFN1-xTB"))
    assert_one_line(result, "GFN1-xTB needs the package tblite", "pip install 'beadwise[tblite]'")


def test_a_baseline_belongs_into_the_section_of_the_energy(tmp_path):
    path = configuration(tmp_path, "qtip4pf")
    path.write_text('baseline = "qtip4pf"\n' + path.read_text())
    with pytest.raises(ConfigurationError, match=r"baseline = 'qtip4pf' stands alone; it belongs into \[energy\]"):
        read_configuration(path)
    assert_one_line(invoke("fit", path), "belongs into [energy]")


def test_nothing_is_evaluated_twice(tmp_path, own):
    evaluator, model = own(Own()), random_model(heads=["energy"])
    write(tmp_path / "train.xyz", [labelled(model, random_structure(seed, 2)) for seed in range(7)])
    write(tmp_path / "valid.xyz", [labelled(model, random_structure(seed, 2)) for seed in range(7, 10)])
    settings = read_configuration(configuration(tmp_path, "own"))
    fitted = fit(settings)
    assert len(evaluator.batches) == 10 and fitted.baseline == "own"  # validation, too
    reports = error_reports(fitted, settings)
    assert len(evaluator.batches) == 10 and {name: report.frames for name, report in reports.items()} == {
        "train.xyz": 7,
        "valid.xyz": 3,
    }
    low, high = (np.array(fitted.metadata["envelope"][f"two_body_{side}"]) for side in ("low", "high"))
    direct = configuration(tmp_path, "").read_text()
    (tmp_path / "fit.toml").write_text(direct)
    plain = fit(read_configuration(tmp_path / "fit.toml"))
    np.testing.assert_array_equal(low, plain.metadata["envelope"]["two_body_low"])
    np.testing.assert_array_equal(high, plain.metadata["envelope"]["two_body_high"])
    assert plain.baseline == "" and "baseline" not in plain.metadata


def test_a_validation_frame_that_fails_is_found_before_the_fit(tmp_path, own):
    model, structures = random_model(heads=["energy"]), [random_structure(seed, 2) for seed in range(3)]
    own(Own(fails=structures[2]))
    write(tmp_path / "train.xyz", [labelled(model, atoms) for atoms in structures[:2]])
    write(tmp_path / "valid.xyz", [labelled(model, atoms) for atoms in structures[2:]])
    steps = []
    with pytest.raises(BaselineError, match=r"frame 0 of '.*valid.xyz': its electrons find no ground state"):
        fit(read_configuration(configuration(tmp_path, "own")), lambda label, *told: steps.append(label))
    assert set(steps) == {"baseline own"}


def test_evaluate_keeps_what_the_baseline_gives(tmp_path):
    model = replace(random_model(heads=["energy"]), baseline=LENNARD_JONES)
    files = [str(tmp_path / f"{name}.safetensors") for name in "ab"]
    for file in files:
        save(model, file)
    data = tmp_path / "data.xyz"
    write(data, [labelled(model, random_structure(seed, 2)) for seed in range(3)])
    errors = []
    for name in (files[0], f"committee:{','.join(files)}"):
        for options in ([], ["--baselines", str(tmp_path / "kept")]):
            result = invoke("evaluate", name, data, "--json", tmp_path / "errors.json", *options)
            assert result.exit_code == 0, result.output
            forces = json.loads((tmp_path / "errors.json").read_text())["properties"]["forces"]
            errors.append(forces["root_mean_square_error"])
        assert errors[-1] == pytest.approx(errors[-2], rel=1e-9) and errors[-1] > 1
    assert len(kept_files(tmp_path / "kept")) == 3
    save(random_model(heads=["energy"]), tmp_path / "direct.safetensors")
    result = invoke("evaluate", tmp_path / "direct.safetensors", data, "--baselines", tmp_path / "kept")
    assert_one_line(result, "direct.safetensors' corrects no baseline that could be kept")
    with pytest.raises(BaselineError, match="corrects no baseline"):
        with_kept_baseline(Toy(), tmp_path, "toy")


@pytest.mark.skipif(importlib.util.find_spec("tblite") is None, reason="tblite is not installed")
def test_a_fit_on_tight_binding(tmp_path):
    tight, model, labelled_frames = load_evaluator("GFN1-xTB"), random_model(heads=["energy"]), []
    for seed in range(5):
        atoms = random_structure(seed, 1 + seed % 2)
        atoms.pbc = False
        atoms.cell = np.zeros((3, 3))
        response = Corrected(tight, model).evaluate(Batch.from_ase(atoms), ["energy", "forces"])
        atoms.calc = SinglePointCalculator(atoms, energy=response.energy[0], forces=response.forces[0])
        labelled_frames.append(atoms)
    write(tmp_path / "train.xyz", labelled_frames[:4])
    write(tmp_path / "valid.xyz", labelled_frames[4:])
    result = invoke("fit", configuration(tmp_path, "GFN1-xTB"))
    assert result.exit_code == 0, result.output
    fitted = load(tmp_path / "fitted.safetensors")
    assert fitted.correction.baseline == "tblite:GFN1-xTB"
    assert fitted.metadata["baseline"]["provider"] == tight.provider
    training = read_frames(tmp_path / "train.xyz")
    for frame in training:
        forces = fitted.evaluate(Batch.from_ase(frame.atoms), ["forces"]).forces[0]
        np.testing.assert_allclose(forces, frame.labels["forces"], atol=1e-3)
    assert len(kept_files(tmp_path / "baselines")) == 5
