"""Fits of a correction: labels, the files that keep a baseline, interruptions, failures, and the command."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from beadwise.driver.command_line import main
from beadwise.learning import baseline_labels
from beadwise.learning.baseline_labels import CachedBaseline, load_baseline, with_kept_baseline, without_baseline
from beadwise.learning.configuration import ConfigurationError, read_configuration
from beadwise.learning.data import Frame, frame_from_ase, read_frames
from beadwise.learning.fit import error_reports, fit
from beadwise.model import BaselineError, Batch, Corrected, StructureError, load, save
from beadwise.model.evaluators import load_evaluator
from beadwise.model.qtip4pf import QTip4pF
from click.testing import CliRunner
from models import labelled, random_model, random_structure
from test_fit import molecules
from toy import Toy

LENNARD_JONES = "lennard-jones:epsilon=0.01,sigma=0.9,cutoff=2.8"
ENERGIES = ("energy", "forces", "virial")
PATIENCE = 90  # seconds
SLOW = '''
import os, time
from ase.calculators.calculator import Calculator, all_changes

class Slow(Calculator):
    """Springs to the origin that take their time, and write down what they were asked."""

    implemented_properties = ["energy", "forces"]

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        time.sleep(0.05)
        with open("calls.log", "a") as file:
            file.write(f"{os.getpid()} {self.atoms.positions.sum():.9f}\\n")
        self.results = {"energy": 0.01 * (self.atoms.positions**2).sum(), "forces": -0.02 * self.atoms.positions}
'''


class Own(Toy):
    """A baseline of the test's own that counts, and fails where it is told to."""

    def __init__(self, properties=ENERGIES, fails=None):
        super().__init__(properties)
        self.fails = fails

    def evaluate(self, batch, want):
        if self.fails is not None and np.allclose(batch.positions[0], self.fails.positions):
            raise StructureError("its electrons find no ground state")
        return super().evaluate(batch, want)


@pytest.fixture
def own(monkeypatch):
    """Let a baseline be what a test makes."""

    def use(evaluator):
        monkeypatch.setattr(baseline_labels, "load_evaluator", lambda name, threads=1: evaluator)
        return evaluator

    return use


def configuration(folder, baseline, more=""):
    path = folder / "fit.toml"
    path.write_text(f"""
[data]
train = ["train.xyz"]
validation = ["valid.xyz"]
[density]
cutoff = 3.0
radial = 3
l_max = 2
[energy]
ridge = 1e-12
baseline = "{baseline}"
{more}
[repulsion]
strength = 1.0
[output]
model = "fitted.safetensors"
""")
    return path


def frames(count, first=0):
    """Labelled frames of two molecules; the labels are a random model's."""
    model = random_model(heads=["energy"])
    structures = [random_structure(seed, 2) for seed in range(first, first + count)]
    return [frame_from_ase(labelled(model, atoms), "a.xyz", place) for place, atoms in enumerate(structures)]


def write_water(path, truth, seeds):
    """Periodic water labelled with what q-TIP4P/F and a model add up to."""
    labelled_frames = []
    for seed in seeds:
        atoms = molecules(seed)
        response = Corrected(QTip4pF(), truth).evaluate(Batch.from_ase(atoms), ENERGIES)
        stress = -response.virial[0] / atoms.get_volume()
        atoms.calc = SinglePointCalculator(atoms, energy=response.energy[0], forces=response.forces[0], stress=stress)
        labelled_frames.append(atoms)
    write(path, labelled_frames, format="extxyz")


def kept_files(folder):
    return sorted(folder.glob("*/[!.]*.npz"))  # hidden ones are not finished


def invoke(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


def assert_one_line(result, *texts):
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1
    for text in texts:
        assert text in result.stderr


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


def test_only_what_is_missing_is_evaluated(tmp_path, own):
    evaluator, some = own(Own()), frames(6)
    baseline = CachedBaseline("own", tmp_path)
    seen = []
    baseline.prepare(some, lambda *state: seen.append(state))
    assert seen == [("baseline own", done, 6) for done in range(7)] and len(evaluator.batches) == 6
    files = kept_files(tmp_path)
    assert len(files) == 6
    for file in files[::2]:
        file.unlink()
    seen.clear()
    again = CachedBaseline("own", tmp_path)
    again.prepare([*some, *some], lambda *state: seen.append(state))
    assert seen == [("baseline own", done, 6) for done in range(3, 7)] and len(evaluator.batches) == 9
    without_baseline(some, again)
    again.evaluate(Batch.from_ase([frame.atoms for frame in some]), ["forces"])
    assert len(evaluator.batches) == 9


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content[:200] + bytes(60) + content[260:],
        lambda content: b"no archive at all",
        lambda content: b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (), }" + bytes(8),
    ],
    ids=["empty", "half", "overwritten", "text", "an array"],
)
def test_damaged_files_are_evaluated_anew(tmp_path, own, damage):
    evaluator, some = own(Own()), frames(1)
    baseline = CachedBaseline("own", tmp_path)
    baseline.prepare(some)
    (file,) = kept_files(tmp_path)
    whole = without_baseline(some, baseline)[0].labels
    file.write_bytes(damage(file.read_bytes()))
    baseline.prepare(some)
    assert len(evaluator.batches) == 2
    np.testing.assert_array_equal(without_baseline(some, baseline)[0].labels["forces"], whole["forces"])
    assert len(evaluator.batches) == 2 and kept_files(tmp_path) == [file]


@pytest.mark.parametrize("change", [{"forces": None}, {"forces": np.zeros((1, 3))}, {"dipole": np.zeros(3)}])
def test_files_that_hold_something_else_are_evaluated_anew(tmp_path, own, change):
    evaluator, some = own(Own()), frames(1)
    baseline = CachedBaseline("own", tmp_path)
    baseline.prepare(some)
    (file,) = kept_files(tmp_path)
    with np.load(file) as archive:
        content = {**archive, **change}
    np.savez(file, **{name: value for name, value in content.items() if value is not None})
    baseline.prepare(some)
    assert len(evaluator.batches) == 2


def test_a_frame_that_fails_is_named_and_others_are_kept(tmp_path, own):
    some = frames(5)
    own(Own(fails=some[3].atoms))
    baseline = CachedBaseline("own", tmp_path)
    message = "baseline own cannot be evaluated for frame 3 of 'a.xyz': its electrons find no ground state"
    with pytest.raises(BaselineError, match=message):
        baseline.prepare(some)
    assert len(kept_files(tmp_path)) == 3


def test_a_frame_that_fails_in_a_process_of_its_own(tmp_path):
    some = frames(12)
    some[4].atoms.positions[1] = some[4].atoms.positions[0] + 0.01
    baseline = CachedBaseline(LENNARD_JONES, tmp_path)
    before = dict(os.environ)
    with pytest.raises(BaselineError, match=r"for frame 4 of 'a.xyz': atoms 0 and 1 of bead 0 are 0.0173 Å apart"):
        baseline.prepare(some, workers=2)
    assert 1 <= len(kept_files(tmp_path)) <= 11 and dict(os.environ) == before


def test_answers_that_are_not_finite_are_not_kept(tmp_path, own):
    evaluator = own(Own())
    evaluator._evaluate_bead = lambda batch, bead: dict.fromkeys(ENERGIES, np.full((3, 3), np.nan))
    with pytest.raises(BaselineError, match=r"for frame 0 of 'a.xyz': its energy is not finite"):
        CachedBaseline("own", tmp_path).prepare(frames(1))
    assert not kept_files(tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "baselines").write_text("a file")
    write(tmp_path / "train.xyz", labelled(random_model(heads=["energy"]), random_structure(0, 2)))
    (tmp_path / "valid.xyz").write_bytes((tmp_path / "train.xyz").read_bytes())
    result = invoke("fit", configuration(tmp_path, LENNARD_JONES))
    assert_one_line(result, "frame 0 of", "its answer cannot be kept in", "baselines/lennard-jones")


def test_an_answer_depends_on_all_that_tells_structures_apart(tmp_path, own):
    evaluator, atoms = own(Own()), random_structure()
    variants = [atoms, atoms.copy(), atoms.copy(), atoms.copy(), atoms.copy()]
    variants[1].positions[0, 0] += 1e-9
    variants[2].set_cell(atoms.cell.array * 1.001)
    variants[3].pbc = False
    variants[4].numbers[:2] = [1, 8]
    for variant in variants:
        CachedBaseline("own", tmp_path).evaluate(Batch.from_ase(variant), ["energy"])
    evaluator.provider = "own 2.0"
    CachedBaseline("own", tmp_path).evaluate(Batch.from_ase(atoms), ["energy"])
    assert len(evaluator.batches) == len(kept_files(tmp_path)) == 6


def test_short_and_full_names_are_one_baseline(tmp_path, own):
    own(Own())
    short, full = (CachedBaseline(name, tmp_path) for name in ("GFN1-xTB", "tblite:GFN1-xTB"))
    assert short.name == full.name == "tblite:GFN1-xTB" and short.folder == full.folder == tmp_path / "GFN1-xTB"


def test_cores_where_the_system_does_not_tell_which_may_be_used(tmp_path, own, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    own(Own())
    CachedBaseline("own", tmp_path).prepare(frames(2))
    assert len(kept_files(tmp_path)) == 2


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
        fit(read_configuration(configuration(tmp_path, "own")), lambda label, done, total: steps.append(label))
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


def is_alive(process):
    """Whether a process is there and is more than the remains of one that nobody waited for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="tells processes that are left by /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_fit_goes_on_where_it_was_ended(tmp_path, number):
    (tmp_path / "slow_springs.py").write_text(SLOW)
    model = random_model(heads=["energy"])
    write(tmp_path / "train.xyz", [labelled(model, random_structure(seed, 2)) for seed in range(40)])
    write(tmp_path / "valid.xyz", [labelled(model, random_structure(seed, 2)) for seed in range(38, 42)])
    command = [sys.executable, "-m", "beadwise.driver", "fit", configuration(tmp_path, "ase:slow_springs.Slow").name]
    log = tmp_path / "calls.log"

    def calls():
        lines = log.read_text().splitlines(keepends=True) if log.exists() else []
        return [line.split() for line in lines if line.endswith("\n")]

    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # where the tests run in the background, a shell has told them to ignore what Ctrl-C sends
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    fitting = subprocess.Popen(command, cwd=tmp_path, start_new_session=True, preexec_fn=heed, **pipes)
    try:
        until(lambda: len(calls()) >= 6 or fitting.poll() is not None)
        if number == signal.SIGINT:
            os.killpg(fitting.pid, number)  # as a terminal does
        else:
            fitting.kill()
        _, complaint = fitting.communicate(timeout=PATIENCE)
    finally:
        fitting.kill()
        fitting.wait()
    assert fitting.returncode == (1 if number == signal.SIGINT else -signal.SIGKILL)
    if number == signal.SIGINT:
        assert complaint.strip() == "Error: interrupted"
    until(lambda: not any(is_alive(process) for process, _ in calls()))
    first, kept = calls(), len(kept_files(tmp_path / "baselines"))
    assert 6 - 2 <= kept <= len(first) < 40

    done = subprocess.run(command, cwd=tmp_path, timeout=PATIENCE, check=False, **pipes)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    second = calls()[len(first) :]
    assert len(second) == 42 - kept == len({position for _, position in second})
    finished = {position for _, position in calls()}
    assert len(finished) == 42 and len(kept_files(tmp_path / "baselines")) == 42
    assert not any(is_alive(process) for process, _ in second)


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
