"""Members that the data allow, and their calibration."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from ase.io import write
from beadwise.driver.commands.group import main
from beadwise.learning.data import DataError, Frame, read_frames
from beadwise.learning.fitting.calibration import Reliability, calibration_factor, reliabilities
from beadwise.learning.fitting.committee_fit import chosen_blocks, fit_with_members, variance_of_last_layer
from beadwise.learning.fitting.configuration import CommitteeSettings, ConfigurationError, read_configuration
from beadwise.learning.fitting.fit import bare_model, fit
from beadwise.learning.fitting.head_fit import HeadProblem
from beadwise.learning.fitting.least_squares import NormalEquations, sum_of
from beadwise.model import Batch, Model, load, save
from beadwise.pyx.tensor_head import TensorHead
from click.testing import CliRunner
from models import labelled, random_model, random_structure

CONFIGURATION = """
[data]
train = ["train.xyz"]
validation = ["valid.xyz"]
[density]
cutoff = 3.0
radial = 3
l_max = 2
[energy]
[dipole]
l_max = 2
[polarizability]
l_max = 2
[repulsion]
onset_fraction = 0.97
[committee]
members = 6
[output]
model = "fitted.safetensors"
"""


def noisy(seed: int, noise: float = 0.05) -> object:
    """A frame whose labels are those of a model with a network, which no linear head can reach, and noise."""
    rng = np.random.default_rng(seed)
    frame = labelled(random_model(hidden=(5,)), random_structure(seed))
    results = frame.calc.results
    for name in ("energy", "forces", "dipole"):
        results[name] = results[name] + rng.normal(0, noise, np.shape(results[name]))
    return frame


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("committee")
    write(folder / "train.xyz", [noisy(seed) for seed in range(24)])
    write(folder / "valid.xyz", [noisy(seed) for seed in range(100, 130)])
    return folder


def configuration(folder: Path, *changes: tuple[str, str], name: str = "fit.toml") -> Path:
    text = CONFIGURATION
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    path = folder / name
    path.write_text(text)
    return path


def flat(head: TensorHead) -> np.ndarray:
    return np.concatenate([head.offset.ravel(), head.linear.ravel(), head.weights.ravel()])


def energy_problem(folder: Path) -> tuple[HeadProblem, list[Frame]]:
    settings = read_configuration(configuration(folder))
    frames = read_frames(folder / "train.xyz")
    return HeadProblem.of("energy", bare_model(settings, frames), frames, settings), frames


def test_calibration_recovers_the_width_of_errors():
    rng = np.random.default_rng(0)
    for members, width in ((5, 3.0), (16, 0.4)):
        spread = rng.uniform(0.5, 2.0, 200_000)
        values = spread[:, None] * rng.normal(size=(200_000, members))
        # the reference is a further draw, `width` times as far from the members' centre
        errors = values.mean(axis=1) - width * spread * rng.normal(size=200_000)
        expected = np.sqrt(width**2 + 1 / members - 1 / members)
        assert calibration_factor(errors, values.var(axis=1, ddof=1), members) == pytest.approx(expected, rel=0.02)


def test_calibration_follows_its_formula():
    errors, variances, members = np.array([0.3, -0.2, 0.5]), np.array([0.01, 0.02, 0.04]), 8
    ratio = (0.3**2 / 0.01 + 0.2**2 / 0.02 + 0.5**2 / 0.04) / 3
    assert calibration_factor(errors, variances, members) ** 2 == pytest.approx(-1 / 8 + 5 / 7 * ratio, rel=1e-14)
    # members far apart: no root of a negative number
    assert calibration_factor(errors, 1e4 * variances, members) ** 2 == pytest.approx(5 / 7 * ratio / 1e4, rel=1e-14)


def test_calibration_refuses_few_members():
    with pytest.raises(DataError, match="4 members cannot be calibrated; at least 5"):
        calibration_factor(np.ones(3), np.ones(3), 4)
    with pytest.raises(DataError, match="0 values"):
        calibration_factor(np.zeros(0), np.zeros(0), 8)
    with pytest.raises(DataError, match="variances above 0"):
        calibration_factor(np.ones(2), np.array([1.0, 0.0]), 8)


def test_values_that_symmetry_fixes_do_not_count():
    errors, variances = np.array([0.3, -0.2, 0.5]), np.array([0.01, 0.02, 0.04])
    fixed_errors, fixed_variances = np.append(errors, [0.0, 1e-5, -1e-8]), np.append(variances, [0.0, 1e-34, 1e-20])
    factor = calibration_factor(errors, variances, 8)
    assert calibration_factor(fixed_errors, fixed_variances, 8) == pytest.approx(factor, rel=1e-14)
    with pytest.raises(DataError, match="3 values, 0 not fixed"):
        calibration_factor(np.zeros(3), np.zeros(3), 8)


@pytest.mark.parametrize(
    ("frames", "told"),
    [
        (
            "['valid.xyz']",
            r"6 members, calibration α .*energy [0-9.]+ \(1\), .*forces [0-9.]+ \(0\).*calibrated.*: dipole",
        ),
        ("[]", r"calibration α .*: none; not calibrated.*: energy, forces, dipole, polarizability"),
    ],
)
def test_the_command_tells_what_is_not_calibrated(folder: Path, frames: str, told: str, tmp_path: Path):
    (tmp_path / "train.xyz").write_text((folder / "train.xyz").read_text())
    frame = noisy(100)
    for name in ("forces", "dipole"):
        del frame.calc.results[name]
    write(tmp_path / "valid.xyz", frame)
    path = configuration(tmp_path, ('["valid.xyz"]', frames))
    result = CliRunner().invoke(main, ["fit", str(path)])
    assert result.exit_code == 0 and re.search(told, result.output), result.output
    model = load(tmp_path / "fitted.safetensors")
    assert model.members is not None and model.members.factor("dipole") == 1
    assert model.members.factor("forces") == model.members.factor("energy")
    listing = CliRunner().invoke(main, ["inspect", "--json", "-", str(tmp_path / "fitted.safetensors")])
    assert "dipole" in json.loads(listing.output)["members"]["uncalibrated"]


def test_fractions_of_gaussian_errors():
    rng = np.random.default_rng(1)
    spread = rng.uniform(0.1, 1.0, 100_000)
    own = Reliability("eV", spread, spread * rng.normal(size=100_000), 8)
    assert own.fraction_within(1) == pytest.approx(0.6827, abs=0.005)
    assert own.fraction_within(2) == pytest.approx(0.9545, abs=0.003)


def test_members_by_subsampling_are_fits_to_parts(folder: Path):
    problem, frames = energy_problem(folder)
    settings = CommitteeSettings(members=6, seed=3)
    (head,), (deviations,) = fit_with_members(problem, frames, settings)
    np.testing.assert_allclose(sum(map(flat, deviations)), 0.0, atol=1e-10 * np.abs(flat(deviations[0])).max())
    whole = problem.empty_equations()
    for frame in frames:
        problem.add(whole, frame)
    energies = np.array([energy_of(problem, head, frame) for frame in frames])
    np.testing.assert_allclose(
        energies, [energy_of(problem, *problem.solve(whole), frame) for frame in frames], atol=1e-6
    )
    # a slow twin deals the frames out by hand, and fits each part on its own
    generator = np.random.default_rng(3)
    order: list[int] = []
    block_of = []
    for _ in frames:
        order = order or generator.permutation(6).tolist()
        block_of.append(order.pop())
    twins = []
    for own in chosen_blocks(6, settings, generator):
        equations = problem.empty_equations()
        for frame, block in zip(frames, block_of, strict=True):
            if block in own:
                problem.add(equations, frame)
        twins += problem.solve(equations)
    for frame in frames[:4]:
        spread = np.std([energy_of(problem, own, frame) for own in deviations], ddof=1)
        assert spread == pytest.approx(np.std([energy_of(problem, own, frame) for own in twins], ddof=1), rel=1e-3)


def energy_of(problem: HeadProblem, head: TensorHead, frame: Frame) -> float:
    """Energy of a head alone, without the repulsion."""
    model, batch = problem.model, Batch.from_ase(frame.atoms)
    with_head = Model(model.numbers, model.l_max, model.radial, {"energy": head}, model.repulsion)
    repulsion = model.evaluate(batch, ("energy",)).energy[0]
    return float(with_head.evaluate(batch, ("energy",)).energy[0] - repulsion)


def test_members_of_the_last_layer_have_its_variance():
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(40, 12)) * np.logspace(0, -3, 12)
    rows[:, 5] = 0.0  # a feature that never occurs
    prior = np.linspace(0.5, 2.0, 12)
    prior[0] = np.inf
    for own in (None, prior):
        equations = NormalEquations(12)
        equations.add(rows, rng.normal(size=40))
        asked = rng.normal(size=(3, 12)) * np.logspace(0, -3, 12)
        variances = variance_of_last_layer(equations, asked, 1e-3, own)
        np.testing.assert_allclose(variances, slow_variance(rows, asked, 1e-3, own), rtol=1e-9)
        drawn = equations.deviations(1e-3, own, 20_000, np.random.default_rng(0))
        assert (drawn[:, 5] == 0).all()
        np.testing.assert_allclose((drawn @ asked.T).var(axis=0, ddof=1), variances, rtol=0.05)


def slow_variance(rows: np.ndarray, asked: np.ndarray, ridge: float, prior: np.ndarray | None) -> np.ndarray:
    """xᵀ (XᵀX + R)⁻¹ x, element by element as `NormalEquations.solve` says."""
    used = (rows**2).sum(axis=0) > 0
    rows, asked = rows[:, used], asked[:, used]
    gram = rows.T @ rows
    if prior is None:
        own, remaining = len(rows) / np.diag(gram), np.diag(gram)
        total = (own * remaining).sum() / len(rows)
    else:
        own = prior[used]
        offset = rows[:, :1]
        left = rows - offset @ np.linalg.lstsq(offset, rows, rcond=None)[0]
        total = (own[1:] * (left**2).sum(axis=0)[1:]).sum() / len(rows)
    penalty = np.maximum(ridge * total / own, 1e-13 * np.diag(gram))
    inverse = np.linalg.inv(gram + np.diag(penalty))
    return np.array([x @ inverse @ x for x in asked])


def test_equations_add_up():
    rng = np.random.default_rng(0)
    rows, targets = rng.normal(size=(10, 4)), rng.normal(size=10)
    parts = [NormalEquations(4) for _ in range(2)]
    parts[0].add(rows[:3], targets[:3])
    parts[1].add(rows[3:], targets[3:])
    whole = NormalEquations(4)
    whole.add(rows, targets)
    np.testing.assert_allclose(sum_of(parts).solve(1e-6), whole.solve(1e-6), rtol=1e-10)


@pytest.mark.parametrize("kind", ["subsampling", "last-layer"])
def test_the_command_fits_calibrates_and_tells(folder: Path, kind: str, tmp_path: Path):
    path = configuration(folder, ("members = 6", f'members = 6\nkind = "{kind}"'))
    result = CliRunner().invoke(main, ["fit", str(path)])
    assert result.exit_code == 0, result.output
    model = load(folder / "fitted.safetensors")
    assert isinstance(model, Model) and model.members is not None and model.members.count == 6
    record = model.metadata["calibration"]
    assert record["frames"] == 30
    for name in ("energy", "forces", "dipole", "polarizability"):
        assert model.members.factor(name) == record[name]["factor"] != 1
    for name in (
        "energy",
        "forces",
        "dipole",
    ):  # a fit to so few frames has errors with longer tails than Gaussian ones
        assert 0.6 < record[name]["within_1_standard_deviation"] < 0.95
        assert 0.85 < record[name]["within_2_standard_deviations"] <= 1
    plain = read_configuration(configuration(folder, ("[committee]\nmembers = 6", "")))
    batch = Batch.from_ase(random_structure(7))
    for name in ("energy", "dipole", "polarizability"):  # members do not change what the model says
        np.testing.assert_allclose(
            model.evaluate(batch, (name,))[name], fit(plain).evaluate(batch, (name,))[name], rtol=1e-6
        )
    told = tmp_path / "told.json"
    arguments = [str(folder / "fitted.safetensors"), str(folder / "valid.xyz"), "--json", str(told)]
    result = CliRunner().invoke(main, ["evaluate", *arguments, "--reliability", str(tmp_path / "reliability.png")])
    assert result.exit_code == 0, result.output
    assert "within 1σ" in result.output and (tmp_path / "reliability.png").stat().st_size > 10_000
    reliability = json.loads(told.read_text())["reliability"]
    assert reliability["forces"]["within_1_standard_deviation"] == record["forces"]["within_1_standard_deviation"]


def test_calibrated_again_a_committee_stays_as_it_is(folder: Path):
    model = fit(read_configuration(configuration(folder)))
    found = reliabilities(model, read_frames(folder / "valid.xyz"))
    for name in ("energy", "forces", "dipole"):
        # the term of the mean's error does not scale along
        again = found[name].factor ** 2 + 1 / 6
        assert again * model.members.factor(name) ** 2 == pytest.approx(
            model.members.factor(name) ** 2 + 1 / 6, rel=1e-6
        )


def test_members_are_added_to_a_fitted_model(folder: Path):
    plain = configuration(folder, ("[committee]\nmembers = 6", ""), ("fitted", "plain"), name="plain.toml")
    assert CliRunner().invoke(main, ["fit", str(plain)]).exit_code == 0
    added = configuration(
        folder, ("members = 6", 'members = 6\nkind = "last-layer"\nmodel = "plain.safetensors"'), name="added.toml"
    )
    model, before = fit(read_configuration(added)), load(folder / "plain.safetensors")
    batch = Batch.from_ase(random_structure(7))
    for name in before.properties:
        np.testing.assert_array_equal(model.evaluate(batch, (name,))[name], before.evaluate(batch, (name,))[name])
    assert model.members.factor("forces") != 1 and model.metadata["envelope"] == before.metadata["envelope"]
    # a calibration is of the members that it was made with
    again = configuration(
        folder,
        ("members = 6", 'members = 6\nmodel = "added.safetensors"'),
        ('validation = ["valid.xyz"]', ""),
        name="again.toml",
    )
    save(model, folder / "added.safetensors")
    assert "calibration" in model.metadata and "calibration" not in fit(read_configuration(again)).metadata
    fewer = configuration(
        folder,
        ("members = 6", 'members = 6\nmodel = "added.safetensors"'),
        ("[energy]\n", ""),
        name="fewer.toml",
    )
    with pytest.raises(ConfigurationError, match=r"has members of the heads .'energy'., which the config"):
        fit(read_configuration(fewer))
    corrects = configuration(
        folder,
        ("members = 6", 'members = 6\nmodel = "plain.safetensors"'),
        ("[energy]", '[energy]\nbaseline = "harmonic:k=1.0"'),
        name="corrects.toml",
    )
    with pytest.raises(ConfigurationError, match=r"baseline = 'harmonic:k=1.0' in .energy.; .*must be the same"):
        fit(read_configuration(corrects))
    other = configuration(
        folder,
        ("members = 6", 'members = 6\nmodel = "plain.safetensors"'),
        ("[polarizability]\nl_max = 2\n", ""),
        ("[dipole]\nl_max = 2", "[dipole]\nl_max = 1"),
        name="other.toml",
    )
    with pytest.raises(ConfigurationError, match=r"dipole head of 'plain.safetensors' has l_max = 2.*configuration 1"):
        fit(read_configuration(other))


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("members = 6", "members = 4", "members = 4 in .committee.; it must be a whole number of at least 5"),
        (
            "members = 6",
            'kind = "bagging"',
            "kind = 'bagging' in .committee.; allowed are .'subsampling', 'last-layer'.",
        ),
        ("members = 6", "fraction = 1.0", "fraction = 1.0 in .committee.; it must be a number between 0 and 1"),
        ("[committee]", "[network]\nhidden = [4]\n[committee]", "allowed is kind = 'last-layer'"),
    ],
)
def test_configurations_that_make_no_committee(folder: Path, before: str, after: str, message: str):
    with pytest.raises(ConfigurationError, match=message):
        read_configuration(configuration(folder, (before, after), name="wrong.toml"))


def test_too_few_frames_or_choices(folder: Path):
    problem, frames = energy_problem(folder)
    with pytest.raises(ConfigurationError, match=r"5 training frames have labels for the energy head.*6 members"):
        fit_with_members(problem, frames[:5], CommitteeSettings(members=6))
    with pytest.raises(ConfigurationError, match="leaves 6 different choices of 5 of 6"):
        chosen_blocks(6, CommitteeSettings(members=8, fraction=0.9), np.random.default_rng(0))


def test_no_uncertainty_to_draw(folder: Path, tmp_path: Path):
    plain = configuration(folder, ("[committee]\nmembers = 6", ""), ("fitted", "alone"), name="alone.toml")
    assert CliRunner().invoke(main, ["fit", str(plain)]).exit_code == 0
    arguments = [str(folder / "alone.safetensors"), str(folder / "valid.xyz")]
    result = CliRunner().invoke(main, ["evaluate", *arguments, "--reliability", str(tmp_path / "no.png")])
    assert result.exit_code == 2 and "has no uncertainty to draw" in result.output
    assert "within 1σ" not in CliRunner().invoke(main, ["evaluate", *arguments]).output
