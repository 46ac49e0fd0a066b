"""The fit of a correction to noisy forces: what is noise, what is known, and the file of parts."""

import numpy as np
import pytest
from beadwise.learning.centroid.correction import CorrectionErrors, fit_correction
from beadwise.learning.centroid.frames import check_potential, frames_of
from beadwise.learning.centroid.parts import write_parts
from beadwise.learning.data import DataError
from beadwise.learning.fitting.sections import DensitySettings
from beadwise.model import Batch, save
from beadwise.model.evaluators import load_evaluator
from beadwise.model.training.centroid_force import temperature_of_centroids
from toy import Toy, water

NOISE = 0.2  # eV/Å


@pytest.fixture(scope="module")
def fitted():
    """Forces of pairs, that the density knows well, with noise: 60 frames of two molecules of water."""
    rng = np.random.default_rng(2)
    start = water(0)
    positions = start.positions + rng.normal(0, 0.08, (60, 6, 3))
    cells = np.repeat(start.cell.array[None], 60, axis=0)
    clean = frames_of(start.numbers, positions, cells, np.zeros_like(positions))
    exact = np.array([Toy().evaluate(Batch.from_ase(one.atoms), ("forces",)).forces[0] for one in clean])
    noisy = exact + NOISE * rng.normal(size=exact.shape)
    frames = frames_of(start.numbers, positions, cells, noisy)
    density = DensitySettings(cutoff=3.5, radial=4, l_max=2)
    model, errors = fit_correction(frames, density, {"title": "test", "pigs": {"temperature": 500.0}})
    return frames, exact, model, errors


def test_noise_and_error_are_told_apart(fitted):
    frames, exact, model, errors = fitted
    found = np.array([model.evaluate(Batch.from_ase(one.atoms), ("forces",)).forces[0] for one in frames])
    actual = np.sqrt(np.square(found - exact).mean())
    assert errors.noise == pytest.approx(NOISE, rel=0.15)
    assert 0.4 < errors.statistical / actual < 2.5
    assert actual < 0.6 * NOISE < errors.residual and errors.residual > errors.statistical
    assert errors.scatter**2 == pytest.approx(np.square(exact).mean() + NOISE**2, rel=0.1)
    assert "of which" in errors.lines[1] and model.metadata["pigs"]["noise"] == errors.noise
    assert temperature_of_model(model) == 500.0


def temperature_of_model(model):
    return model.metadata["pigs"]["temperature"]


def test_a_correction_that_is_hardly_known_is_warned_of():
    poor = CorrectionErrors(0.1, 0.3, 0.3, 0.05, 0.5, 1e-4, 20)
    assert "known to 50 % only" in poor.warnings[0] and "slope" in poor.warnings[1]
    assert not CorrectionErrors(0.1, 0.3, 0.3, 0.01, 1.0, 1e-4, 20).warnings


def test_a_file_of_parts_adds_the_correction(fitted, tmp_path):
    frames, _, correction, _ = fitted
    save(correction, tmp_path / "c.safetensors")
    write_parts(tmp_path / "m.toml", "qtip4pf", tmp_path / "c.safetensors", 500.0, ("energy", "forces", "dipole"))
    assert temperature_of_centroids(tmp_path / "m.toml") == temperature_of_centroids(tmp_path / "c.safetensors") == 500
    assert temperature_of_centroids("water") is None and temperature_of_centroids("qtip4pf") is None
    both = f"committee:{tmp_path / 'c.safetensors'},{tmp_path / 'c.safetensors'}"
    assert temperature_of_centroids(both) == 500
    parts = str(tmp_path / "m.toml")
    for several in (f"committee:{parts},{parts}", f"mixture:{parts}"):  # they end in .toml, too
        assert temperature_of_centroids(several) == 500
    # what is no file of ours is for those to refuse who load it
    assert temperature_of_centroids("mace:x.safetensors") is None and temperature_of_centroids("x.safetensors") is None
    whole, batch = load_evaluator(tmp_path / "m.toml"), Batch.from_ase(frames[0].atoms)
    own = ("energy", "forces", "virial")
    found, added = whole.evaluate(batch, own), correction.evaluate(batch, own)
    potential = load_evaluator("qtip4pf").evaluate(batch, own)
    for name in own:
        np.testing.assert_allclose(found[name], potential[name] + added[name], rtol=1e-12, atol=1e-12)


def test_another_potential_is_refused(fitted):
    frames, exact, _, _ = fitted
    arrays = [np.array([getattr(one.atoms, name) for one in frames]) for name in ("positions", "cell")]
    check_potential(Toy(), "toy", frames[0].atoms.numbers, *arrays, exact)
    with pytest.raises(DataError, match="forces of 'toy' differ from the classical forces of the run by"):
        check_potential(Toy(), "toy", frames[0].atoms.numbers, *arrays, exact + 0.1)
    with pytest.raises(DataError, match="by nan eV"):
        check_potential(Toy(), "toy", frames[0].atoms.numbers, *arrays, exact + np.nan)
