"""A density of states is fitted: from curves whose zeros differ, from levels, with members."""

import numpy as np
import pytest
from ase.io import write
from beadwise.learning.data import DataError
from beadwise.learning.data.curves import best_shifts, shifted, smoothed
from beadwise.learning.fitting.accuracy import evaluate_errors
from beadwise.learning.fitting.configuration import ConfigurationError, read_configuration
from beadwise.learning.fitting.electrons import zero
from beadwise.learning.fitting.electrons.ends import lost_by_shifts, warn_of_lost
from beadwise.learning.fitting.fit import fit, read_fit_data
from beadwise.model import Batch
from beadwise.properties.mermin import smeared
from models import random_structure

ENERGIES = np.linspace(-10, 10, 101)
STEP = 0.2


def levels_of(atoms, shift: float = 0.0) -> np.ndarray:
    """Two levels for each atom that follow its nearest neighbour."""
    distances = atoms.get_all_distances(mic=True) + 9 * np.eye(len(atoms))
    nearest = distances.min(axis=1)
    return np.concatenate([-3 + 2 * (nearest - 1), 2 - 3 * (nearest - 1) ** 2]) + shift


@pytest.fixture(scope="module")
def structures():
    return [random_structure(seed, molecules=2 + seed % 2) for seed in range(30)]


def written(folder, structures, shifts=None, **section):
    """A configuration, with frames that have curves, or levels."""
    for place, atoms in enumerate(structures):
        shift = 0.0 if shifts is None else shifts[place]
        levels = levels_of(atoms, shift)
        atoms.info = {"dos": smeared(levels, np.full(len(levels), 2.0), ENERGIES, 0.5)}
        if "levels" in section:
            atoms.info = {"eigenvalues": levels - 1.0, "above": -1.0}
    write(folder / "frames.xyz", structures, format="extxyz")
    settings = {"energies": [-10.0, 10.0], "electrons": {"H": 2.0, "O": 2.0}, **section}
    lines = [f"{name} = {_toml(value)}" for name, value in settings.items()]
    (folder / "fit.toml").write_text(
        "[data]\ntrain = ['frames.xyz']\n[density]\nradial = 4\nl_max = 2\ncutoff = 3.5\n[output]\n"
        "model = 'own.safetensors'\n[density_of_states]\nl_max = 2\nangular_decay = 0.5\n" + "\n".join(lines) + "\n",
        encoding="utf-8",
    )
    return read_configuration(folder / "fit.toml")


def _toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {own}" for key, own in value.items()) + "}"
    return repr(value).lower() if isinstance(value, bool) else repr(value)


def percent(model, structures):
    """Error of curves that are shifted onto the prediction, in percent of their deviation."""
    atoms = np.array([len(one) for one in structures])[:, None]
    curves = np.array([smeared(own := levels_of(one), np.full(len(own), 2.0), ENERGIES, 0.5) for one in structures])
    found = np.array(
        [model.evaluate(Batch.from_ase(one), ("density_of_states",))["density_of_states"][0] for one in structures]
    )
    curves = shifted(curves, best_shifts(curves, found, STEP, 4.0), STEP) / atoms
    return 100 * np.sqrt(((found / atoms - curves) ** 2).mean() / ((curves - curves.mean(axis=0)) ** 2).mean())


def test_zeros_that_differ_make_no_difference(tmp_path, structures):
    plain = fit(written(tmp_path, structures))
    shifts = np.random.default_rng(2).uniform(-3, 3, len(structures))
    other = fit(written(tmp_path, structures, shifts))
    as_they_are = fit(written(tmp_path, structures, shifts, adaptive_zero=False))
    errors = [percent(model, structures) for model in (plain, other, as_they_are)]
    assert errors[0] < 30 and errors[1] < 1.02 * errors[0] + 0.1 and errors[2] > 2 * errors[0]
    assert plain.curves.electrons == (2.0, 2.0) and plain.curves.first == -10.0
    response = plain.evaluate(Batch.from_ase(structures[0]), ("fermi_level", "band_energy"))
    assert -3 < response["fermi_level"][0] < 3


def test_zeros_that_do_not_stay_are_told(tmp_path, structures, monkeypatch, caplog):
    shifts = np.random.default_rng(2).uniform(-3, 3, len(structures))
    configuration = written(tmp_path, structures, shifts)
    fit(configuration)
    assert "zeros of energy still change" not in caplog.text
    monkeypatch.setattr(zero, "SETTLED", 0.0)
    monkeypatch.setattr(zero, "MOST_ROUNDS", 2)
    fit(configuration)
    assert "(root mean square) after 2 rounds; allowed is 0 eV: the last ones are taken" in caplog.text


def test_levels_become_curves(tmp_path, structures):
    curves = fit(written(tmp_path, structures))
    section = {"levels": "eigenvalues", "level_zero": "above", "smearing": 0.5, "points": 101}
    configuration = written(tmp_path, structures, **section)
    levels = fit(configuration)
    for one in structures[:2]:
        batch = Batch.from_ase(one)
        own = levels.evaluate(batch, ("density_of_states",)).density_of_states
        np.testing.assert_allclose(own, curves.evaluate(batch, ("density_of_states",)).density_of_states, atol=1e-6)
    assert levels.curves.smearing == 0.5
    report = evaluate_errors(levels, read_fit_data(configuration).of("training"))
    assert report.properties["density_of_states"].percent_error < 30


def test_levels_below_the_axis_are_told(tmp_path, structures, caplog):
    """Their electrons are in no curve."""
    section = {"levels": "eigenvalues", "level_zero": "above", "smearing": 0.5, "points": 101}
    read_fit_data(written(tmp_path, structures[:3], **section))
    assert "below the axis" not in caplog.text
    read_fit_data(written(tmp_path, structures[:3], **section, energies=[0.0, 10.0]))
    below = [((levels_of(one) < 0).sum(), place, levels_of(one).min()) for place, one in enumerate(structures[:3])]
    count, place, lowest = max(below)
    assert "3 frames have levels below the axis of energies, which begins at 0 eV" in caplog.text
    assert f"({count} in frame {place} of" in caplog.text and f"the lowest at {lowest:.4g} eV)" in caplog.text


def test_members(tmp_path, structures):
    configuration = written(tmp_path, structures)
    text = (tmp_path / "fit.toml").read_text(encoding="utf-8")
    (tmp_path / "fit.toml").write_text(f"{text}[committee]\nmembers = 5\n", encoding="utf-8")
    configuration = read_configuration(tmp_path / "fit.toml")
    model = fit(configuration)
    response = model.evaluate(
        Batch.from_ase(structures[0]), ("committee_density_of_states", "density_of_states_uncertainty")
    )
    assert response["committee_density_of_states"].shape == (1, 5, 101)
    assert response["density_of_states_uncertainty"].shape == (1, 101)


def test_what_is_refused(tmp_path, structures):
    for section, said in [
        ({"energies": [1.0]}, r"energies = \[1.0\]"),
        ({"energies": [3.0, -3.0]}, "first and the last"),
        ({"electrons": {"H": 1.0}}, "a number is needed for each of H, O"),
        ({"points": 40}, "points = 40 .* the curves have 101"),
        ({"levels": "eigenvalues", "points": 101, "smearing": 0.1}, "at least twice the step"),
        ({"levels": "eigenvalues", "points": 11, "smearing": 4.0}, "an axis of 11 points"),
    ]:
        with pytest.raises(ConfigurationError, match=said):
            fit(written(tmp_path, structures, **section))


def test_smoothing_and_shifting():
    curve = smeared(np.array([0.3, -2.0]), np.array([1.0, 2.0]), ENERGIES, 0.5)[None]
    wider = smeared(np.array([0.3, -2.0]), np.array([1.0, 2.0]), ENERGIES, np.hypot(0.5, 0.6))[None]
    np.testing.assert_allclose(smoothed(curve, STEP, 0.6), wider, atol=1e-10)
    moved = smeared(np.array([0.53, -1.77]), np.array([1.0, 2.0]), ENERGIES, 0.5)[None]
    np.testing.assert_allclose(shifted(curve, np.array([0.23]), STEP), moved, atol=1e-8)
    assert best_shifts(curve, moved, STEP, 3.0)[0] == pytest.approx(0.23, abs=2e-3)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"eigenvalues": [[[0.0, 1.0]], [[0.0, 1.0]]]}, r"has the shape \(2, 1, 2\)"),
        ({"above": [0.0, 1.0]}, "'above' of .* holds 2 numbers"),
    ],
)
def test_levels_that_are_refused(tmp_path, structures, entries, said):
    section = {"levels": "eigenvalues", "level_zero": "above", "smearing": 0.5, "points": 101}
    configuration = written(tmp_path, structures[:1], **section)
    structures[0].info |= entries
    write(tmp_path / "frames.xyz", structures[:1], format="extxyz")
    with pytest.raises(DataError, match=said):
        read_fit_data(configuration)


def test_electrons_that_have_no_states_are_refused(tmp_path, structures):
    with pytest.raises(DataError, match=r"36 electrons in the density_of_states of .* holds 24;"):
        fit(written(tmp_path, structures[:1] * 2, electrons={"H": 6.0, "O": 6.0}))


def test_shifts_over_an_end_are_told(caplog):
    curves = np.array([smeared(np.array([own]), np.ones(1), ENERGIES, 0.5) for own in (0.0, 8.0, -10.0)])
    shifts = np.array([3.0, 2.0, 1.0])
    lost = lost_by_shifts(curves, shifts, STEP)
    assert lost[0] < 1e-6 and lost[1] == pytest.approx(0.5, abs=0.1) and lost[2] > 0.5
    warn_of_lost(curves[:1], shifts[:1], STEP)
    assert not caplog.records
    warn_of_lost(curves, shifts, STEP)
    assert "2 of 3 curves" in caplog.text
