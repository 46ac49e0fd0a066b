"""Starting an equivariant network from one that was fitted: the same function, with constants of its own."""

from dataclasses import replace

import numpy as np
import pytest
from beadwise.learning.data import Frame
from beadwise.learning.fitting.configuration import ConfigurationError, EnergySettings, EquivariantSettings
from beadwise.model import Batch
from beadwise.model.outputs import empty_head
from models import random_model, random_structure

torch = pytest.importorskip("torch", reason="torch is not installed; only fits of networks need it")

from beadwise.learning.fitting.density_function import Structure  # noqa: E402
from beadwise.learning.fitting.equivariant.starting import take  # noqa: E402
from beadwise.learning.fitting.equivariant.surroundings import gather  # noqa: E402
from beadwise.learning.fitting.equivariant.torch_network import TorchEquivariant  # noqa: E402
from beadwise.learning.fitting.equivariant.training import fit_equivariant  # noqa: E402

EXPECTED = EnergySettings(energy_error=0.02, force_error=0.1)
SETTINGS = EquivariantSettings(channels=8, l_max=2, hidden=[8], epochs=1, learning_rate=1e-9, sent=8, start="old.st")


def bare():
    model = random_model(5, heads=("energy",))
    return replace(model, heads={"energy": empty_head(0, model.shape)})


def frames(model, shift=0.0):
    out = []
    for seed in range(3):
        atoms = random_structure(seed, molecules=1 + seed)
        answer = model.evaluate(Batch.from_ase(atoms), ("energy", "forces"))
        out.append(Frame(atoms, {"energy": answer.energy[0] + shift * len(atoms), "forces": answer.forces[0]}))
    return out


def first_fit(**more):
    data = frames(random_model(5, heads=("energy",)))
    return fit_equivariant(bare(), data, EXPECTED, replace(SETTINGS, start="", learning_rate=0.01, **more))


@pytest.mark.parametrize("is_shared", [False, True])
@pytest.mark.parametrize("sent", [0, 8])
def test_it_has_the_weights_of_the_other(sent, is_shared):
    model, heads = random_model(3, heads=("energy", "dipole")), {"energy": 0, "dipole": 1}
    like = torch.zeros(1, dtype=torch.float64)
    gathered = gather(model, [Structure.of(model, Batch.from_ase(random_structure(0, molecules=3)))], 2, like)
    fitted = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        network = TorchEquivariant(model, 8, 2, (5, 6), heads, sent, 1, is_shared).double()
        for own in (*network.layers[0].linear.values(), *network.layers[-1].nonlinear.values()):
            torch.nn.init.normal_(own)
        network.measure(gathered, dict.fromkeys(heads, 0.3))
        if seed:
            take(network, fitted[0], gathered, dict.fromkeys(heads, 0.7))
        fitted.append(network.fitted()[0])
    for one, other in zip(*(own.arrays() for own in fitted), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_it_starts_where_the_other_ended_and_takes_energies_of_another_level():
    old = first_fit()
    data = frames(old, shift=100.0)
    new = fit_equivariant(bare(), data, EXPECTED, SETTINGS, start=old)
    for frame in data:
        answer = new.evaluate(Batch.from_ase(frame.atoms), ("energy", "forces"))
        np.testing.assert_allclose(answer.forces[0], frame.labels["forces"], atol=2e-4)
        assert answer.energy[0] == pytest.approx(float(frame.labels["energy"]), abs=1e-3)


def test_another_kind_is_refused():
    data, old = frames(random_model(5, heads=("energy",))), first_fit(sent=0)
    with pytest.raises(ConfigurationError, match=r"start = 'old.st' in .equivariant. has sent = 0; the config.* has 8"):
        fit_equivariant(bare(), data, EXPECTED, SETTINGS, start=old)
    with pytest.raises(ConfigurationError, match=r"start = 'old.st' in .equivariant. has no equivariant network"):
        fit_equivariant(bare(), data, EXPECTED, SETTINGS, start=bare())


def test_weights_of_each_species_are_no_shared_ones():
    data, own = frames(random_model(5, heads=("energy",))), first_fit(epochs=1)
    shared = replace(SETTINGS, species="shared")
    with pytest.raises(ConfigurationError, match=r"weights of each species.* say species = 'own'"):
        fit_equivariant(bare(), data, EXPECTED, shared, start=own)
    fit_equivariant(bare(), data, EXPECTED, SETTINGS, start=first_fit(epochs=1, species="shared"))
