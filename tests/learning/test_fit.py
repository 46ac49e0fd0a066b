"""Fitting: features against heads and finite differences, recovery of a known model, and the command."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from beadwise.driver.commands.group import main
from beadwise.learning.data import Frame
from beadwise.learning.fitting.configuration import ConfigurationError, read_configuration
from beadwise.learning.fitting.energy_fit import energy_rows
from beadwise.learning.fitting.fit import fit
from beadwise.learning.fitting.fit_data import file_labels
from beadwise.learning.fitting.least_squares import NormalEquations
from beadwise.model import Batch, load
from beadwise.pyx.tensor_head import feature_sizes, features, head_from_features
from click.testing import CliRunner
from models import random_model

CONFIGURATION = """
[data]
train = ["train.xyz"]
validation = ["valid.xyz"]
[density]
cutoff = 3.0
radial = 3
l_max = 2
[energy]
ridge = 1e-12
[dipole]
l_max = 2
ridge = 1e-12
[polarizability]
l_max = 2
ridge = 1e-12
[repulsion]
strength = 1.0
[output]
model = "fitted.safetensors"
report = "report"
[metadata]
title = "a test"
"""


def molecules(seed, count=3, box=7.0):
    """A few water-like molecules in a periodic box."""
    rng = np.random.default_rng(seed)
    positions = []
    while len(positions) < 3 * count:
        centre = rng.uniform(0, box, 3)
        if all(np.linalg.norm((centre - p + box / 2) % box - box / 2) > 2.4 for p in positions[::3]):
            arms = rng.normal(size=(2, 3))
            arms *= (0.97 + 0.05 * rng.normal(size=2))[:, None] / np.linalg.norm(arms, axis=1)[:, None]
            if np.linalg.norm(arms[0] - arms[1]) > 1.2:
                positions += [centre, centre + arms[0], centre + arms[1]]
    return Atoms("OH2" * count, positions=positions, cell=np.eye(3) * box, pbc=True)


def test_features_and_weights_give_what_the_head_gives():
    model = random_model(radial=3, l_max=3)
    atoms = molecules(0)
    batch = Batch.from_ase(atoms)
    density, species = model.density(batch)[0], model.species_indices(batch.numbers)
    rng = np.random.default_rng(1)
    for order in (0, 1, 2):
        weights = rng.normal(size=model.shape.species * sum(feature_sizes(order, model.shape)))
        head = head_from_features(order, model.shape, weights)
        import twin

        by_head = twin.head_values((order, head.offset, head.linear, unpadded_blocks(head)), species, density).sum(
            axis=0
        )
        np.testing.assert_allclose(features(order, model.shape, density, species) @ weights, by_head, rtol=1e-10)


def test_features_of_frames_without_a_species():
    model = random_model()
    density = model.density(Batch.from_ase(molecules(0)))[0]
    for order in (0, 1, 2):
        size = sum(feature_sizes(order, model.shape))
        alone = features(order, model.shape, density, np.ones(len(density), dtype=int))
        assert alone.shape == (2 * order + 1, 2 * size)
        assert not alone[:, :size].any() and alone[:, size:].any()


def unpadded_blocks(head):
    from beadwise.pyx.coupling import coupling

    return [
        (l1, l2, l1 == l2, coupling(l1, l2, head.order), weights)
        for (l1, l2), weights in zip(head.pairs, head.weights, strict=True)
    ]


def test_derivatives_of_the_features_agree_with_finite_differences():
    model = random_model(radial=3, l_max=3)
    atoms = molecules(3)
    _, gradient, strain = energy_rows(model, Frame(atoms, {}))
    step = 1e-5
    for atom, axis in [(0, 0), (1, 2), (5, 1)]:
        values = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            values.append(energy_rows(model, Frame(moved, {}))[0])
        numerical = (values[0] - values[1]) / (2 * step)
        np.testing.assert_allclose(gradient[3 * atom + axis], numerical, atol=1e-6 * np.abs(gradient).max())
    for a, b in [(0, 0), (0, 1), (2, 1)]:
        values = []
        for sign in (1, -1):
            deformation = np.eye(3)
            deformation[b, a] += sign * step
            moved = atoms.copy()
            moved.set_cell(atoms.cell @ deformation, scale_atoms=True)
            values.append(energy_rows(model, Frame(moved, {}))[0])
        numerical = (values[0] - values[1]) / (2 * step)
        np.testing.assert_allclose(strain[3 * a + b], numerical, atol=1e-6 * np.abs(strain).max())


def test_normal_equations_solve_least_squares():
    rng = np.random.default_rng(0)
    rows, weights = rng.normal(size=(200, 12)) * np.logspace(-3, 3, 12), rng.normal(size=12)
    equations = NormalEquations(12)
    for part in np.array_split(np.arange(200), 7):
        equations.add(rows[part], rows[part] @ weights)
    np.testing.assert_allclose(equations.solve(1e-14), weights, rtol=1e-6)


def write_labelled(path, model, seeds):
    frames = []
    for seed in seeds:
        atoms = molecules(seed)
        response = model.evaluate(Batch.from_ase(atoms), model.properties)
        from ase.calculators.singlepoint import SinglePointCalculator

        stress = -response.virial[0] / atoms.get_volume()
        atoms.calc = SinglePointCalculator(
            atoms, energy=response.energy[0], forces=response.forces[0], stress=stress, dipole=response.dipole[0]
        )
        atoms.info["polarizability"] = response.polarizability[0].ravel()
        frames.append(atoms)
    write(path, frames, format="extxyz")


def test_the_command_recovers_a_model_of_its_own_form(tmp_path):
    truth = random_model(radial=3, l_max=2)
    write_labelled(tmp_path / "train.xyz", truth, range(60))
    write_labelled(tmp_path / "valid.xyz", truth, range(100, 105))
    (tmp_path / "fit.toml").write_text(CONFIGURATION)
    result = CliRunner().invoke(main, ["fit", str(tmp_path / "fit.toml")], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    fitted = load(tmp_path / "fitted.safetensors")
    assert fitted.metadata["title"] == "a test"
    batch = Batch.from_ase(molecules(200))
    expected, received = (m.evaluate(batch, m.properties) for m in (truth, fitted))
    for name, tolerance in [("forces", 1e-2), ("dipole", 1e-3), ("polarizability", 1e-3)]:
        scale = np.abs(expected[name]).max()
        np.testing.assert_allclose(received[name], expected[name], atol=tolerance * scale, err_msg=name)
    assert (tmp_path / "report" / "errors.json").exists()
    assert list((tmp_path / "report").glob("*.png"))
    assert "valid.xyz" in json.loads((tmp_path / "report" / "errors.json").read_text())


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("cutoff = 3.0", "cutof = 3.0"), "unknown key 'cutof' in \\[density\\]"),
        (("cutoff = 3.0", "cutoff = -1"), "cutoff = -1"),
        (("[repulsion]", "[repulsive]"), "unknown section"),
        (('model = "fitted.safetensors"', ""), "needs"),
        (("radial = 3", 'radial = "x"'), "whole number"),
        (
            ('"fitted.safetensors"', '"./train.xyz"'),
            "model = './train.xyz' in \\[output\\] is a file that the fit reads",
        ),
        (('report = "report"', 'report = "valid.xyz"'), "report = 'valid.xyz' in \\[output\\] is a file that the fit"),
        (('"train.xyz"]\n', '"fitted.safetensors@0:5"]\n'), "model = 'fitted.safetensors' in \\[output\\] is a file"),
        (("radial = 3", "radial = 6\nchemical_channels = 3"), "make 18 functions; allowed are 1 to 16"),
        (
            ("radial = 3", "radial = 3\ndecay_power = 0.5"),
            "decay_power = 0.5 in \\[density\\]; it must be 0, or 1 or more",
        ),
    ],
)
def test_a_wrong_configuration_is_refused(tmp_path, change, complaint):
    path = tmp_path / "fit.toml"
    path.write_text(CONFIGURATION.replace(*change))
    with pytest.raises(ConfigurationError, match=complaint):
        read_configuration(path)
    result = CliRunner().invoke(main, ["fit", str(path)])
    assert result.exit_code == 2


def test_guards_of_single_pairs(tmp_path):
    write_labelled(tmp_path / "train.xyz", random_model(), range(2))
    write_labelled(tmp_path / "valid.xyz", random_model(), range(2))
    own = "[repulsion]\nonset_fractions = {H-O = 0.5}\nstrengths = {O-O = 7.0}\n"
    (tmp_path / "fit.toml").write_text(CONFIGURATION.replace("[repulsion]\n", own))
    assert CliRunner().invoke(main, ["fit", str(tmp_path / "fit.toml")]).exit_code == 0
    np.testing.assert_array_equal(load(tmp_path / "fitted.safetensors").repulsion.strength, [[1, 1], [1, 7]])
    for wrong, said in (
        ("{O-C = 7.0}", "strengths in [repulsion] names the pair 'O-C'"),
        ("{H-O = 7.0, O-H = 8.0}", "strengths in [repulsion] names 'H-O' and 'O-H', which are one pair"),
    ):
        (tmp_path / "fit.toml").write_text(CONFIGURATION.replace("[repulsion]\n", own.replace("{O-O = 7.0}", wrong)))
        result = CliRunner().invoke(main, ["fit", str(tmp_path / "fit.toml")])
        assert result.exit_code == 2 and said in result.stderr


def test_a_head_cannot_stop_below_its_own_angular_momentum(tmp_path):
    write_labelled(tmp_path / "train.xyz", random_model(), range(2))
    write_labelled(tmp_path / "valid.xyz", random_model(), range(2))
    (tmp_path / "fit.toml").write_text(
        CONFIGURATION.replace("[polarizability]\nl_max = 2", "[polarizability]\nl_max = 1")
    )
    result = CliRunner().invoke(main, ["fit", str(tmp_path / "fit.toml")])
    assert result.exit_code == 2
    assert "l_max = 1 of the polarizability_anisotropic head; allowed are 2" in result.stderr


def test_files_of_the_same_name_keep_their_own_label(tmp_path):
    text = CONFIGURATION.replace('["train.xyz"]', '["a/water.xyz", "b.xyz"]').replace(
        '["valid.xyz"]', '["c/water.xyz"]'
    )
    (tmp_path / "fit.toml").write_text(text)
    labels = file_labels(read_configuration(tmp_path / "fit.toml"))
    assert labels == {"c/water.xyz": "c/water.xyz", "a/water.xyz": "a/water.xyz", "b.xyz": "b.xyz"}


def test_a_missing_validation_file_is_found_before_the_fit(tmp_path):
    write_labelled(tmp_path / "train.xyz", random_model(), range(2))
    (tmp_path / "fit.toml").write_text(CONFIGURATION)
    result = CliRunner().invoke(main, ["fit", str(tmp_path / "fit.toml")])
    assert result.exit_code == 2 and "valid.xyz' does not exist" in result.stderr
    assert not (tmp_path / "fitted.safetensors").exists()


def test_species_can_share_chemical_channels(tmp_path):
    write_labelled(tmp_path / "train.xyz", random_model(), range(30))
    (tmp_path / "valid.xyz").write_bytes((tmp_path / "train.xyz").read_bytes())
    path = tmp_path / "fit.toml"
    path.write_text(CONFIGURATION.replace("radial = 3", "radial = 3\nchemical_channels = 2"))
    shared = fit(read_configuration(path))
    assert shared.groups == (0, 0)
    assert shared.shape.channels == 6
    # Two channels for two species span what separate densities do: another form of the same model.
    path.write_text(CONFIGURATION)
    separate = fit(read_configuration(path))
    atoms = molecules(50)
    forces = [model.evaluate(Batch.from_ase(atoms), ("forces",)).forces for model in (shared, separate)]
    np.testing.assert_allclose(*forces, atol=1e-3 * np.abs(forces[1]).max())
