"""Frames that a model was not made for are counted and named."""

import json
from dataclasses import replace

import ase.io
import numpy as np
from ase import Atoms
from beadwise.driver.commands.group import main
from beadwise.learning.data import frame_from_ase
from beadwise.learning.fitting.accuracy import evaluate_errors
from beadwise.learning.fitting.bare_model import envelope
from beadwise.learning.fitting.calibration import calibration_warnings
from beadwise.learning.fitting.guards import GuardReport, far_too_sure
from beadwise.model import Committee, save
from beadwise.model.members import Members
from click.testing import CliRunner
from models import labelled, random_model, random_structure


def model_that_knows(frames):
    """A model with the envelope of some frames, whose guard begins at 0.7 Å."""
    model = random_model(seed=2)
    return random_model(seed=2, metadata={"envelope": envelope(model, frames)})


def frame(atoms, index=0):
    return frame_from_ase(labelled(random_model(), atoms), "a.xyz", index)


def squeezed():
    """A molecule of which one bond is inside the guard, by 0.02 Å."""
    return Atoms("OHH", [[0, 0, 0], [0.68, 0, 0], [-0.24, 0.93, 0]], cell=[9, 9, 9])


def frames():
    return [frame(random_structure(seed, 2), seed) for seed in range(6)]


def test_frames_inside_the_guard_and_outside_the_envelope():
    known = frames()
    model = model_that_knows(known)
    report = evaluate_errors(model, known)
    assert not report.guards.inside and report.guards.frames == 6
    assert max(report.guards.outside.values(), default=0.0) < 1e-6  # rounding
    text = "\n".join(report.guards.lines())
    assert "none of 6 frames is inside the short-range guard" in text
    report = evaluate_errors(model, [*known, frame(squeezed(), 6)])
    assert list(report.guards.inside) == ["frame 6 of 'a.xyz'"]
    pair, distance, onset = report.guards.inside["frame 6 of 'a.xyz'"]
    assert pair == (1, 8) and abs(distance - 0.68) < 1e-9 and onset == 0.7
    text = "\n".join(report.guards.lines())
    assert "warning: 1 of 7 frames are inside the short-range guard" in text
    assert "frame 6 of 'a.xyz' (H–O 0.680 Å, the guard begins at 0.700 Å)" in text
    assert "of 7 frames are outside the envelope of the training; the farthest: frame 6 of 'a.xyz' by" in text
    numbers = report.as_dict()
    assert numbers["inside_short_range_guard"] == 1 and numbers["outside_envelope"] >= 1
    assert numbers["largest_envelope_distance"] > 0


def test_what_has_neither():
    class Other:
        species, properties = (1, 8), ("energy",)

        def evaluate(self, batch, want):
            return random_model().evaluate(batch, want)

    report = evaluate_errors(Other(), frames()[:2])
    assert list(report.guards.lines()) == []
    assert report.as_dict()["inside_short_range_guard"] is None and report.as_dict()["outside_envelope"] is None


def test_the_guard_of_a_committee():
    onsets = GuardReport.of(Committee([random_model(seed) for seed in range(2)])).onsets
    assert onsets == {(1, 1): 0.7, (1, 8): 0.7, (8, 8): 0.7}


def test_a_committee_that_is_far_too_sure():
    rng = np.random.default_rng(0)
    sigma, places = np.full(3000, 0.1), np.repeat(np.arange(3), 1000)
    names = [f"frame {index}" for index in range(3)]
    fine = 0.1 * rng.standard_t(7, 3000)
    guards = GuardReport(inside={"frame 2": ((1, 8), 0.6, 0.7)})
    assert not list(far_too_sure({"forces": (sigma, fine, places)}, names, guards))
    broken = fine.copy()
    broken[2500:2510] = 3.0
    (line,) = far_too_sure({"forces": (sigma, broken, places)}, names, guards)
    assert "warning: 10 of 3000 errors of forces are more than 10 times the uncertainty" in line
    assert "the largest 30 times in frame 2; 1 of these 1 frames are inside the guard" in line
    fixed = np.where(places == 1, 1e-12, 0.1)  # by symmetry: no error either
    assert not list(far_too_sure({"forces": (fixed, np.where(places == 1, 1e-10, fine), places)}, names, guards))


def test_the_commands_say_it(tmp_path):
    known = frames()
    save(model_that_knows(known), tmp_path / "model.safetensors")
    structures = [labelled(random_model(), atoms) for atoms in (random_structure(0, 2), squeezed())]
    for atoms in structures:
        atoms.info["REF_energy"] = atoms.calc.results["energy"] / 27.2114
        atoms.calc = None
        atoms.info.pop("polarizability", None)
    ase.io.write(tmp_path / "test.xyz", structures, format="extxyz")
    arguments = ["evaluate", str(tmp_path / "model.safetensors"), str(tmp_path / "t*.xyz")]
    done = CliRunner().invoke(
        main, [*arguments, "--unit", "energy=hartree", "--json", str(tmp_path / "a.json")], catch_exceptions=False
    )
    assert done.exit_code == 0 and "warning: 1 of 2 frames are inside the short-range guard" in done.output
    numbers = json.loads((tmp_path / "a.json").read_text())
    assert numbers["inside_short_range_guard"] == 1
    expected = evaluate_errors(model_that_knows(known), [frame(random_structure(0, 2)), frame(squeezed())])
    ours = expected.properties["energy"].root_mean_square_error
    assert abs(numbers["properties"]["energy"]["root_mean_square_error"] / ours - 1) < 1e-3


def test_members_that_hardly_differ():
    model = random_model(heads=("energy",))
    deviations = {"energy": (model.heads["energy"],) * 5}
    for factors, count in (({"energy": 3.0, "forces": 9.0}, 0), ({"energy": 3.0, "forces": 156.0}, 1)):
        lines = list(calibration_warnings(replace(model, members=Members(deviations, factors))))
        assert len(lines) == count
        assert all("members differ 156 times less in the forces than they err" in line for line in lines)
