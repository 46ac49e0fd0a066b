"""Rounds of active learning without i-PI, and what its configuration refuses."""

from __future__ import annotations

import re

import ase.io
import numpy as np
import pytest
from beadwise.driver.launch.exploration import Interrupted, check_input
from beadwise.driver.launch.learn import check_inputs, compared_rounds, write_report
from beadwise.learning.data import read_frames
from beadwise.learning.fitting.configuration import ConfigurationError
from beadwise.learning.labels.labeller import Label
from beadwise.learning.loop.configuration import as_toml, read_learn_configuration
from beadwise.learning.loop.frames import check_zero, split_labels
from beadwise.learning.loop.loop import ActiveLearning, locked
from beadwise.learning.loop.selection import Candidate
from beadwise.learning.loop.state import ExplorationRecord, LearnError, changes
from beadwise.model import BeadwiseError
from beadwise.reading import tomllib
from beadwise.runs.input.elements import InputError
from learning_folder import CONFIGURATION, Folder, box, labelled, settings_of
from places import INPUTS


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


class Explorer:
    """Explores without i-PI: structures from the reference's box, as unsure as it is told."""

    def __init__(self, uncertainty: float = 0.5, outcome: str = "finished"):
        self.uncertainty, self.outcome = uncertainty, outcome
        self.runs: list[tuple[str, int]] = []
        self.interrupt = False

    def explore(self, source, folder, model, seed, start):
        if self.interrupt:
            raise Interrupted
        self.runs.append((source.stem, seed))
        self.start = start
        return ExplorationRecord(source.stem, 5, 16, outcome=self.outcome, reason="why" * (self.outcome == "broken"))

    def candidates(self, folder, name):
        if not self.uncertainty:
            return []
        rng = np.random.default_rng(len(self.runs))
        uncertainties = self.uncertainty * np.linspace(0.5, 1, 24)
        return [Candidate(box(rng), self.uncertainty, name, 1, bead, uncertainties) for bead in range(6)]


def loop_of(
    folder: Folder,
    explorer: Explorer,
    failing: int = 0,
    lines: list[str] | None = None,
    shift: float = 0.0,
    **values: object,
):
    def label(frames, progress):
        results = [Label(labelled(atoms)) for atoms in frames]
        for result in results:
            result.frame.labels["energy"] = result.frame.labels["energy"] + shift * len(result.frame.atoms)
        return [Label(None, "no convergence")] * failing + results[failing:]

    tell = (lines if lines is not None else []).append
    return ActiveLearning(settings_of(folder, **values), explorer, label, tell, lambda rounds: None)


def test_nothing_uncertain(folder):
    loop = loop_of(folder, Explorer(uncertainty=0.0))
    assert loop.run() == "nothing is uncertain any more"
    assert (folder.path / "final.safetensors").exists() and len(loop.state.rounds) == 1


def test_runs_start_from_a_known_frame(folder):
    explorer = Explorer(uncertainty=0.0)
    loop_of(folder, explorer, start="known").run()
    known = [frame.atoms for frame in read_frames(folder.path / "frames.xyz")]
    assert any(np.allclose(explorer.start.positions, atoms.positions, atol=1e-6) for atoms in known)
    settings = settings_of(folder, start="known")
    check_inputs(settings)
    ase.io.write(folder.path / "start.extxyz", box(np.random.default_rng(0))[::-1], format="extxyz")
    with pytest.raises(InputError, match=r"frame 0 of '.*frames.xyz' has not the atoms of 'cold.xml' in its order"):
        check_inputs(settings)


def test_nothing_flagged_before_it_broke(folder):
    with pytest.raises(LearnError, match="nothing was flagged in round 1, although cold broke at step 5: why"):
        loop_of(folder, Explorer(uncertainty=0.0, outcome="broken")).run()


def test_goal(folder):
    text = (folder.write(rounds=5)).read_text() + "\n"
    (folder.path / "learn.toml").write_text(text.replace("rounds = 5", "rounds = 5\nforce_error = 100.0"))
    settings = read_learn_configuration(folder.path / "learn.toml")
    loop = ActiveLearning(settings, Explorer(), lambda frames, progress: [], print, lambda rounds: None)
    assert loop.run().startswith("the errors on independent frames are low enough: forces ")


def test_failed_labels_and_changes(folder):
    explorer, lines = Explorer(), []
    loop = loop_of(folder, explorer, failing=1, lines=lines, rounds=1)
    assert loop.run() == "1 round is done"
    record = loop.state.rounds[0]
    assert (record.new, record.failed) == (3, 1) and len(record.true_errors) == 3
    assert lines == ["1 of 4 frames could not be labelled; the first: no convergence"]
    assert len(explorer.runs) == 1

    explorer.interrupt = True
    loop = loop_of(folder, explorer, lines=lines, rounds=2)
    assert lines[-1] == "changed since the loop began, for what is to come: stop.rounds 1 → 2"
    with pytest.raises(Interrupted):
        loop.run()
    assert loop.stage == "in round 2 after evaluate"
    explorer.interrupt = False
    assert loop_of(folder, explorer, rounds=2, kind="random").run() == "2 rounds are done"
    with pytest.raises(LearnError, match=r"label\.reference was 'qtip4pf' and is 'GFN1-xTB' now"):
        loop_of(folder, explorer, reference="GFN1-xTB")
    settings = settings_of(folder, workers=2)
    with pytest.raises(LearnError, match=r"start\.count was 32 and is 12 now"):
        loop_of(folder, explorer, rounds=2, kind="random", count=12)
    own = folder.path / "loop"
    with pytest.raises(LearnError, match="not the folder of a loop"):
        compared_rounds(own, [folder.path])
    compared = compared_rounds(own, [own, own])
    assert len(compared) == 2 and "loop" not in compared  # all folders are called alike
    write_report(settings, loop.state.rounds, "ended", compared)


def test_what_nothing_contradicts_may_change(folder):
    explorer = Explorer()
    loop_of(folder, explorer, count=8)
    loop = loop_of(folder, explorer, count=16, rounds=1)
    explorer.interrupt = True
    with pytest.raises(Interrupted):
        loop.run()
    assert loop.state.rounds[0].training == 12
    with pytest.raises(LearnError, match=r"start\.count was 16 and is 8 now"):
        loop_of(folder, explorer, count=8)
    lines = []
    loop_of(folder, explorer, count=16, rounds=1, reference="GFN1-xTB", lines=lines)
    assert "label.reference 'qtip4pf' → 'GFN1-xTB'" in lines[0]


def test_labels_of_another_zero(folder):
    loop = loop_of(folder, Explorer(), shift=7.0, rounds=1)
    with pytest.raises(LearnError, match=r"differ by \+\d\.\d* eV per atom .* shift_per_atom, of which") as caught:
        loop.run()
    about = float(re.search(r"of which (\S+) is", str(caught.value))[1])
    assert about == pytest.approx(-7.0, abs=0.1) and not (folder.path / "loop" / "round_01" / "labelled.xyz").exists()
    assert loop_of(folder, Explorer(), rounds=1).run() == "1 round is done"
    check_zero(np.array([0.4, 0.41]))
    check_zero(np.array([5.0, -1.0, 8.0]))  # wrong, but not by the same
    check_zero(np.array([7.0]))


def test_one_label_is_not_set_aside():
    assert split_labels(["a"], 0.6, 0) == (["a"], [])
    assert [len(part) for part in split_labels(list("abcd"), 0.25, 0)] == [3, 1]


def test_model_goes_where_nothing_is_yet(folder):
    text = folder.write().read_text().replace("final.safetensors", "new/folder/final.safetensors")
    (folder.path / "learn.toml").write_text(text)
    settings = read_learn_configuration(folder.path / "learn.toml")
    ActiveLearning(settings, Explorer(uncertainty=0.0), lambda *_: [], print, lambda rounds: None).run()
    assert (folder.path / "new" / "folder" / "final.safetensors").exists()


def test_species_that_no_start_frame_has(folder):
    atoms = box(np.random.default_rng(0))
    atoms.symbols[0] = "S"
    ase.io.write(folder.path / "start.extxyz", atoms, format="extxyz")
    with pytest.raises(InputError, match=r"'cold.xml' has S, which no start frame has; these have H, O"):
        check_inputs(settings_of(folder))


def test_new_thresholds_repeat_the_explorations_of_the_round(folder):
    explorer = Explorer(uncertainty=0.0)
    assert loop_of(folder, explorer).run() == "nothing is uncertain any more"
    explorer.uncertainty = 0.5
    assert loop_of(folder, explorer, rounds=1, flag=0.01).run() == "1 round is done"
    assert len(explorer.runs) == 2


def test_only_one_loop_in_a_folder(tmp_path):
    with locked(tmp_path), pytest.raises(LearnError, match="another `beadwise learn` is at work"), locked(tmp_path, 0):
        pass
    with locked(tmp_path, 0):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(LearnError, match=r"nothing can be kept in the folder '.*file': File exists"):
        with locked(tmp_path / "file"):
            pass


def test_changes_and_toml():
    assert changes({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 4}) == {"a.c": (2, 3), "d": (None, 4)}
    tables = {
        "data": {"train": ['a "b".xyz', "ü\\x"], "count": 3, "part": 1e-8, "yes": True},
        "metadata": {"species energies": {"O": -1.5}, "empty": [], "mixed": [{"a": 1}]},
    }
    assert tomllib.loads(as_toml(tables)) == tables


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("[start]", "[begin]", r"unknown section \['begin'\]"),
        ("count = 32", "number = 32", r"unknown key 'number' in \[start\]"),
        ("count = 32", "count = 41", "its files hold 40 frames"),
        ("count = 32", "count = 1", "1 start frames is none; at least one is needed to calibrate"),
        ('frames = ["frames.xyz"]', "", r"\[start\] needs \['frames'\]"),
        ('frames = ["frames.xyz"]', 'frames = ["none.xyz"]', "none.xyz' does not exist"),
        ("validation = 0.25", "validation = 1.0", "it must be a number between 0 and 1"),
        ("l_max = 2", "lmax = 2", r"learn.toml, \[fit\]: unknown key 'lmax' in \[density\]"),
        ("[fit.committee]\nmembers = 6", "", r"needs a table \[fit.committee\]"),
        ("members = 6", "members = 4", r"members = 4 in \[committee\]"),
        ("members = 6", 'members = 6\nmodel = "a"', "each round fits a model of its own"),
        ("[fit.energy]\nridge = 1e-5", "", r"needs a table \[fit.energy\]"),
        ("[fit.density]", '[fit]\nconfiguration = "a.toml"\n[fit.density]', "it is a file name and stands alone"),
        ("[fit.density]", "[fit.output]\n[fit.density]", "data and output of the fits are the loop's own"),
        ("stride = 4", "stride = 0", "a whole number of at least 1"),
        ("stride = 4", 'stride = "4"', "stride = '4'"),
        ("flag = 0.2", "flag = 200.0", "flag must be below stop"),
        ("envelope_flag = 10.0", "envelope_flag = 0.0", "it must be a finite number above 0"),
        ('start = "input"', 'start = "any"', r"start = 'any' in \[explore\]; allowed are \['input', 'known'\]"),
        ('inputs = ["cold.xml"]', 'inputs = ["cold.xml", "a/cold.xml"]', "their names must differ"),
        ('inputs = ["cold.xml"]', "inputs = []", "a list of one or more file names"),
        ('kind = "diverse"', 'kind = "best"', r"allowed are \['diverse', 'random'\]"),
        ("rounds = 2", "rounds = 0", "a whole number of at least 1"),
        ('model = "final.safetensors"', "", r"\[output\] needs \['model'\]"),
        ("[stop]", "[stop", "cannot read the configuration"),
    ],
)
def test_configurations_that_are_refused(folder, before, after, message):
    assert before in CONFIGURATION
    path = folder.path / "learn.toml"
    path.write_text(CONFIGURATION.replace(before, after, 1))
    with pytest.raises((ConfigurationError, BeadwiseError), match=message) as caught:
        ActiveLearning(read_learn_configuration(path), Explorer(), lambda *_: [], print, lambda rounds: None)
    assert "\n" not in str(caught.value)


def test_fit_of_another_file(folder):
    text = CONFIGURATION.replace("[fit.density]", '[fit]\nconfiguration = "fit.toml"\n[drop]')
    head, rest = text.split("[drop]")
    fit, explore_on = rest.split("[explore]")
    (folder.path / "fit.toml").write_text(
        '[data]\ntrain = ["a"]\n[output]\nmodel = "b"\n[density]' + fit.replace("[fit.", "[")
    )
    (folder.path / "learn.toml").write_text(head + "[explore]" + explore_on)
    settings = read_learn_configuration(folder.path / "learn.toml")
    assert set(settings.fit) == {"density", "energy", "committee"}


def test_shipped_example_can_be_read():
    settings = read_learn_configuration(INPUTS / "water_learn.toml")
    for name in settings.explore.inputs:
        assert len(check_input(settings.base / name)) == 96
