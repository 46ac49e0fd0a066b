"""Polarizabilities of molecules in each other's field as labels: local values are found; errors are those of labels."""

from dataclasses import replace

import numpy as np
import pytest
from beadwise.learning.data import DataError
from beadwise.learning.fitting.configuration import ConfigurationError, read_configuration
from beadwise.learning.fitting.fit import error_reports, fit
from beadwise.model import Batch, StructureError, load, save
from beadwise.model.evaluators import load_evaluator
from beadwise.model.field_inside import DipoleInteraction, FieldInside, local_of_symmetric
from models import random_model, random_structure

SCREENED = "screened_polarizability"
OHH = {"repeating_unit": "OHH"}


def sites(count=6):
    random = np.random.default_rng(1)
    cell = np.diag([7.0, 8.0, 9.0]) + 0.5 * random.normal(size=(3, 3))
    grid = np.array([[x, y, z] for x in (0, 0.5) for y in (0, 0.5) for z in (0, 0.5)])[:count]
    local = np.array([1.2 * np.eye(3) + m @ m.T for m in 0.3 * random.normal(size=(count, 3, 3))])
    return grid @ cell + 0.3 * random.normal(size=(count, 3)), cell, local


@pytest.mark.parametrize("periodic", [True, False])
def test_local_values_of_symmetric_labels(periodic):
    """The antisymmetric parts, which no program writes, are found with them."""
    places, cell, local = sites()
    interaction = DipoleInteraction(places, cell, periodic)
    parts = FieldInside(interaction, local).parts
    assert np.abs(parts - parts.swapaxes(1, 2)).max() > 1e-3
    labels = 0.5 * (parts + parts.swapaxes(1, 2))
    np.testing.assert_allclose(local_of_symmetric(interaction, labels), local, atol=1e-7)


def test_labels_that_nothing_gives():
    places, cell, local = sites()
    with pytest.raises(StructureError, match="must be positive"):
        local_of_symmetric(DipoleInteraction(places, cell), -local)


@pytest.fixture
def truth(tmp_path):
    """A model of local values that see each other."""
    model = random_model(1, metadata={**OHH, "field_inside": {"damping": 0.5}})
    own = model.heads["polarizability_isotropic"]
    heads = {**model.heads, "polarizability_isotropic": replace(own, offset=np.array([0.2, 1.0]))}
    save(replace(model, heads=heads), tmp_path / "truth.safetensors")
    return load_evaluator(f"field-inside:{tmp_path / 'truth.safetensors'}")


def configured(folder, truth, more="field_inside = {damping = 0.5}", **changed):
    frames = [random_structure(seed, 2) for seed in range(14)]
    labels = [truth.evaluate(Batch.from_ase(atoms), (SCREENED,))[SCREENED][0] for atoms in frames]
    arrays = {
        "positions": np.array([atoms.positions for atoms in frames]),
        "cell": np.array([atoms.cell.array for atoms in frames]),
        "alphas": np.array(labels),
        **changed,
    }
    np.savez(folder / "train.npz", **arrays)
    (folder / "fit.toml").write_text(
        '[data]\ntrain = ["train.npz"]\nspecies = "OHH"\nkeys = {screened_polarizability = "alphas"}\n[density]\n'
        "cutoff = 3.0\nradial = 3\nl_max = 2\n[polarizability]\nl_max = 2\nridge = 1e-12\n[metadata]\n"
        f'repeating_unit = "OHH"\n{more}\n[output]\nmodel = "model.safetensors"\n'
    )
    return read_configuration(folder / "fit.toml")


def test_a_fit_finds_local_values(tmp_path, truth):
    configuration = configured(tmp_path, truth)
    model = fit(configuration)
    save(model, tmp_path / "model.safetensors")
    found = load_evaluator(f"field-inside:{tmp_path / 'model.safetensors'}")
    want = ("polarizability", SCREENED, "molecular_polarizability")
    batch = Batch.from_ase(random_structure(50, 2))
    received, expected = (one.evaluate(batch, want) for one in (found, truth))
    for name in want:
        np.testing.assert_allclose(received[name], expected[name], atol=3e-3 * np.abs(expected[name]).max())
    np.testing.assert_allclose(received[SCREENED].sum(axis=1), received.polarizability, atol=1e-12)
    assert SCREENED not in load(tmp_path / "model.safetensors").properties
    (report,) = error_reports(model, configuration).values()
    assert report.properties[SCREENED].percent_error < 1


def test_what_is_refused(tmp_path, truth):
    with pytest.raises(ConfigurationError, match="has the field of all molecules in it; a fit makes local values"):
        fit(configured(tmp_path, truth, more=""))
    whole = {"polarizability": np.tile(np.eye(3), (14, 1, 1))}
    with pytest.raises(ConfigurationError, match=r"polarizability of frame 0 .* is of several molecules"):
        fit(configured(tmp_path, truth, **whole))
    with pytest.raises(DataError, match=r"screened_polarizability of frame 0 .* must be positive"):
        fit(configured(tmp_path, truth, alphas=np.tile(-np.eye(3), (14, 2, 1, 1))))
