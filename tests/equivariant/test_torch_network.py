"""The twin in torch of an equivariant network: what it becomes is the same function, and so are its derivatives."""

from dataclasses import replace

import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from beadwise.model import Batch
from equivariant_model_twin import outputs
from models import random_model, random_structure

torch = pytest.importorskip("torch", reason="torch is not installed; only fits of networks need it")

from beadwise.learning.fitting.density_function import Structure  # noqa: E402
from beadwise.learning.fitting.equivariant.surroundings import (  # noqa: E402
    gather,
    gradient_matrices,
    harmonics_and_slopes,
    pairs_of,
)
from beadwise.learning.fitting.equivariant.torch_network import TorchEquivariant  # noqa: E402
from beadwise.learning.fitting.torch_density import torch_harmonics  # noqa: E402

CASES = {
    "no message": {},
    "shared channels": {"model": {"groups": (0, 0), "radial": 5}},
    "shared weights": {"is_shared": True},
    "shared weights and messages": {"is_shared": True, "sent": 8},
    "message": {"sent": 8, "l_sent": 1},
    "message of higher l": {"sent": 8, "l_sent": 2, "l_max": 3, "model": {"l_max": 3}},
    "energies alone": {"heads": {"energy": 0}, "sent": 8, "l_sent": 0},
}


def structures(model, frames):
    return [Structure.of(model, Batch.from_ase(atoms)) for atoms in frames]


def case(model=None, heads=None, sent=0, l_sent=1, l_max=2, is_shared=False):
    heads = heads or {"energy": 0, "dipole": 1}
    model = random_model(3, heads=tuple(heads), **(model or {}))
    torch.manual_seed(0)
    network = TorchEquivariant(model, 8, l_max, (5, 6), heads, sent, l_sent, is_shared)
    for layer in network.layers:
        for readout in (layer.linear, layer.nonlinear):
            for own in readout.values():
                torch.nn.init.normal_(own)
    frames = [random_structure(seed, molecules=2 + seed) for seed in (0, 1)]
    network.double()
    like = torch.zeros(1, dtype=torch.float64)
    gathered = gather(model, structures(model, frames), l_max, like)
    network.measure(gathered, {name: 0.3 for name in heads})
    return model, network, frames, gathered


@pytest.mark.parametrize("name", CASES)
def test_it_becomes_the_same_function(name):
    model, network, frames, gathered = case(**CASES[name])
    found = network(gathered)
    fitted, constants = network.fitted()
    whole = replace(model, equivariant=fitted)
    answers = [outputs(whole, atoms) for atoms in frames]
    for head, own in found.items():
        expected = np.concatenate([answer[head] for answer in answers])[gathered.order.numpy()]
        if head in constants:
            expected = expected + constants[head][gathered.species.numpy()][:, None]
        np.testing.assert_allclose(own.detach().numpy(), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", ["shared channels", "message"])
def test_its_gradients_are_derivatives(name):
    model, network, frames, gathered = case(**CASES[name])
    energy = network(gathered)["energy"].sum()
    slopes = torch.autograd.grad(energy, (gathered.radial, gathered.harmonics))
    positions, strains = (own.detach().numpy() for own in gathered.gradients(*slopes))
    like, step = torch.zeros(1, dtype=torch.float64), 1e-4

    def energy_of(atoms):
        energies = network(gather(model, structures(model, [atoms]), network.l_max, like))["energy"]
        return float(energies.detach().sum())

    row = int(np.argmax(gathered.order.numpy() == 4))  # an atom of the first frame
    values, strained = [], []
    for sign in (1, -1):
        moved = frames[0].copy()
        moved.positions[4, 1] += sign * step
        values.append(energy_of(moved))
        bent = frames[0].copy()
        strain = np.eye(3)
        strain[0, 1] += sign * step
        bent.set_cell(bent.cell.array @ strain.T, scale_atoms=True)
        strained.append(energy_of(bent))
    assert positions[row, 1] == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-5, abs=1e-6)
    assert strains[0, 0, 1] == pytest.approx((strained[0] - strained[1]) / (2 * step), rel=1e-5, abs=1e-6)


def test_species_share_weights_but_not_what_they_are():
    _, network, _, _ = case(is_shared=True, sent=8)
    layer = network.fitted()[0].layers[1]
    shared = layer.mixing, layer.hidden[0][0], layer.hidden[1][0], *layer.scalars["energy"], *layer.tensors["dipole"]
    for own in shared:
        np.testing.assert_array_equal(own[0], own[1])
    assert np.all(layer.contraction[0] != layer.contraction[1])
    assert np.all(layer.three[0] != layer.three[1])
    message = network.fitted()[0].message
    assert message.radial.shape[:2] == (2, 2)
    np.testing.assert_array_equal(message.radial[0, 0], message.radial[1, 0])


def test_harmonics_have_their_derivatives():
    vectors = torch.tensor(np.random.default_rng(1).normal(size=(5, 3)), requires_grad=True)
    harmonics, slopes = harmonics_and_slopes(vectors.detach(), 4)
    expected = torch_harmonics(vectors / vectors.norm(dim=1, keepdim=True), 4)
    np.testing.assert_allclose(harmonics.numpy(), expected.detach().numpy().T, atol=1e-12)
    for place in range(1, 25):
        (own,) = torch.autograd.grad(expected[:, place].sum(), vectors, retain_graph=True)
        np.testing.assert_allclose(slopes[:, place].numpy().T, own.numpy(), atol=1e-9)
    assert gradient_matrices(2).shape == (3, 9, 9)


@pytest.mark.parametrize("periodic", [True, False], ids=["periodic", "isolated"])
def test_pairs_are_those_of_ase(periodic):
    model, atoms = case()[0], random_structure(1, molecules=3)
    atoms.pbc = periodic
    found = pairs_of(Structure.of(model, Batch.from_ase(atoms)))
    expected = neighbor_list("ijD", atoms, model.radial.cutoff)
    rows = [np.lexsort((*own[2].T.round(9), own[1], own[0])) for own in (found, expected)]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one[rows[0]], other[rows[1]], atol=1e-12)
