"""Fitting a network: the density as a function of torch, its plain twin, and a fit that recovers a known network."""

import re
from dataclasses import replace

import numpy as np
import pytest
from beadwise.learning.data import Frame
from beadwise.learning.fitting.configuration import (
    ConfigurationError,
    EnergySettings,
    NetworkSettings,
    read_configuration,
)
from beadwise.learning.fitting.fit import fit
from beadwise.model import Batch
from models import labelled, random_model, random_structure

torch = pytest.importorskip("torch", reason="torch is not installed; only fits of networks need it")

from beadwise.learning.fitting.density_function import DensityFunction, Structure  # noqa: E402
from beadwise.learning.fitting.network_fit import Network, Residual, feature_scales, fit_network, loss_of  # noqa: E402
from beadwise.learning.fitting.torch_density import torch_density  # noqa: E402

SETTINGS = EnergySettings(energy_error=0.001, force_error=0.05, stress_error=0.001)


def frames(model, count, first=0):
    out = []
    for seed in range(first, first + count):
        atoms = labelled(model, random_structure(seed, molecules=2))
        stress = -model.evaluate(Batch.from_ase(atoms), ("virial",)).virial[0] / atoms.get_volume()
        labels = {"energy": np.array(atoms.get_potential_energy()), "forces": atoms.get_forces(), "stress": stress}
        out.append(Frame(atoms, labels))
    return out


@pytest.mark.parametrize("groups", [(), (0, 0)])
def test_plain_torch_density_equals_the_kernel(groups):
    model, atoms = random_model(radial=4, l_max=4, groups=groups), random_structure(1)
    plain = torch_density(model, atoms, torch.from_numpy(atoms.positions))
    np.testing.assert_allclose(plain.numpy(), model.density(Batch.from_ase(atoms))[0], rtol=1e-12, atol=1e-12)


def test_derivatives_through_the_kernel_equal_those_of_plain_torch():
    model, atoms = random_model(radial=4, l_max=3), random_structure(2)
    structure = Structure.of(model, Batch.from_ase(atoms))
    generator = torch.Generator().manual_seed(0)
    shape = (len(atoms), model.shape.harmonics, model.shape.channels)
    inner = torch.randn(shape, dtype=torch.float64, generator=generator)
    outer = torch.randn(len(atoms), 3, dtype=torch.float64, generator=generator)
    strained = torch.randn(3, 3, dtype=torch.float64, generator=generator)
    results = []
    for compiled in (True, False):
        positions = torch.tensor(atoms.positions, requires_grad=True)
        strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
        scale = inner.clone().requires_grad_(True)
        if compiled:
            density = DensityFunction.apply([structure], positions, strain[None])
        else:
            density = torch_density(model, atoms, positions, strain)
        # A quadratic functional, whose gradient depends on the density and on what is fitted.
        gradients = torch.autograd.grad((scale * density).sum(), (positions, strain), create_graph=True)
        loss = (gradients[0] * outer).sum() + (gradients[1] * strained).sum()
        results.append((*(g.detach() for g in gradients), torch.autograd.grad(loss, scale)[0]))
    for compiled, plain in zip(*results, strict=True):
        np.testing.assert_allclose(compiled.numpy(), plain.numpy(), rtol=1e-10, atol=1e-10)


def test_the_loss_is_that_of_the_fitted_model():
    truth = random_model(5, hidden=(4, 3), heads=("energy",))
    model = random_model(6, heads=("energy",))
    residuals = [Residual.of(model, frame, SETTINGS) for frame in frames(truth, 3)]
    network = Network(model.shape, (4, 3), *feature_scales(model, residuals))
    torch.nn.init.normal_(network.final)
    fitted = replace(model, network=network.fitted())
    expected = 0.0
    for frame in frames(truth, 3):
        atoms, volume = len(frame.atoms), frame.atoms.get_volume()
        answer = fitted.evaluate(Batch.from_ase(frame.atoms), ("energy", "forces", "virial"))
        squares = (
            (answer.energy[0] - frame.labels["energy"]) ** 2 / (SETTINGS.energy_error**2 * atoms)
            + np.sum((answer.forces[0] - frame.labels["forces"]) ** 2) / SETTINGS.force_error**2
            + np.sum((answer.virial[0] / volume + frame.labels["stress"]) ** 2) / SETTINGS.stress_error**2
        )
        expected += squares / (3 * atoms * 3)
    np.testing.assert_allclose(float(loss_of(network, residuals).detach()), expected, rtol=1e-4)


def test_a_fit_learns_what_the_linear_part_cannot():
    truth = random_model(5, hidden=(4,), heads=("energy",))
    truth.network = replace(truth.network, final=10 * truth.network.final)
    model, training, steps = replace(truth, network=None), frames(truth, 2), []
    settings = NetworkSettings(hidden=[16], epochs=250, batch=2, learning_rate=0.01)
    expected_errors = EnergySettings(energy_error=0.1, force_error=0.1, stress_error=0.1)
    fitted = fit_network(model, training, expected_errors, settings, lambda *told: steps.append(told))
    assert steps[0] == ("energy network", 0, 250)
    label, done, total, detail = steps[-1]
    assert (label, done, total) == ("energy network", 250, 250) and re.fullmatch(r"pass 250 of 250, loss \S+", detail)

    def force_error(which):
        answers = [which.evaluate(Batch.from_ase(frame.atoms), ("forces",)).forces[0] for frame in training]
        return np.sqrt(np.mean([(a - f.labels["forces"]) ** 2 for a, f in zip(answers, training, strict=True)]))

    assert force_error(fitted) < 0.4 * force_error(model)


def test_features_that_never_varied_do_not_count_elsewhere():
    truth = random_model(5, hidden=(4,), heads=("energy",))
    model, alone = replace(truth, network=None), []
    for seed in range(6):
        atoms = random_structure(seed, molecules=1)
        atoms.set_cell(np.eye(3) * 30.0)  # one oxygen, so that nothing between oxygens is ever seen
        alone.append(Frame(atoms, {"energy": np.array(labelled(truth, atoms).get_potential_energy())}))
    settings = NetworkSettings(hidden=[6], epochs=3, batch=2)
    network = fit_network(model, alone, SETTINGS, settings).network
    between_oxygens = model.shape.radial  # the first channel of the neighbour species O
    assert np.all(network.layers[0][0][1, between_oxygens] == 0)
    assert np.isfinite(network.layers[0][0]).all() and np.any(network.layers[0][0][1, 0] != 0)


def test_a_fit_that_was_stopped_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("beadwise.learning.fitting.checkpoint.SECONDS", 0.0)
    model, training = random_model(5, heads=("energy",)), frames(random_model(5, hidden=(4,), heads=("energy",)), 3)
    settings, steps = NetworkSettings(hidden=[3], epochs=6, batch=2), []

    def fitted(tell=None, kept=None):
        return fit_network(model, training, SETTINGS, settings, tell, kept=kept).network

    def stop(label, done, total, detail=""):
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fitted(stop, tmp_path / "training.pt")
    again = fitted(lambda label, done, total, detail="": steps.append(done), tmp_path / "training.pt")
    assert steps[1] == 7
    np.testing.assert_array_equal(again.final, fitted().final)


def test_a_fit_that_diverges_is_refused():
    model, training = random_model(5, heads=("energy",)), frames(random_model(5, hidden=(4,), heads=("energy",)), 2)
    settings = NetworkSettings(hidden=[3], epochs=200, batch=1, learning_rate=1e30)
    with pytest.raises(ConfigurationError, match="diverged"):
        fit_network(model, training, SETTINGS, settings)


def test_the_same_seed_gives_the_same_network():
    model, training = random_model(5, heads=("energy",)), frames(random_model(5, hidden=(4,), heads=("energy",)), 2)
    settings = NetworkSettings(hidden=[3], epochs=2, batch=1)
    first, second = (fit_network(model, training, SETTINGS, settings).network.final for _ in range(2))
    np.testing.assert_array_equal(first, second)


def write_configuration(folder, network):
    from ase.io import write

    truth = random_model(5, hidden=(4,), heads=("energy",))
    write(folder / "frames.xyz", [labelled(truth, random_structure(seed)) for seed in range(3)])
    path = folder / "fit.toml"
    path.write_text(
        '[data]\ntrain = ["frames.xyz"]\n[density]\ncutoff = 3.0\nradial = 3\nl_max = 2\n[energy]\n'
        f'{network}\n[output]\nmodel = "model.safetensors"\n',
        encoding="utf-8",
    )
    return path


def test_a_configuration_with_a_network_is_fitted(tmp_path):
    path = write_configuration(tmp_path, "[network]\nhidden = [4, 4]\nepochs = 1\nbatch = 3")
    names = []
    model = fit(read_configuration(path), lambda name, *told: names.append(name))
    assert model.network.widths == (4, 4)
    assert names[-1] == "energy network"


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("[network]", r"\[network\] needs \['hidden'\]"),
        ("[network]\nhidden = []", "hidden = "),
        ("[network]\nhidden = [4.5]", r"it must be a list of one or more whole numbers of at least 1"),
        ("[network]\nhidden = [4]\nepochs = 0", "it must be a whole number of at least 1"),
    ],
)
def test_wrong_network_settings_are_refused(tmp_path, network, message):
    with pytest.raises(ConfigurationError, match=message):
        read_configuration(write_configuration(tmp_path, network))
