"""Errors of a model, parity plots, and the commands ``evaluate`` and ``inspect``."""

from __future__ import annotations

import json
import subprocess
import sys

import ase.io
import numpy as np
import pytest
from ase.units import GPa
from beadwise.driver.commands.group import main
from beadwise.errors import PictureError
from beadwise.learning.data import DataError, Frame, frame_from_ase
from beadwise.learning.fitting.accuracy import ErrorReport, PropertyErrors, evaluate_errors
from beadwise.learning.fitting.calibration import reliabilities
from beadwise.learning.pictures.parity import plot_parity
from beadwise.model import ModelFileError, StructureError, save
from beadwise.model.description import describe_model
from click.testing import CliRunner
from models import labelled, random_model, random_structure

LABELS = ("energy", "forces", "stress", "dipole", "polarizability")
METADATA = {
    "licence": "MIT",
    "training_sets": [{"file": "a.xyz", "frames": 80}, {"file": "b.xyz", "doi": "10.1063/5.0016004"}],
    "validation_errors": {"energy": {"value": 0.5, "unit": "meV/atom"}},
    "known_limits": ["[bold]liquid[/nothing] only", "no ions"],
    "envelope": {
        "lowest": list(range(100)),
        "highest": [[1.5, 2.5]],
        "never_heard_of": {"": None, "mixed": [1, [], "a"]},
    },
    "not_finite": float("nan"),
}


@pytest.fixture(scope="module")
def model():
    return random_model(metadata=METADATA)


@pytest.fixture(scope="module")
def structures(model):
    """Frames of different sizes and orders of the atoms, labelled by the model."""
    frames = [labelled(model, random_structure(seed, 2 + seed % 3)) for seed in range(7)]
    return [*frames, labelled(model, random_structure(9)[::-1])]


@pytest.fixture(scope="module")
def frames(structures):
    return [frame_from_ase(atoms, "data.xyz", index) for index, atoms in enumerate(structures)]


@pytest.fixture
def files(tmp_path, model, structures):
    """Paths of the model and of its data."""
    save(model, tmp_path / "model.safetensors")
    ase.io.write(tmp_path / "data.xyz", structures)
    return str(tmp_path / "model.safetensors"), str(tmp_path / "data.xyz")


def with_noise(frames, name, deviation, shift=0.0):
    """Frames whose label is off by noise of exactly this root mean square over all of them, and by a shift."""
    sizes = [frame.labels[name].size for frame in frames]
    noise = np.random.default_rng(5).normal(size=sum(sizes))
    noise -= noise.mean()
    noise *= deviation / np.sqrt((noise**2).mean())
    parts = np.split(noise + shift, np.cumsum(sizes)[:-1])
    return [
        Frame(frame.atoms, {**frame.labels, name: frame.labels[name] + part.reshape(frame.labels[name].shape)})
        for frame, part in zip(frames, parts, strict=True)
    ]


def test_a_model_agrees_with_its_own_labels(model, frames):
    report = evaluate_errors(model, iter(frames))
    assert report.frames == 8 and tuple(report.properties) == LABELS
    for own in report.properties.values():
        assert own.mean_absolute_error < 1e-9 and own.root_mean_square_error < 1e-9
        assert own.standard_deviation > 0 and own.percent_error < 1e-6
    atoms = sum(len(frame.atoms) for frame in frames)
    counts = {name: own.count for name, own in report.properties.items()}
    assert counts == {"energy": 8, "forces": 3 * atoms, "stress": 72, "dipole": 24, "polarizability": 72}


@pytest.mark.parametrize(("name", "factor"), [("forces", 1e3), ("stress", 1e3), ("dipole", 1), ("polarizability", 1)])
def test_known_noise_is_found(model, frames, name, factor):
    report = evaluate_errors(model, with_noise(frames, name, 0.02))
    own = report.properties[name]
    np.testing.assert_allclose(own.root_mean_square_error, 0.02 * factor, rtol=1e-9)
    labels = np.array([frame.labels[name].ravel() for frame in with_noise(frames, name, 0.02)], dtype=object)
    values = np.concatenate(labels)[:, None] if name == "forces" else np.stack(labels).astype(float)
    spread = np.sqrt(np.mean((values - values.mean(axis=0)).astype(float) ** 2)) * factor
    np.testing.assert_allclose(own.standard_deviation, spread)
    np.testing.assert_allclose(own.percent_error, 100 * 0.02 * factor / spread)
    assert all(report.properties[other].root_mean_square_error < 1e-9 for other in LABELS if other != name)


def test_energy_error_is_per_atom_and_about_its_mean(model, frames):
    offsets = np.array([0.3, -0.1, 0.2, 0.4, 0.1, 0.0, -0.2, 0.5])  # eV/atom
    shifted = [
        Frame(frame.atoms, {"energy": frame.labels["energy"] - offset * len(frame.atoms)})
        for frame, offset in zip(frames, offsets, strict=True)
    ]
    report = evaluate_errors(model, shifted)
    numbers = report.as_dict()["properties"]["energy"]
    assert numbers["unit"] == "meV/atom" and numbers["count"] == 8
    np.testing.assert_allclose(numbers["root_mean_square_error"], 1e3 * np.sqrt((offsets**2).mean()))
    np.testing.assert_allclose(numbers["mean_absolute_error"], 1e3 * np.abs(offsets).mean())
    np.testing.assert_allclose(numbers["mean_error"], 1e3 * offsets.mean())
    np.testing.assert_allclose(numbers["root_mean_square_error_about_mean_error"], 1e3 * offsets.std())


def test_stress_also_in_gigapascal(model, frames):
    numbers = evaluate_errors(model, with_noise(frames, "stress", 0.01)).as_dict()["properties"]["stress"]
    np.testing.assert_allclose(numbers["root_mean_square_error"], 10.0)
    np.testing.assert_allclose(numbers["gigapascal"]["root_mean_square_error"], 0.01 / GPa)
    assert numbers["gigapascal"]["percent_error"] == pytest.approx(numbers["percent_error"])


def test_absent_labels_and_properties_are_left_out(model, frames):
    only = [Frame(frame.atoms, {"dipole": frame.labels["dipole"]}) for frame in frames[:3]]
    assert list(evaluate_errors(model, [*only, Frame(frames[3].atoms)]).properties) == ["dipole"]
    energy_only = random_model(heads=["energy"])
    assert list(evaluate_errors(energy_only, frames).properties) == ["energy", "forces", "stress"]
    with pytest.raises(
        DataError, match="the 3 frames have dipole; this model can be compared by energy, forces, stress"
    ):
        evaluate_errors(energy_only, only)
    with pytest.raises(DataError, match="the 1 frames have no labels"):
        evaluate_errors(model, [Frame(frames[0].atoms)])


def test_stress_of_a_molecule_is_left_out(model, frames):
    atoms = frames[0].atoms.copy()
    atoms.set_cell(None)
    atoms.pbc = False
    labels = {"stress": np.zeros((3, 3)), "dipole": np.zeros(3)}
    assert list(evaluate_errors(model, [Frame(atoms, labels)]).properties) == ["dipole"]


def test_percentage_of_a_constant_is_undefined(model, frames):
    own = evaluate_errors(model, frames[:1])
    assert own.properties["energy"].percent_error is None
    assert own.as_dict()["properties"]["dipole"]["percent_error"] is None


def test_a_frame_that_cannot_be_evaluated_is_named(model, frames):
    atoms = frames[0].atoms.copy()
    atoms.symbols[1] = "C"
    with pytest.raises(StructureError, match=r"frame 4 of 'b.xyz': atom 1 is C.*allowed are H, O"):
        evaluate_errors(model, [frames[0], Frame(atoms, frames[0].labels, "b.xyz", 4)])


def test_progress_is_told_of_each_frame(model, frames):
    calls = []
    evaluate_errors(model, frames, lambda: calls.append(1))
    assert len(calls) == len(frames)


def random_report(values: int) -> ErrorReport:
    reference = np.random.default_rng(0).normal(0, 5, (values, 1))
    constant = np.full((2, 9), 3.0)
    return ErrorReport(
        2,
        {
            "forces": PropertyErrors("meV/Å", reference, reference + 0.1),
            "polarizability": PropertyErrors("Å³", constant, constant),
        },
    )


@pytest.mark.parametrize("values", [10, 5000])
def test_parity_plot_is_a_picture(tmp_path, values):
    report = random_report(values)
    energies_only = ErrorReport(1, {"energy": PropertyErrors("meV/atom", np.zeros((1, 1)), np.ones((1, 1)))})
    plot_parity({"all": report}, tmp_path / "one.png")
    plot_parity({"training": report, "validation": energies_only}, tmp_path / "two.png")
    for name in ("one.png", "two.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "two.png"]


def test_parity_plot_without_content_or_folder(tmp_path):
    with pytest.raises(DataError, match="nothing to plot"):
        plot_parity({}, tmp_path / "a.png")
    with pytest.raises(PictureError, match="cannot write the plot"):
        plot_parity({"a": random_report(3)}, tmp_path / "none" / "a.png")


def test_evaluate_command(files, tmp_path):
    model, data = files
    options = ["--json", str(tmp_path / "errors.json"), "--plot", str(tmp_path / "errors.png")]
    result = CliRunner().invoke(main, ["evaluate", model, data, data, *options])
    assert result.exit_code == 0, result.stderr
    for word in (*LABELS, "meV/atom", "GPa", "shifted", "16 frames"):
        assert word in result.stdout
    numbers = json.loads((tmp_path / "errors.json").read_text())
    assert numbers["model"] == model and numbers["data"] == [data, data] and numbers["frames"] == 16
    assert tuple(numbers["properties"]) == LABELS
    # eight digits in the file, in meV/Å for forces
    assert all(own["root_mean_square_error"] < 1e-4 for own in numbers["properties"].values())
    assert numbers["properties"]["dipole"]["root_mean_square_error"] < 1e-6
    assert (tmp_path / "errors.png").read_bytes().startswith(b"\x89PNG")


def test_a_model_without_members_is_not_asked_how_sure_it_is(model):
    frames = iter([None])
    assert reliabilities(model, frames) == {} and next(frames) is None  # no frame was looked at


def test_evaluate_as_a_process(files):
    command = [sys.executable, "-m", "beadwise.driver", "evaluate"]
    result = subprocess.run([*command, *files], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0 and "polarizability" in result.stdout and not result.stderr
    result = subprocess.run([*command, files[0], "none.xyz"], capture_output=True, text=True, timeout=120)
    assert result.returncode == 2 and not result.stdout
    assert result.stderr == "Error: data file 'none.xyz' does not exist\n"


def test_evaluate_refuses_bad_input_in_one_line(files, tmp_path):
    model, data = files
    (tmp_path / "carbon.xyz").write_text("1\nenergy=1\nC 0 0 0\n")
    (tmp_path / "unlabelled.xyz").write_text("1\n\nH 0 0 0\n")
    (tmp_path / "empty.xyz").write_text("\n")
    (tmp_path / "text.safetensors").write_text("no model")
    cases = [
        ([model], "Missing argument"),
        ([str(tmp_path / "none"), data], "no model"),
        ([str(tmp_path / "text.safetensors"), data], "not a readable model file"),
        ([model, data, str(tmp_path / "none.xyz")], "does not exist"),
        ([model, str(tmp_path / "carbon.xyz")], "atom 0 is C"),
        ([model, str(tmp_path / "unlabelled.xyz")], "have no labels"),
        ([model, str(tmp_path / "empty.xyz")], "holds no frame"),
        ([model, data, "--json", str(tmp_path / "no" / "a.json")], "a folder that exists"),
        ([model, data, "--json", str(tmp_path)], "cannot write"),
        ([model, data, "--plot", str(tmp_path / "a.pdf")], "ends in .png"),
    ]
    for arguments, message in cases:
        result = CliRunner().invoke(main, ["evaluate", *arguments])
        assert result.exit_code == 2 and message in result.stderr
        assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1


def test_inspect_lists_what_the_file_says(files):
    result = CliRunner().invoke(main, ["inspect", files[0]])
    assert result.exit_code == 0
    for text in (
        "version 3", "H, O", "3 Å", "140 weights", "156 weights", "Clausius–Mossotti", "e·Å", "MIT", "a.xyz",
        "10.1063/5.0016004", "[bold]liquid[/nothing] only", "100 numbers from 0 to 99", "never heard of",
    ):  # fmt: skip
        assert text in result.stdout


def test_inspect_json(files, model):
    result = CliRunner().invoke(main, ["inspect", files[0], "--json", "-"])
    assert result.exit_code == 0
    description = json.loads(result.stdout, parse_constant=lambda name: pytest.fail(name))
    assert description["species"] == ["H", "O"] and description["format_version"] == 3
    assert description["density"]["cutoff"] == 3.0 and description["density"]["l_max"] == 2
    assert description["density"]["radial_functions"] == 3
    assert list(description["heads"]) == list(model.heads)
    assert description["heads"]["energy"] == {"angular_momentum": 0, "weights": 140}
    assert description["properties"] == list(model.properties)
    assert description["metadata"] == {**METADATA, "not_finite": None}
    assert description["bytes"] > 1000 and description["repulsion"]["onset"]["H-O"] == 0.7


@pytest.mark.parametrize("metadata", [None, "words", [1, 2], {}, {"a": {}}, {"deep": {"b": [{"c": [{"d": 1}]}]}}])
def test_inspect_takes_any_metadata(tmp_path, metadata):
    model = random_model(heads=["dipole"])
    model.metadata = metadata
    save(model, tmp_path / "model.safetensors")
    assert describe_model(tmp_path / "model.safetensors")["metadata"] == metadata
    assert CliRunner().invoke(main, ["inspect", str(tmp_path / "model.safetensors")]).exit_code == 0


def test_inspect_refuses_what_is_no_model(tmp_path):
    with pytest.raises(ModelFileError, match="no model 'none'"):
        describe_model("none")
    (tmp_path / "a").write_text("text")
    result = CliRunner().invoke(main, ["inspect", str(tmp_path / "a")])
    assert result.exit_code == 2 and result.stderr.count("\n") == 1


def test_inspect_begins_with_what_a_user_needs():
    result = CliRunner().invoke(main, ["inspect", "water"])
    first, second, third = result.stdout.split("\n\n")
    assert first.startswith("What it is for") and second.startswith("How it is made") and third.startswith("What the")
    for text in (
        "H, O", "cutoff  ", "6 Å", "liquid water from about 0.84", "O-O 2.31 Å", "envelope_distance is 0 inside",
        "the spread of 8 members, calibrated", "bulk_valid.xyz", "forces 23.1 meV/Å",
    ):  # fmt: skip
        assert text in first
