"""Labels of a reference in this process: what they are, what is kept, what fails."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from beadwise.learning.data import read_frames
from beadwise.learning.labels.files import keep_label, kept_label
from beadwise.learning.labels.labeller import labelled_frames, labeller
from beadwise.learning.labels.settings import LabelError
from beadwise.model import Batch, BeadwiseError, save
from beadwise.model.evaluators import load_evaluator
from label_structures import SPRINGS, label_files, shaken, water
from models import random_model

HERE = {"workers": 0}


@pytest.fixture
def springs(tmp_path, monkeypatch):
    """A calculator of the user's own that writes down what it is asked, and dislikes some structures."""
    (tmp_path / "label_springs.py").write_text(SPRINGS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return {**HERE, "reference": f"ase:label_springs.Springs:log={tmp_path / 'calls.log'}"}


def calls(folder):
    log = folder / "calls.log"
    return log.read_text().splitlines() if log.exists() else []


def test_labels_are_those_of_the_reference(tmp_path):
    frames = shaken(water(), 3)
    seen = []
    labels = labeller({**HERE, "reference": "water"}, tmp_path).label(frames, lambda *state: seen.append(state))
    assert seen == [("labels by water", done, 3) for done in range(4)]
    direct = load_evaluator("water").evaluate(
        Batch.from_ase(frames), ["energy", "forces", "virial", "dipole", "polarizability"]
    )
    for number, (label, atoms) in enumerate(zip(labels, frames, strict=True)):
        got = label.frame.labels
        for name in ("energy", "forces", "dipole", "polarizability"):
            np.testing.assert_allclose(got[name], direct[name][number], rtol=0, atol=1e-9)
        stress = -direct.virial[number] / atoms.get_volume()
        np.testing.assert_allclose(got["stress"], stress, rtol=0, atol=1e-12)
        assert got["stress"].shape == (3, 3) and label.frame.atoms.calc is None and label.seconds > 0
        np.testing.assert_array_equal(label.frame.atoms.positions, atoms.positions)


def test_what_is_kept_is_read_as_it_was_computed(tmp_path, springs):
    frames = shaken(water(), 3)
    first = labeller(springs, tmp_path / "labels").label(frames)
    seen = []
    again = labeller(springs, tmp_path / "labels").label(frames[::-1], lambda *state: seen.append(state))[::-1]
    assert seen[0][1:] == (3, 3) and len(calls(tmp_path)) == 3
    for old, new in zip(first, again, strict=True):
        assert (old.was_kept, new.was_kept) == (False, True) and new.seconds == pytest.approx(old.seconds, abs=1e-3)
        assert old.frame.labels.keys() == new.frame.labels.keys() == {"energy", "forces", "dipole"}
        for name, label in old.frame.labels.items():
            np.testing.assert_array_equal(new.frame.labels[name], label)
        (from_file,) = read_frames(new.frame.source)  # an ordinary data file
        np.testing.assert_array_equal(from_file.labels["forces"], old.frame.labels["forces"])
        np.testing.assert_array_equal(from_file.atoms.positions, old.frame.atoms.positions)


def test_files_keep_every_digit_and_the_order_of_tensors(tmp_path):
    random, atoms = np.random.default_rng(0), water()
    shapes = {"energy": (), "forces": (len(atoms), 3), "dipole": (3,), "stress": (3, 3), "polarizability": (3, 3)}
    labels = {name: np.array(random.normal(size=shape)) for name, shape in shapes.items()}
    labels["stress"] += labels["stress"].T  # ASE keeps six numbers of it
    keep_label(tmp_path, "key", atoms, labels, 1.5)
    read, seconds = kept_label(tmp_path, "key", atoms)
    assert seconds == 1.5 and set(read) == set(labels)
    for name, label in labels.items():
        np.testing.assert_array_equal(read[name], label)


def test_shifts_and_wanted_properties_cost_no_new_label(tmp_path, springs):
    frame = shaken(water(), 1)
    plain = labeller(springs, tmp_path / "labels").label(frame)[0].frame.labels
    shifts = {"shift_per_atom": -2.0, "species_shifts": {"O": 10.0, "H": 0.5, "Ne": 7.0}}
    values = {**springs, **shifts, "properties": ["energy", "forces"]}
    shifted = labeller(values, tmp_path / "labels").label(frame)[0].frame.labels
    counts = {symbol: frame[0].get_chemical_symbols().count(symbol) for symbol in "OH"}
    expected = plain["energy"] - 2 * len(frame[0]) + 10 * counts["O"] + 0.5 * counts["H"]
    assert shifted["energy"] == pytest.approx(expected, abs=1e-10)
    assert set(shifted) == {"energy", "forces"} and len(calls(tmp_path)) == 1


def test_no_stress_is_invented(tmp_path, springs):
    isolated = molecule("H2O")
    assert "stress" not in labeller(springs, tmp_path / "labels").label([water()])[0].frame.labels
    for name in ("qtip4pf", "lennard-jones:epsilon=0.01,sigma=2.6"):
        atoms = isolated if name == "qtip4pf" else Atoms("Ar2", [(0, 0, 0), (0, 0, 3)], cell=[9, 9, 9])
        labels = labeller({**HERE, "reference": name}, tmp_path / "labels").label([atoms])[0].frame.labels
        assert {"energy", "forces"} <= set(labels) and "stress" not in labels


def test_labels_that_come_along_are_not_believed(tmp_path):
    atoms = water()
    atoms.info.update(dipole=[1.0, 2.0, 3.0], iteration=4)
    atoms.arrays["forces"] = np.ones((len(atoms), 3))
    atoms.calc = SinglePointCalculator(atoms, energy=1.0, forces=np.ones((len(atoms), 3)))
    bare, same = labeller({**HERE, "reference": "qtip4pf"}, tmp_path).label([water(), atoms])
    assert len(label_files(tmp_path)) == 1 and same.frame.atoms.info == {"iteration": 4}
    np.testing.assert_array_equal(bare.frame.labels["dipole"], same.frame.labels["dipole"])
    assert atoms.calc is not None and "dipole" in atoms.info


@pytest.mark.parametrize("damage", [b"", b"half", b"no file at all"], ids=["empty", "half", "text"])
def test_damaged_files_are_computed_anew(tmp_path, springs, damage):
    frame = shaken(water(), 1)
    first = labeller(springs, tmp_path / "labels").label(frame)[0]
    (file,) = label_files(tmp_path / "labels")
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2] if damage == b"half" else damage)
    again = labeller(springs, tmp_path / "labels").label(frame)[0]
    assert len(calls(tmp_path)) == 2 and not again.was_kept and file.read_bytes()[:100] == content[:100]
    np.testing.assert_array_equal(again.frame.labels["forces"], first.frame.labels["forces"])


def test_a_label_depends_on_all_that_tells_structures_and_references_apart(tmp_path, springs):
    atoms = water()
    variants = [atoms.copy() for _ in range(6)]
    variants[1].positions[0, 0] += 1e-12
    variants[2].set_cell(atoms.cell.array * 1.001)
    variants[3].pbc = [True, True, False]
    variants[4].numbers[:2] = [1, 8]
    variants[5].info["charge"] = 1.0
    folder = tmp_path / "labels"
    labeller(springs, folder).label(variants)
    assert len(label_files(folder)) == 6
    other = {**springs, "reference": springs["reference"] + ",stiffness=2.0"}
    assert not labeller(other, folder).label(variants[:1])[0].was_kept
    assert not labeller({**springs, "name": "springs"}, folder).label(variants[:1])[0].was_kept
    assert labeller({**other, "name": "springs"}, folder).label(variants[:1])[0].was_kept


def test_a_model_file_that_changes_is_another_reference(tmp_path):
    frame = shaken(water(), 1)
    values = {**HERE, "reference": "model.safetensors"}
    for seed in (0, 1):
        save(random_model(heads=["energy"], seed=seed), tmp_path / "model.safetensors")
        assert not labeller(values, tmp_path / "labels", tmp_path).label(frame)[0].was_kept
        assert labeller(values, tmp_path / "labels", tmp_path).label(frame)[0].was_kept


def test_a_frame_that_fails_is_reported_and_the_others_go_on(tmp_path, springs):
    frames = shaken(water(), 4)
    frames[1].positions[0] = [100.0, 0, 0]
    frames[2].positions[0] = [200.0, 0, 0]
    labels = labeller(springs, tmp_path / "labels").label(frames)
    assert [label.frame is not None for label in labels] == [True, False, False, True]
    assert "the electrons went home" in labels[1].reason and "energy" in labels[2].reason
    assert "finite" in labels[2].reason and len(labelled_frames(labels)) == 2
    failures = sorted((tmp_path / "labels").glob("*.failed.txt"))
    assert len(failures) == 2 and len(label_files(tmp_path / "labels")) == 2
    assert any("the electrons went home" in path.read_text() and "100.0" in path.read_text() for path in failures)
    # tried again the next time, and all is well once it works
    values = {**springs, "name": "other"}
    labeller(values, tmp_path / "labels").label(frames[:1])
    with pytest.raises(LabelError, match=r"none of 2 structures could be labelled by ase:.*electrons went home"):
        labeller(springs, tmp_path / "labels").label(frames[1:3])
    assert len(calls(tmp_path)) == 4 + 1 + 2


def test_a_failure_is_forgotten_with_success(tmp_path, springs):
    frame = shaken(water(), 1)
    (tmp_path / "broken").touch()
    with pytest.raises(LabelError, match="broken"):
        labeller(springs, tmp_path / "labels").label(frame)
    (tmp_path / "broken").unlink()
    assert labeller(springs, tmp_path / "labels").label(frame)[0].frame is not None
    assert not list((tmp_path / "labels").glob("*.failed.txt"))


def test_nothing_to_label(tmp_path):
    assert labeller({**HERE, "reference": "qtip4pf"}, tmp_path).label([]) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, r"needs reference = MODEL or client = COMMAND; neither is given"),
        ({"reference": "water", "client": "x {address}"}, "both are given"),
        ({"reference": 3}, "reference = 3 in .label.; it must be text"),
        ({"reference": "water", "shift": 1.0}, "unknown key 'shift'"),
        ({"reference": "water", "timeout": 3.0}, "it needs client"),
        ({"client": "x {address}", "timeout": 0}, "timeout = 0"),
        ({"client": "x {address}", "restart": "never"}, r"allowed are \['species', 'cell', 'always'\]"),
        ({"client": "x {address}", "files": "cp2k.inp"}, "it must be a list of file names"),
        ({"client": "x '{address}"}, "cannot be read"),
        ({"reference": "water", "shift_per_atom": float("nan")}, "finite number in eV"),
        ({"reference": "water", "species_shifts": {"Xy": 1.0}}, "chemical symbols"),
        ({"reference": "water", "properties": ["energy"]}, "energy, forces and others"),
        ({"reference": "water", "workers": -1}, "a whole number that is not negative"),
        ({"reference": "water", "cluster": {"kind": "cray"}}, "kind = 'cray'"),
        ({"reference": "water", "cluster": {"queue": "long"}}, "need kind"),
        ({"reference": "water", "workers": 2, "cluster": {"kind": "slurm"}}, "of a slurm cluster give jobs"),
        ({"reference": "water", "cluster": {"kind": "slurm", "jobs": 0}}, "at least 1"),
        ({"reference": "water", "cluster": {"kind": "slurm", "cores": 8}}, "one frame at a time"),
    ],
)
def test_settings_that_are_not_allowed(tmp_path, values, message):
    with pytest.raises(LabelError, match=message) as raised:
        labeller(values, tmp_path)
    assert isinstance(raised.value, BeadwiseError) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"reference": "no_such_model"}, "the reference 'no_such_model' cannot be had: no model 'no_such_model'"),
        ({"reference": "ase:no.such.Class"}, "cannot be had: cannot import"),
        ({"reference": "ase:ase.calculators.tip4p.TIP4P"}, None),
        ({"client": "no_such_program {address}"}, "there is no program 'no_such_program'"),
        ({"client": "cat"}, "neither client = 'cat' nor its files .* say where to connect"),
        ({"client": "cat x.inp", "files": ["x.inp"]}, "file '.*x.inp' of the client cannot be read: No such file"),
    ],
)
def test_a_reference_that_cannot_be_had_is_found_at_the_start(tmp_path, values, message):
    reference = labeller({**HERE, **values}, tmp_path / "labels", tmp_path)
    if message is None:
        reference.check()
        assert (tmp_path / "labels").is_dir()
        return
    with pytest.raises(LabelError, match=message) as raised:
        reference.check()
    assert "\n" not in str(raised.value)


def test_a_reference_without_forces(tmp_path, springs):
    with pytest.raises(LabelError, match="it must have energy and forces"):
        labeller({**HERE, "reference": "ase:label_springs.OnlyEnergy"}, tmp_path).check()


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "labels").write_text("a file")
    reference = labeller({**HERE, "reference": "qtip4pf"}, tmp_path / "labels")
    with pytest.raises(LabelError, match="labels cannot be kept in"):
        reference.check()
    with pytest.raises(LabelError, match="it cannot be kept in"):
        reference.label([water()])


def test_without_dask(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **keywords):
        if name.partition(".")[0] in ("dask", "distributed") or name in ("dask_clusters", "dask_workers"):
            raise ModuleNotFoundError(f"No module named '{name}'")
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    reference = labeller({"reference": "qtip4pf", "workers": 2}, tmp_path)
    with pytest.raises(LabelError, match=r"need Dask .*: pip install 'beadwise\[learn\]', or workers = 0"):
        reference.check()
    with pytest.raises(LabelError, match="pip install"):
        reference.label([water()])
    assert labeller({**HERE, "reference": "qtip4pf"}, tmp_path).label([water()])[0].frame is not None
