"""Charges that an equivariant network gives: a part of its dipole, in fits and in what their models answer."""

from dataclasses import replace

import equivariant_model_twin
import numpy as np
import pytest
from ase.io import write
from beadwise.learning.data import DataError, Frame
from beadwise.learning.fitting.configuration import ConfigurationError, read_configuration
from beadwise.learning.fitting.fit import fit
from beadwise.model import Batch, StructureError, save
from beadwise.model.charges.evaluator import WithCharges
from beadwise.model.evaluators import load_evaluator
from beadwise.model.files import load_model
from beadwise.model.outputs import empty_head
from beadwise.properties.quantities import quantities
from equivariant_models import random_equivariant_model
from models import random_structure

torch = pytest.importorskip("torch", reason="torch is not installed; only fits of networks need it")

from beadwise.learning.fitting.equivariant.objective import Objective, examples_of  # noqa: E402
from beadwise.learning.fitting.equivariant.quantity_labels import FittedQuantity  # noqa: E402
from beadwise.learning.fitting.equivariant.surroundings import gather  # noqa: E402
from beadwise.learning.fitting.equivariant.torch_network import TorchEquivariant  # noqa: E402
from beadwise.learning.fitting.equivariant.training import units_of_heads  # noqa: E402

FORM = {"kind": "plain", "energy": "none", "boundary": "vacuum"}
DIPOLE = quantities()["dipole"]
HEADS = ("energy", "partial_charges", "dipole")
WANT = ("dipole", "born_charges", "partial_charges")


def structure(seed=0, molecules=2):
    atoms = random_structure(seed, molecules=molecules)
    atoms.pbc = False
    return atoms


def with_network(message, seed=3, total=0.0):
    """A model whose charges and local vectors all come from its network."""
    metadata = {"charges": {**FORM, "totals": [total]}}
    model = random_equivariant_model(seed, heads=HEADS, message=message, metadata=metadata)
    heads = {name: empty_head(head.order, model.shape) for name, head in model.heads.items()}
    return WithCharges(replace(model, heads=heads))


def frames(evaluator, count, first=0):
    found = []
    for seed in range(first, first + count):
        atoms = structure(seed)
        answer = evaluator.evaluate(Batch.from_ase(atoms), WANT)
        labels = {"dipole": answer.dipole[0], "born_effective_charges": answer.born_charges[0]}
        found.append(Frame(atoms, labels))
    return found


@pytest.mark.parametrize("total", [0.0, -1.0])
@pytest.mark.parametrize("message", [False, True])
def test_dipoles_are_those_of_charges_and_local_vectors(message, total):
    evaluator, atoms = with_network(message, total=total), structure()
    found = evaluator.evaluate(Batch.from_ase(atoms), WANT)
    own = equivariant_model_twin.outputs(evaluator.model, atoms)
    charges = own["partial_charges"][:, 0]
    charges = charges - charges.mean() + total / len(atoms)
    np.testing.assert_allclose(found.partial_charges[0], charges, atol=1e-12)
    vectors = DIPOLE.form.cartesian(own["dipole"]).sum(axis=0)
    np.testing.assert_allclose(found.dipole[0], charges @ atoms.positions + vectors, atol=1e-11)
    assert np.abs(charges @ (atoms.positions - atoms.positions.mean(axis=0))).max() > 0.05
    np.testing.assert_allclose(found.born_charges[0].sum(axis=0), total * np.eye(3), atol=1e-11)
    for atom, axis in ((0, 0), (4, 1)):
        moved = []
        for step in (1e-3, -1e-3, 2e-3, -2e-3):
            trial = atoms.copy()
            trial.positions[atom, axis] += step
            moved.append(evaluator.evaluate(Batch.from_ase(trial), ("dipole",)).dipole[0])
        slope = (8 * (moved[0] - moved[1]) - (moved[2] - moved[3])) / 12e-3
        np.testing.assert_allclose(found.born_charges[0, atom, axis], slope, atol=1e-8)


@pytest.mark.parametrize("message", [False, True])
def test_turned_moved_and_permuted(message):
    evaluator, atoms = with_network(message), structure()
    first = evaluator.evaluate(Batch.from_ase(atoms), WANT)
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]  # proper or not
    order = np.random.default_rng(2).permutation(len(atoms))
    trial = atoms[order]
    trial.positions = trial.positions @ rotation.T + [1.0, -20.0, 3.0]
    second = evaluator.evaluate(Batch.from_ase(trial), WANT)
    np.testing.assert_allclose(second.partial_charges[0], first.partial_charges[0, order], atol=1e-11)
    np.testing.assert_allclose(second.dipole[0], rotation @ first.dipole[0], atol=1e-10)
    turned = rotation @ first.born_charges[0, order] @ rotation.T
    np.testing.assert_allclose(second.born_charges[0], turned, atol=1e-10)


@pytest.mark.parametrize("sent", [0, 8])
def test_the_loss_is_that_of_what_the_network_becomes(sent):
    truth, length = with_network(False), 0.4
    data = frames(truth, 2)
    data[1].labels["born_effective_charges"][2] = np.nan
    own = FittedQuantity(DIPOLE, length, 1.0, {}, has_charges=True)
    heads = {name: empty_head(head.order, truth.model.shape) for name, head in truth.model.heads.items()}
    model = replace(truth.model, equivariant=None, heads=heads, metadata={})
    examples = examples_of(model, data, None, [own])
    torch.manual_seed(0)
    network = TorchEquivariant(model, 8, 2, (5, 6), {"partial_charges": 0, "dipole": 1}, sent)
    for layer in network.layers:
        for readout in (layer.linear, layer.nonlinear):
            for weights in readout.values():
                torch.nn.init.normal_(weights)
    network.double()
    like = torch.zeros(1, dtype=torch.float64)
    network.measure(gather(model, [one.structure for one in examples], 2, like), units_of_heads(examples, [own]))
    objective = Objective(model, network, np.zeros(2, dtype=bool), examples, [own])
    loss, _, errors = objective(examples, False)
    fitted, constants = network.fitted()
    heads |= {name: replace(heads[name], offset=heads[name].offset + found) for name, found in constants.items()}
    whole = WithCharges(replace(truth.model, equivariant=fitted, heads=heads))
    expected = nothing = 0.0
    differences = []
    for frame in data:
        answer, count = whole.evaluate(Batch.from_ase(frame.atoms), WANT), len(frame.atoms)
        differences.append(answer.dipole[0] - frame.labels["dipole"])
        of_born = answer.born_charges[0] - frame.labels["born_effective_charges"]
        expected += (np.sum(differences[-1] ** 2) / count + length**2 * np.nansum(of_born**2)) / count
        of_born = frame.labels["born_effective_charges"]
        nothing += (np.sum(frame.labels["dipole"] ** 2) / count + length**2 * np.nansum(of_born**2)) / count
    assert float(loss.detach()) == pytest.approx(expected / nothing, rel=1e-8)
    said = own.errors_in_units(errors[0])
    assert said["dipole"] == pytest.approx(np.sqrt(np.mean(np.square(differences))), rel=1e-8)


CONFIGURATION = """
[data]
train = ["train.xyz"]
validation = ["valid.xyz"]
dipole_origin = "coordinates"
[density]
cutoff = 3.0
radial = 3
l_max = 2
[charges]
kind = "plain"
energy = "none"
network = true
[dipole]
l_max = 2
derivative_length = 0.3
[equivariant]
channels = 8
l_max = 2
hidden = [8]
epochs = 40
batch = 2
learning_rate = 0.01
[output]
model = "model.safetensors"
"""


def folder_of(tmp_path, total=0.0, text=CONFIGURATION):
    truth = with_network(False, total=total)
    for name, first, count in (("train", 0, 6), ("valid", 20, 2)):
        found = []
        for frame in frames(truth, count, first):
            atoms = frame.atoms
            atoms.info = {"charge": total, "dipole": frame.labels["dipole"]}
            atoms.arrays["born_effective_charges"] = frame.labels["born_effective_charges"].reshape(-1, 9)
            found.append(atoms)
        write(tmp_path / f"{name}.xyz", found)
    (tmp_path / "fit.toml").write_text(text)
    return tmp_path / "fit.toml"


def test_fits_write_models_with_charges(tmp_path):
    total = 1.0
    configuration = read_configuration(folder_of(tmp_path, total))
    model = fit(configuration)
    told = model.metadata["equivariant"]
    errors = told["network"]["quantities"]
    assert errors["dipole"] < 0.7 * told["linear"]["quantities"]["dipole"]
    assert model.metadata["charges"]["totals"] == [total]
    save(model, tmp_path / "model.safetensors")
    assert "partial_charges" in load_model(tmp_path / "model.safetensors").equivariant.heads
    evaluator, squares = load_evaluator(str(tmp_path / "model.safetensors")), []
    for frame in frames(with_network(False, total=total), 2, 20):
        answer = evaluator.evaluate(Batch.from_ase(frame.atoms), WANT)
        assert answer.partial_charges.sum() == pytest.approx(total, abs=1e-12)
        squares.append((answer.dipole[0] - frame.labels["dipole"]) ** 2)
    assert np.sqrt(np.mean(squares)) == pytest.approx(errors["dipole"], rel=1e-3)
    periodic = structure(20)
    periodic.pbc = True
    periodic.set_cell(np.diag([3.5, 3.5, 3.5]))
    with pytest.raises(StructureError, match="an image is"):
        evaluator.evaluate(Batch.from_ase(periodic), ("dipole",))


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ('kind = "plain"', 'kind = "transfers"', "it needs kind = 'plain', energy = 'none'"),
        ('energy = "none"', 'energy = "coulomb"', "energy = 'coulomb'"),
        ("epochs = 40", "weights = {dipole = 0}", "gives no quantity"),
        ("[dipole]", "[polarizability]", r"a \[dipole\] that the network gives"),
    ],
)
def test_what_charges_of_a_network_need(tmp_path, old, new, match):
    text = CONFIGURATION.replace("derivative_length = 0.3\n", "").replace(old, new)
    with pytest.raises(ConfigurationError, match=match):
        read_configuration(folder_of(tmp_path, text=text))


def test_cells_and_dipoles_of_molecules_are_refused(tmp_path):
    path = folder_of(tmp_path)
    atoms = structure()
    cell = atoms.copy()
    cell.set_cell(np.diag([9.0, 9.0, 9.0]))
    cell.pbc, cell.info["dipole"] = True, np.ones(3)
    write(tmp_path / "train.xyz", cell)
    with pytest.raises(DataError, match="depends on the image that each atom is in"):
        fit(read_configuration(path))
    atoms.info = {"dipole": np.ones(3), "molecular_dipole": np.ones((2, 3))}
    write(tmp_path / "train.xyz", atoms)
    path.write_text(CONFIGURATION + "[metadata]\nrepeating_unit = 'OHH'\n")
    with pytest.raises(ConfigurationError, match="molecular_dipole"):
        fit(read_configuration(path))
