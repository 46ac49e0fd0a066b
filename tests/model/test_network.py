"""Networks of invariants and groups of neighbours: against NumPy, finite differences and the symmetries of physics."""

import json
from dataclasses import replace

import numpy as np
import pytest
import twin
from beadwise.model import Batch, ModelFileError, load, save
from beadwise.model.outputs import empty_head
from beadwise.potentials.invariant_network import InvariantNetwork
from beadwise.pyx.coupling import coupling
from models import random_model, random_structure
from safetensors import safe_open
from safetensors.numpy import save_file
from scipy.spatial.transform import Rotation

WANT = ("energy", "forces", "virial")
CASES = {
    "two layers": {"hidden": (5, 3)},
    "three layers, many functions": {"hidden": (16, 8, 9), "radial": 6, "l_max": 4},
    "one layer": {"hidden": (2,), "radial": 4, "l_max": 3},
    "shared channels": {"hidden": (7, 4), "groups": (0, 0), "radial": 5},
}


def case(name):
    return random_model(heads=("energy", "dipole"), **CASES[name])


def energies_by_formula(model, atoms):
    """Atomic energies from the definitions, without the repulsion."""
    species = np.searchsorted(model.numbers, atoms.numbers)
    shape = model.shape
    c = twin.density(
        species, atoms.positions, atoms.cell.array, atoms.pbc, model.radial.spline_table(shape.radial),
        model.radial.cutoff, model.l_max, model.groups,
    )  # fmt: skip
    head, upper = model.heads["energy"], np.triu_indices(shape.channels)
    out = np.zeros(len(species))
    for i, s in enumerate(species):
        features = [c[i, 0]]
        out[i] = head.offset[s] + head.linear[s] @ c[i, 0]
        for l in range(model.l_max + 1):  # noqa: E741
            block = c[i, l * l : (l + 1) ** 2]
            gram = coupling(l, l, 0)[0, 0, 0] * np.einsum("mk,mq->kq", block, block)
            out[i] += np.sum(head.weights[l, s] * gram)
            features.append(gram[upper])
        values = np.concatenate(features)
        for weights, bias in model.network.layers:
            sums = weights[s].T @ values + bias[s]
            values = sums / (1 + np.exp(-sums))
        out[i] += model.network.final[s] @ values
    return out


@pytest.mark.parametrize("name", CASES)
def test_energy_equals_the_formula(name):
    model, atoms = case(name), random_structure(3, molecules=3)
    bare = replace(model, network=None, heads={"energy": empty_head(0, model.shape)})
    repulsion = bare.evaluate(Batch.from_ase(atoms), ("energy",)).energy[0]
    answer = model.evaluate(Batch.from_ase(atoms), WANT)
    np.testing.assert_allclose(answer.energy[0] - repulsion, energies_by_formula(model, atoms).sum(), rtol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_forces_and_virial_are_derivatives(name):
    model, atoms = case(name), random_structure(4, molecules=2)
    answer = model.evaluate(Batch.from_ase(atoms), WANT)
    step = 1e-4

    def energy(moved):
        return model.evaluate(Batch.from_ase(moved), ("energy",)).energy[0]

    for atom, axis in [(0, 0), (1, 2), (5, 1)]:
        values = []
        for sign in (-1, 1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            values.append(energy(moved))
        np.testing.assert_allclose((values[0] - values[1]) / (2 * step), answer.forces[0, atom, axis], atol=2e-7)
    for first, second in [(0, 0), (1, 2)]:
        values = []
        for sign in (-1, 1):
            strain = np.eye(3)
            strain[first, second] += sign * step / 2
            strain[second, first] += sign * step / 2
            moved = atoms.copy()
            moved.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            values.append(energy(moved))
        np.testing.assert_allclose((values[0] - values[1]) / (2 * step), answer.virial[0, first, second], atol=2e-6)


@pytest.mark.parametrize("name", CASES)
def test_symmetries(name):
    model, atoms = case(name), random_structure(5, molecules=3)
    reference = model.evaluate(Batch.from_ase(atoms), WANT)
    turn = Rotation.random(rng=np.random.default_rng(1)).as_matrix()
    order = np.random.default_rng(2).permutation(len(atoms))
    for matrix in (turn, -np.eye(3), -turn):
        moved = atoms.copy()
        moved.set_cell(atoms.cell.array @ matrix.T)
        moved.positions = atoms.positions @ matrix.T + [0.3, -2.0, 5.0]
        moved.positions += np.arange(len(atoms))[:, None] % 3 * moved.cell.array[0]
        answer = model.evaluate(Batch.from_ase(moved[order]), WANT)
        np.testing.assert_allclose(answer.energy, reference.energy, rtol=1e-10)
        np.testing.assert_allclose(answer.forces[0], (reference.forces[0] @ matrix.T)[order], atol=1e-10)
        np.testing.assert_allclose(answer.virial[0], matrix @ reference.virial[0] @ matrix.T, atol=1e-10)


def test_groups_of_four_do_not_mix_beads_or_threads():
    model = case("two layers")
    structures = [random_structure(seed, molecules=3) for seed in range(5)]
    batch = Batch(
        structures[0].numbers,
        np.array([atoms.positions for atoms in structures]),
        np.array([atoms.cell.array for atoms in structures]),
        structures[0].pbc,
    )
    together = model.evaluate(batch, WANT)
    model.threads = 3
    threaded = model.evaluate(batch, WANT)
    for bead, atoms in enumerate(structures):
        alone = model.evaluate(Batch.from_ase(atoms), WANT)
        for name in WANT:
            np.testing.assert_allclose(together[name][bead], alone[name][0], rtol=1e-11, atol=1e-11)
            np.testing.assert_allclose(threaded[name][bead], alone[name][0], rtol=1e-11, atol=1e-11)


def test_other_properties_do_not_see_the_network():
    atoms = random_structure(1)
    want = ("dipole", "born_charges")
    with_network = case("two layers").evaluate(Batch.from_ase(atoms), want)
    without = random_model(heads=("energy", "dipole")).evaluate(Batch.from_ase(atoms), want)
    for name in want:
        np.testing.assert_allclose(with_network[name], without[name], rtol=1e-12, atol=1e-12)


def test_large_arguments_of_the_activation_stay_finite():
    model = case("one layer")
    layers = [(1e4 * weights, bias) for weights, bias in model.network.layers]
    model.network = InvariantNetwork(model.shape, layers, model.network.final)
    answer = model.evaluate(Batch.from_ase(random_structure(2)), WANT)
    assert all(np.isfinite(answer[name]).all() for name in WANT)


@pytest.mark.parametrize("name", CASES)
def test_a_file_keeps_everything(name, tmp_path):
    model, atoms = case(name), random_structure(6)
    save(model, tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors")
    assert again.groups == model.groups and again.network.widths == model.network.widths
    for want in WANT:
        np.testing.assert_array_equal(
            again.evaluate(Batch.from_ase(atoms), WANT)[want], model.evaluate(Batch.from_ase(atoms), WANT)[want]
        )


def test_parts_that_do_not_fit_are_refused(tmp_path):
    model = case("two layers")
    with pytest.raises(ValueError, match=r"layer 0 of a network has weights .* expected"):
        InvariantNetwork(model.shape, [(np.zeros((2, 5, 3)), np.zeros((2, 3)))], np.zeros((2, 3)))
    with pytest.raises(ValueError, match="not finite"):
        InvariantNetwork(model.shape, model.network.layers, np.full((2, 3), np.nan))
    with pytest.raises(ModelFileError, match=r"groups \[0, 2\] of 2 species"):
        random_model(groups=(0, 2))
    other = random_model(l_max=3, hidden=(4,)).network
    with pytest.raises(ModelFileError, match="a network for"):
        type(model)(
            model.numbers, model.l_max, model.radial, model.heads, model.repulsion, network=other, groups=model.groups
        )


def damaged(tmp_path, change):
    """A file of a model with a network, its description and arrays changed."""
    save(case("two layers"), tmp_path / "model.safetensors")
    with safe_open(str(tmp_path / "model.safetensors"), framework="numpy") as file:
        description = json.loads(file.metadata()["beadwise"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}
    del description["sha256"]  # it is changed on purpose
    change(description, arrays)
    save_file(arrays, str(tmp_path / "model.safetensors"), metadata={"beadwise": json.dumps(description)})
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize(
    "change",
    [
        lambda description, arrays: description.pop("network"),
        lambda description, arrays: description.update(network=[]),
        lambda description, arrays: description.update(network=[7, 9]),
        lambda description, arrays: description.pop("groups"),
        lambda description, arrays: arrays.pop("network.1.bias"),
        lambda description, arrays: arrays.update({"network.final": np.full((2, 3), np.inf)}),
        lambda description, arrays: description.update(heads=["energy"]),
        lambda description, arrays: arrays.update({"radial.coefficients": arrays["radial.coefficients"] * np.nan}),
        lambda description, arrays: arrays.update({"network.0.weights": np.zeros((2, 4, 5))}),
    ],
)
def test_a_damaged_network_is_refused(tmp_path, change):
    with pytest.raises(ModelFileError):
        load(damaged(tmp_path, change))


def test_a_linear_part_of_lower_angular_momentum_is_padded():
    model = random_model(3, l_max=3, hidden=(4,), heads=("energy",))
    low = random_model(4, l_max=2, heads=("energy",)).heads["energy"]
    padded = np.concatenate([low.weights, np.zeros((1, *low.weights.shape[1:]))])
    full = type(low)(0, model.shape, low.offset, low.linear, padded)
    atoms, energies = Batch.from_ase(random_structure(1)), []
    for head in (low, full):
        energies.append(replace(model, heads={"energy": head}).evaluate(atoms, ("energy",)).energy[0])
    assert energies[0] == energies[1]


@pytest.mark.parametrize("groups", [(0, 0, 1), (0, 1, 0), (0, 0, 0)])
def test_density_of_groups_equals_the_formula(groups):
    model = random_model(numbers=(1, 6, 8), groups=groups, radial=4, l_max=3)
    atoms = random_structure(2, molecules=3)
    atoms.numbers[::4] = 6
    species = np.searchsorted(model.numbers, atoms.numbers)
    expected = twin.density(
        species,
        atoms.positions,
        atoms.cell.array,
        atoms.pbc,
        model.radial.spline_table(4),
        model.radial.cutoff,
        3,
        groups,
    )
    np.testing.assert_allclose(model.density(Batch.from_ase(atoms))[0], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("groups", [(), (0, 0)])
def test_density_forward_and_reverse_derivatives(groups):
    model, atoms = random_model(radial=4, l_max=4, groups=groups), random_structure(3)
    batch, rng = Batch.from_ase(atoms), np.random.default_rng(0)
    arguments = (model.species_indices(batch.numbers), batch.positions, batch.cells, batch.periodic)
    displacements, strain = rng.normal(size=batch.positions.shape), rng.normal(size=(1, 3, 3))
    adjoint = rng.normal(size=model.density(batch).shape)
    tangent, gradients, strains = np.zeros(adjoint.shape), np.zeros(batch.positions.shape), np.zeros((1, 3, 3))
    model.kernel.push_forward(*arguments, displacements, strain, tangent, 2)
    model.kernel.pull_back(*arguments, adjoint, gradients, strains, 2)
    both = np.sum(gradients * displacements) + np.sum(strains * strain)
    np.testing.assert_allclose(np.sum(adjoint * tangent), both, rtol=1e-12)
    step, moved = 1e-5, []
    for sign in (-1, 1):
        matrix = np.eye(3) + sign * step * strain[0]
        copy = atoms.copy()
        copy.set_cell(atoms.cell.array @ matrix.T)
        copy.positions = atoms.positions @ matrix.T + sign * step * displacements[0]
        moved.append(model.density(Batch.from_ase(copy)))
    np.testing.assert_allclose((moved[1] - moved[0]) / (2 * step), tangent, atol=1e-6)
