"""Readouts of equivariant networks that are solved by ridge regression after the training."""

from dataclasses import replace

import numpy as np
import pytest
from beadwise.learning.data import Frame
from beadwise.learning.fitting.configuration import ConfigurationError, read_configuration
from beadwise.learning.fitting.fit import fit
from beadwise.learning.fitting.fit_data import FitData
from beadwise.learning.fitting.head_fit import HeadProblem
from beadwise.learning.fitting.network_steps import gain_text
from beadwise.model import Batch, save
from beadwise.model.answers import values_of_atoms
from beadwise.model.files import load_model
from beadwise.model.outputs import empty_head
from beadwise.properties.quantities import quantities
from equivariant_models import random_equivariant_model
from models import random_structure

pytest.importorskip("torch", reason="torch is not installed; only fits of networks need it")

from beadwise.learning.fitting.equivariant.block_ridge import Grams
from beadwise.learning.fitting.equivariant.quantity_labels import FittedQuantity
from beadwise.learning.fitting.equivariant.readout_features import FeaturesOfNetwork, blocks_of
from beadwise.learning.fitting.equivariant.ridge_readout import (
    check_labels,
    rows_of,
    solved,
    with_ridge_readouts,
)
from beadwise.learning.fitting.equivariant.torch_network import GAIN

PARTS = ("polarizability_isotropic", "polarizability_anisotropic")
ALL = ("energy", "dipole", *PARTS)
CONFIGURATION = """
[data]
train = ["train.xyz"]
[density]
cutoff = 3.0
radial = 3
l_max = 2
[dipole]
l_max = 2
[polarizability]
l_max = 2
[equivariant]
channels = 8
l_max = 2
hidden = [8]
epochs = 2
{lines}
{solved}
[output]
model = "model.safetensors"
"""


def configured(folder, lines="", solved='ridge_readouts = ["polarizability"]'):
    (folder / "fit.toml").write_text(CONFIGURATION.format(lines=lines, solved=solved))
    return read_configuration(folder / "fit.toml")


def frames(model, seeds, names=("polarizability",)):
    found = []
    for seed in seeds:
        atoms = random_structure(seed, molecules=2)
        answer = model.evaluate(Batch.from_ase(atoms), names)
        found.append(Frame(atoms, {name: np.array(answer[name][0]) for name in names}))
    return found


def ridge(configuration, model, data):
    own = FittedQuantity(quantities()["polarizability"], 0.0, 1.0, dict(configuration.metadata))
    return with_ridge_readouts(model, data, own, configuration)


def polarizabilities(model, data):
    return np.array([model.evaluate(Batch.from_ase(own.atoms), ("polarizability",)).polarizability[0] for own in data])


def random_grams(rows=12, seed=0):
    random = np.random.default_rng(seed)
    features = {name: random.normal(size=(rows, size)) for name, size in (("one", 3), ("two", 5))}
    columns, targets = np.ones((rows, 1)), random.normal(size=(rows, 2)) + 7
    blocks = {name: own @ own.T for name, own in features.items()}
    return Grams(blocks, columns @ columns.T, targets, np.repeat(np.arange(4), rows // 4)), features


def test_what_is_left_out_is_said_by_a_fit_to_the_others():
    grams, _ = random_grams()
    strengths = {"one": 0.3, "two": 2.0}
    covariance = grams.covariance(strengths)
    for group in range(4):
        out, others = grams.groups == group, grams.groups != group
        weights = np.linalg.solve(covariance[np.ix_(others, others)], grams.targets[others])
        predicted = covariance[np.ix_(out, others)] @ weights
        np.testing.assert_allclose(grams.left_out(strengths)[out], grams.targets[out] - predicted, atol=1e-6)


def test_a_block_that_says_nothing_is_left_out():
    random = np.random.default_rng(1)
    useful, noise = random.normal(size=(40, 2)), random.normal(size=(40, 30))
    targets = useful @ [[1.0], [-2.0]] + 0.1 * random.normal(size=(40, 1))
    blocks = {"useful": useful @ useful.T, "noise": noise @ noise.T}
    strengths, error = Grams(blocks, np.zeros((40, 40)), targets, np.arange(40)).choose()
    assert strengths["noise"] < 1e-3 * strengths["useful"] and error < 0.13


@pytest.mark.parametrize("message", [False, True])
def test_features_times_readouts_are_what_the_kernel_says(message):
    model = random_equivariant_model(5, heads=ALL, message=message)
    model = replace(model, heads={n: empty_head(own.order, model.shape) for n, own in model.heads.items()})
    batch, network = Batch.from_ase(random_structure(0, molecules=2)), FeaturesOfNetwork(model)
    sample = np.array([0, 0, 1, -1, 1, 0])
    for quantity, names in (("dipole", ["dipole"]), ("polarizability", PARTS)):
        of_atoms = quantities()[quantity].form.components(values_of_atoms(model, batch, quantity)[0])
        expected = np.array([of_atoms[sample == own].sum(axis=0) for own in (0, 1)])
        found = []
        for name in names:
            order = model.heads[name].order
            total = np.zeros((2, 2 * order + 1))
            for block, features in network.blocks(batch, order, sample, 2).items():
                place = blocks_of(model.equivariant.layers, order)[block]
                layer = model.equivariant.layers[place.layer]
                weights = (layer.tensors if order else layer.scalars)[name][place.is_nonlinear][..., place.columns]
                scale = 1 / GAIN if place.is_nonlinear else 1.0
                total += scale * np.einsum("pmsf,sf->pm", features, weights.reshape(len(weights), -1))
            found.append(total)
        np.testing.assert_allclose(np.concatenate(found, axis=1), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("lines", ['linear = ["polarizability"]', 'species = "shared"'])
def test_the_model_says_what_a_plain_ridge_says(lines, tmp_path):
    """The twin minimises ‖y − X w − C c‖² + Σ_b ‖w_b‖²/strength_b by its own equations, with all features in memory."""
    configuration = configured(tmp_path, lines)
    truth, model = (random_equivariant_model(seed, heads=ALL, message=True) for seed in (5, 6))
    data, others = frames(truth, range(6)), frames(truth, range(20, 22))
    found, told = ridge(configuration, model, data)
    quantity, network, twin = quantities()["polarizability"], FeaturesOfNetwork(model), []
    for irrep in quantity.form.irreps:
        problem = HeadProblem.of(quantity.part(irrep), model, data, configuration)
        keeps, shares = "linear" in lines, "shared" in lines
        fitted, rows = (rows_of(problem, own, network, {}, keeps, shares) for own in (data, data + others))
        size, known = 2 * irrep.order + 1, (2 * irrep.order + 1) * len(data)
        y, columns = rows.weighted(rows.values), rows.constants()
        plain = y - columns @ np.linalg.lstsq(columns[:known], y[:known], rcond=None)[0]
        unit = np.sqrt(np.mean(plain[:known] ** 2))
        parts = []
        for name, strength in solved(fitted).strengths.items():
            of_rows = np.mean(np.sum(fitted.weighted(fitted.blocks[name]) ** 2, axis=1))
            parts.append(rows.weighted(rows.blocks[name]) * np.sqrt(strength / of_rows))
        features = np.concatenate([*parts, 1e4 * columns], axis=1)
        left = np.concatenate([features[:known], np.eye(features.shape[1])])
        right = np.concatenate([plain[:known] / unit, np.zeros((features.shape[1], 1))])
        weights = np.linalg.lstsq(left, right, rcond=1e-15)[0]
        predicted = y - plain + unit * features @ weights
        twin.append(predicted.reshape(-1, size) / rows.scales[:, None])
    volumes = np.array([own.atoms.get_volume() for own in data + others])
    expected = quantity.cell_map.apply(quantity.form.cartesian(np.concatenate(twin, axis=1)), volumes)
    np.testing.assert_allclose(polarizabilities(found, data + others), expected, atol=1e-6)
    assert set(told["strengths"]) == set(PARTS) and told["left_out"] > 0
    if shares:
        skip = found.equivariant.layers[0].scalars[PARTS[0]][0]
        assert skip.any() and (skip == skip[:1]).all()


def test_the_network_is_the_one_that_is_trained_without(tmp_path):
    names = ("dipole", "polarizability")
    truth = random_equivariant_model(5, heads=ALL)
    sets = {"train": frames(truth, range(6), names), "valid": frames(truth, range(20, 22), names)}
    data = FitData(sets, {"training": ["train"], "validation": ["valid"], "independent": []})
    model = fit(configured(tmp_path, "weights = {polarizability = 0}"), data=data)
    other = fit(configured(tmp_path, "weights = {polarizability = 0}", solved=""), data=data)
    assert set(model.equivariant.heads) == {"dipole", *PARTS} and other.equivariant.heads == ("dipole",)
    atoms = random_structure(21, molecules=2)
    turned = atoms.copy()
    turned.rotate(40, (1, 2, 3), rotate_cell=True)
    matrix = np.linalg.lstsq(atoms.cell.array, turned.cell.array, rcond=None)[0].T
    here, there = (model.evaluate(Batch.from_ase(own), names) for own in (atoms, turned))
    np.testing.assert_array_equal(here.dipole, other.evaluate(Batch.from_ase(atoms), names).dipole)
    expected = matrix @ here.polarizability[0] @ matrix.T
    np.testing.assert_allclose(there.polarizability[0], expected, atol=1e-10 * np.abs(expected).max())
    save(model, tmp_path / "kept.safetensors")
    kept = load_model(tmp_path / "kept.safetensors").evaluate(Batch.from_ase(atoms), names)
    np.testing.assert_array_equal(kept.polarizability, here.polarizability)
    said = model.metadata["equivariant"]["network"]["quantities"]["polarizability"]
    errors = polarizabilities(model, sets["valid"]) - [own.labels["polarizability"] for own in sets["valid"]]
    assert said == pytest.approx(np.sqrt(np.mean(errors**2)))
    assert f"readout of the polarizability solved by ridge regression: {said:.3g} Å³ on" in gain_text(model)[-1]


REFUSED = {
    r"ridge_readouts has 'energy' in .equivariant.; allowed are the sections": 'ridge_readouts = ["energy"]',
    r"weights = .* gives no quantity": 'ridge_readouts = ["dipole"]\nweights = {dipole = 0, polarizability = 0}',
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_cannot_be_solved_is_refused(said, tmp_path):
    with pytest.raises(ConfigurationError, match=said):
        configured(tmp_path, REFUSED[said], solved="")


def test_labels_that_do_not_do_are_refused():
    truth = random_equivariant_model(5, heads=ALL)
    polarizability, dipole = (
        FittedQuantity(quantities()[name], length, 1.0, {})
        for name, length in (("polarizability", 0.0), ("dipole", 0.1))
    )
    data = frames(truth, range(6))
    check_labels(polarizability, data)
    with pytest.raises(ConfigurationError, match=r"of which 4 frames have labels; .* at least 5"):
        check_labels(polarizability, data[:4])
    data[0].labels["born_effective_charges"] = np.zeros((6, 3, 3))
    with pytest.raises(ConfigurationError, match=r"1 frames have born_effective_charges.*derivative_length = 0"):
        check_labels(dipole, data)
    many = [replace(data[1], labels={"polarizability": np.zeros((1, 3, 3))})] * 2001
    with pytest.raises(ConfigurationError, match="2001 labels, 5 rows each; allowed are at most 2000"):
        check_labels(polarizability, many)
