"""Shieldings: nine components under improper operations, labels of some species, and the numbers made of tensors."""

import json
from dataclasses import replace

import numpy as np
import pytest
from beadwise.driver.doors.extras import encode_extras
from beadwise.driver.doors.guards import check_finite
from beadwise.learning.fitting.accuracy import evaluate_errors
from beadwise.learning.fitting.bare_model import bare_model
from beadwise.learning.fitting.configuration import read_configuration
from beadwise.learning.fitting.fit import fit
from beadwise.learning.fitting.fit_data import read_fit_data
from beadwise.learning.fitting.head_fit import HeadProblem, parts
from beadwise.learning.fitting.memory import needs
from beadwise.model import Batch
from beadwise.properties.forms import full_tensor_components
from beadwise.properties.quantities import quantities
from beadwise.properties.shielding import chemical_shift, isotropic_value, principal_values
from beadwise.properties.unit_names import UnitError, in_own_units
from models import random_structure
from scipy.spatial.transform import Rotation

FIT = """
[data]
train = ["train.xyz"]
nan_is_missing = true
[density]
cutoff = 3.5
radial = 3
l_max = 2
[shielding]
l_max = 2
[committee]
members = 5
[output]
model = "nmr.safetensors"
"""


def random_tensors(count=200):
    return np.random.default_rng(1).normal(0, 30, (count, 3, 3)) + 100 * np.eye(3)


def test_numbers_of_a_tensor_by_hand():
    """Δ, η, Ω, κ of diag(10, 40, 100): σ_iso = 50, |50| ≥ |−40| ≥ |−10|, so zz = 100, xx = 10, yy = 40."""
    found = principal_values(np.diag([40.0, 100.0, 10.0]))
    assert (found.isotropic, found.lowest, found.middle, found.highest) == pytest.approx((50, 10, 40, 100))
    assert (found.reduced_anisotropy, found.asymmetry) == pytest.approx((50, (40 - 10) / 50))
    assert (found.span, found.skew) == pytest.approx((90, 3 * (50 - 40) / 90))


def test_haeberlen_and_herzfeld_berger_say_the_same():
    """|S|² = (3/2) Δ² (1 + η²/3) = Ω² (3 + κ²)/6 for the traceless symmetric part S, and both are in their ranges."""
    tensors = random_tensors()
    found = principal_values(tensors)
    symmetric = 0.5 * (tensors + tensors.swapaxes(-1, -2)) - isotropic_value(tensors)[:, None, None] * np.eye(3)
    square = (symmetric**2).sum(axis=(1, 2))
    np.testing.assert_allclose(1.5 * found.reduced_anisotropy**2 * (1 + found.asymmetry**2 / 3), square, rtol=1e-12)
    np.testing.assert_allclose(found.span**2 * (3 + found.skew**2) / 6, square, rtol=1e-12)
    assert (found.asymmetry >= 0).all() and (found.asymmetry <= 1).all() and (np.abs(found.skew) <= 1 + 1e-12).all()


def test_numbers_do_not_depend_on_the_frame_nor_on_the_antisymmetric_part():
    tensors = random_tensors(20)
    turn = Rotation.from_rotvec([0.3, -1.0, 0.4]).as_matrix()
    antisymmetric = np.array([[0, 5, -2], [-5, 0, 1], [2, -1, 0.0]])
    turned = principal_values(turn @ (tensors + antisymmetric) @ turn.T)
    for name, value in vars(principal_values(tensors)).items():
        np.testing.assert_allclose(getattr(turned, name), value, atol=1e-10)


def test_a_sphere_has_no_anisotropy_and_what_is_unknown_stays_unknown():
    found = principal_values(np.stack([31.0 * np.eye(3), np.full((3, 3), np.nan)]))
    assert (found.isotropic[0], found.asymmetry[0], found.skew[0], found.span[0]) == (31.0, 0.0, 0.0, 0.0)
    assert all(np.isnan(own[1]) for own in vars(found).values())


def test_span_of_the_mean_is_not_the_mean_of_spans():
    """Fluctuations open every span: the mean of spans is too large."""
    tensors = np.diag([20.0, 40.0, 100.0]) + np.random.default_rng(2).normal(0, 25, (4000, 3, 3))
    assert principal_values(tensors.mean(axis=0)).span == pytest.approx(80, abs=1.5)
    assert principal_values(tensors).span.mean() > 90


def test_shifts_and_units():
    assert chemical_shift(np.array([30.0]), 31.5)[0] == 1.5
    unit = quantities()["shielding"].unit
    assert str(unit) == "ppm" and in_own_units("ppm", unit) == 1 and in_own_units("1", unit) == pytest.approx(1e6)
    with pytest.raises(UnitError, match="measures"):
        in_own_units("eV", unit)


def frames_of_one_species(folder, count=12):
    """Frames in which most atoms of one species have a shielding, written with the configuration of their fit."""
    frames = [random_structure(seed) for seed in range(count)]
    kind = int(frames[0].numbers[0])
    rng = np.random.default_rng(0)
    for frame in frames:
        labels = np.full((len(frame), 9), np.nan)
        distances = frame.get_all_distances(mic=True, vector=True)
        lengths = np.linalg.norm(distances, axis=-1)
        # Σ_jk (r_j · r_k) w_j w_k' r_j ⊗ r_k: a tensor of an environment, with an antisymmetric part
        near, far = (np.where((lengths > 0) & (lengths < 3.5), np.exp(-a * lengths**2), 0.0) for a in (0.5, 1.0))
        first, second = np.einsum("ij,ija->ia", near, distances), np.einsum("ij,ija->ia", far, distances)
        own = np.einsum("ia,ib->iab", first, second) + 100 * np.eye(3)
        is_labelled = (frame.numbers == kind) & (rng.random(len(frame)) < 0.9)
        labels[is_labelled] = own[is_labelled].reshape(-1, 9)
        frame.arrays["shielding"] = labels
        frame.calc = None
        frame.write(folder / "train.xyz", append=True, format="extxyz")
    (folder / "fit.toml").write_text(FIT)
    return frames, kind, read_configuration(folder / "fit.toml")


def test_fit_of_one_species_and_what_the_others_get(tmp_path):
    """Labels of one species in some frames: its atoms are fitted, in all nine components."""
    frames, kind, configuration = frames_of_one_species(tmp_path)
    model = fit(configuration)
    report = evaluate_errors(model, read_fit_data(configuration).of("training")).properties["shielding"]
    assert np.isfinite(report.root_mean_square_error) and report.root_mean_square_error < report.standard_deviation
    errors, sizes = [], []
    for frame in frames:
        is_known = np.isfinite(frame.arrays["shielding"]).all(axis=1)
        wanted = full_tensor_components(frame.arrays["shielding"][is_known].reshape(-1, 3, 3))
        found = model.evaluate(Batch.from_ase(frame), ("shielding",)).shielding[0]
        errors.append(full_tensor_components(found[is_known]) - wanted)
        sizes.append(wanted - [100 * np.sqrt(3), *[0] * 8])
        assert np.isnan(found[frame.numbers != kind]).all()
    response = model.evaluate(Batch.from_ase(frames[0]), ("shielding", "committee_shielding"))
    check_finite(response)
    sent = json.loads(encode_extras(response, ("shielding", "committee_shielding"))[0])
    members = np.reshape(sent["member_shielding"], (5, len(frames[0]), 9))
    assert np.isnan(members[:, frames[0].numbers != kind]).all() and np.isfinite(members[:, 0]).all()
    assert np.isnan(sent["shielding"]).sum() == 9 * (frames[0].numbers != kind).sum()
    for part in (slice(0, 1), slice(1, 6), slice(6, 9)):
        error, size = (np.sqrt(np.mean(np.concatenate(own)[:, part] ** 2)) for own in (errors, sizes))
        assert error < 0.5 * size


@pytest.mark.parametrize("part", [name for name, own in parts().items() if own[0].name == "shielding"])
def test_species_without_labels_have_no_weights(tmp_path, part):
    """The equations are of the labelled species alone, and their heads those of equations with columns for all."""
    _, kind, configuration = frames_of_one_species(tmp_path, 6)
    frames = read_fit_data(configuration).of("training")
    model = bare_model(configuration, frames)
    problem = HeadProblem.of(part, model, frames, configuration)
    every = replace(problem, labelled=np.arange(len(model.numbers)))
    assert every.features == len(model.numbers) * problem.features
    found = []
    for own in (problem, every):
        equations = own.empty_equations()
        for frame in frames:
            own.add(equations, frame)
        found.append(own.solve(equations)[0])
    (own,) = model.species_indices(np.array([kind]))
    for name in ("offset", "linear", "weights"):
        small, large = (getattr(head, name) for head in found)
        np.testing.assert_allclose(small, large, rtol=1e-5, atol=1e-7 * max(1, np.abs(large).max(initial=0)))
    others = np.arange(len(model.numbers)) != own
    assert not found[0].linear[others].any() and not found[0].weights[:, others].any()
    needed = {need.part: need.features for need in needs_of(configuration, model)}
    assert needed[part] == problem.features


def needs_of(configuration, model):
    return needs(configuration.density, configuration.quantities, len(model.numbers), 5, labelled={"shielding": 1})
