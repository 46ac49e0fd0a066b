"""The integrated model: derivatives, symmetries, its file, and what it refuses."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from beadwise.model import Batch, Model, ModelFileError, PropertyError, StructureError, evaluate, load, save
from beadwise.model.files import find
from beadwise.model.model import Repulsion
from beadwise.model.radial import RadialForm
from beadwise.potentials.repulsion import repulsion_table, screened_repulsion
from beadwise.properties.forms import cartesian_tensor, tensor_components
from beadwise.properties.polarizability import with_local_field, without_local_field
from models import random_model, random_structure
from safetensors.numpy import save_file
from scipy.spatial.transform import Rotation

EVERYTHING = ("energy", "forces", "virial", "dipole", "polarizability", "born_charges", "polarizability_derivatives")


@pytest.fixture(scope="module")
def water() -> Model:
    return load("water")


def answer(model, atoms, want=EVERYTHING):
    return evaluate(model, Batch.from_ase(atoms), want)


def moved(atoms, atom, axis, step):
    copy = atoms.copy()
    copy.positions[atom, axis] += step
    return copy


def compressed() -> Atoms:
    """Atoms so close that the repulsion acts."""
    atoms = random_structure(2)
    atoms.positions[1] = atoms.positions[0] + [0.55, 0.1, 0.0]
    return atoms


@pytest.mark.parametrize("atoms", [random_structure(1), compressed()], ids=["liquid", "compressed"])
def test_forces_and_derivatives_of_dipole_and_polarizability(water, atoms):
    response = answer(water, atoms)
    step = 1e-5
    for atom, axis in [(0, 0), (1, 1), (4, 2), (8, 0)]:
        ahead, behind = (answer(water, moved(atoms, atom, axis, sign * step)) for sign in (1, -1))
        force = -(ahead.energy - behind.energy)[0] / (2 * step)
        born = (ahead.dipole - behind.dipole)[0] / (2 * step)
        assert response.forces[0, atom, axis] == pytest.approx(force, abs=3e-5)
        np.testing.assert_allclose(response.born_charges[0, atom, axis], born, atol=1e-7)
        polarizability = (ahead.polarizability - behind.polarizability)[0] / (2 * step)
        np.testing.assert_allclose(response.polarizability_derivatives[0, atom, axis], polarizability, atol=1e-7)


@pytest.mark.parametrize("atoms", [random_structure(1), compressed()], ids=["liquid", "compressed"])
def test_virial_is_the_negative_strain_derivative(water, atoms):
    virial, step = answer(water, atoms).virial[0], 1e-5
    for a, b in [(0, 0), (1, 1), (0, 1), (2, 0)]:
        energies = []
        for sign in (1, -1):
            strain = np.zeros((3, 3))
            strain[a, b] += sign * step / 2
            strain[b, a] += sign * step / 2
            strained = atoms.copy()
            strained.set_cell(atoms.cell @ (np.eye(3) + strain), scale_atoms=True)
            energies.append(answer(water, strained, ("energy",)).energy[0])
        assert virial[a, b] == pytest.approx(-(energies[0] - energies[1]) / (2 * step), abs=2e-4)


def close(received, expected):
    np.testing.assert_allclose(received, expected, atol=1e-10 * max(1.0, np.abs(expected).max()), rtol=0)


@pytest.mark.parametrize("handedness", [1, -1], ids=["rotation", "inversion"])
def test_properties_rotate_as_tensors(water, handedness):
    atoms = random_structure(4)
    rotation = handedness * Rotation.random(random_state=8).as_matrix()
    turned = Atoms(atoms.numbers, atoms.positions @ rotation.T, cell=atoms.cell @ rotation.T, pbc=True)
    before, after = answer(water, atoms), answer(water, turned)
    close(after.energy, before.energy)
    close(after.forces, before.forces @ rotation.T)
    close(after.virial, rotation @ before.virial @ rotation.T)
    close(after.dipole, before.dipole @ rotation.T)
    close(after.polarizability, rotation @ before.polarizability @ rotation.T)
    close(after.born_charges, rotation @ before.born_charges @ rotation.T)
    turned_derivatives = np.einsum(
        "pk,...kij,ai,bj->...pab", rotation, before.polarizability_derivatives, rotation, rotation
    )
    close(after.polarizability_derivatives, turned_derivatives)


def test_translation_permutation_and_image_change_nothing(water):
    atoms = random_structure(5)
    before = answer(water, atoms)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(atoms))
    shifted, imaged = atoms.copy(), atoms.copy()
    shifted.positions += rng.normal(size=3)
    imaged.positions += rng.integers(-2, 3, size=(len(atoms), 3)) @ atoms.cell.array
    for other, places in [(shifted, slice(None)), (imaged, slice(None)), (atoms[order], order)]:
        after = answer(water, other)
        for name in ("energy", "virial", "dipole", "polarizability"):
            close(after[name], before[name])
        close(after.forces, before.forces[:, places])
        close(after.born_charges, before.born_charges[:, places])
        close(after.polarizability_derivatives, before.polarizability_derivatives[:, places])


def test_forces_and_born_charges_sum_to_zero(water):
    response = answer(water, random_structure(6))
    close(response.forces.sum(axis=1), np.zeros((1, 3)))
    close(response.born_charges.sum(axis=1), np.zeros((1, 3, 3)))
    close(response.polarizability_derivatives.sum(axis=1), np.zeros((1, 3, 3, 3)))


def test_a_supercell_is_extensive(water):
    atoms = random_structure(7)
    one, eight = answer(water, atoms), answer(water, atoms.repeat(2))
    for name in ("energy", "virial", "dipole", "polarizability"):
        close(eight[name] / 8, one[name])


def test_molecules_without_a_cell_are_served(water):
    molecule = Atoms("OH2", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    box = molecule.copy()
    box.set_cell(np.eye(3) * 30)
    box.pbc = True
    alone, boxed = answer(water, molecule), answer(water, box)
    for name in ("energy", "forces", "dipole"):
        close(alone[name], boxed[name])
    # the local-field correction of one molecule in so large a box is of the order α/V
    np.testing.assert_allclose(alone.polarizability, boxed.polarizability, rtol=1e-3)


@pytest.mark.parametrize("threads", [1, 2])
def test_beads_are_answered_as_single_structures_are(water, threads):
    model = replace(water, threads=threads)
    atoms = random_structure(1)
    beads = [atoms.copy() for _ in range(5)]
    for seed, bead in enumerate(beads):
        bead.positions += np.random.default_rng(seed).normal(0, 0.05, bead.positions.shape)
    together = evaluate(model, Batch.from_ase(beads), EVERYTHING)
    for index, bead in enumerate(beads):
        single = answer(water, bead)
        for name in EVERYTHING:
            close(together[name][index], single[name][0])


def test_only_what_is_wanted_is_answered(water):
    response = answer(water, random_structure(1), ("dipole",))
    assert response.names == ("dipole",)
    with pytest.raises(PropertyError, match="'energy' was not evaluated"):
        _ = response.energy
    with pytest.raises(PropertyError, match="'magnetism' is not available"):
        answer(water, random_structure(1), ("magnetism",))


def test_what_cannot_be_served_is_named(water):
    atoms = random_structure(1)
    with pytest.raises(StructureError, match="atom 0 is C, a species unknown to the model; allowed are H, O"):
        answer(water, Atoms("CH4", np.eye(5, 3) * 2))
    near = atoms.copy()
    near.positions[5] = near.positions[1] + [0, 0.1, 0]
    with pytest.raises(StructureError, match=r"0\.100 Å apart; at least 0\.4 Å"):
        answer(water, near)
    flat = atoms.copy()
    flat.set_cell([9, 4.5, 0.2])
    with pytest.raises(StructureError, match=r"only 0\.2 Å high"):
        answer(water, flat)
    lost = atoms.copy()
    lost.positions[2, 1] = np.nan
    with pytest.raises(StructureError, match="position of atom 2 in bead 0 is nan Å along y"):
        answer(water, lost)


def test_the_local_field_map_and_its_inverse():
    rng = np.random.default_rng(0)
    additive = rng.normal(size=(3, 3))
    additive = 40 * np.eye(3) + additive + additive.T
    volume = np.array(900.0)
    tensor = with_local_field(additive, volume)
    np.testing.assert_allclose(without_local_field(tensor, volume), additive, rtol=1e-12)
    dielectric = np.eye(3) + 4 * np.pi * tensor / volume
    clausius_mossotti = (dielectric - np.eye(3)) @ np.linalg.inv(dielectric + 2 * np.eye(3))
    np.testing.assert_allclose(clausius_mossotti, 4 * np.pi * additive / (3 * volume), rtol=1e-10)
    np.testing.assert_allclose(with_local_field(additive, np.array(np.inf)), additive, rtol=1e-12)
    np.testing.assert_allclose(cartesian_tensor(tensor_components(tensor)), tensor, rtol=1e-12)


def test_radial_functions_end_smoothly_and_slopes_are_derivatives():
    form = RadialForm(5.0, 0.3, 0.7, 2.0, 3.0)
    distance, step = np.linspace(0.1, 4.9, 50), 1e-6
    _, slope = form.primitives(distance, 6)
    ahead, behind = (form.primitives(distance + sign * step, 6)[0] for sign in (1, -1))
    np.testing.assert_allclose(slope, (ahead - behind) / (2 * step), atol=1e-6)
    value, slope = form.primitives(np.array([5.0]), 6)
    np.testing.assert_allclose([value, slope], 0, atol=1e-12)


def test_repulsion_grows_inwards_and_ends_at_its_onset():
    onset = np.array([[1.0, 0.7], [0.7, 0.0]])
    table = repulsion_table((1, 8), onset, 2.0, 5.0, 500)
    distance = np.linspace(0, 5.0, 501)
    assert (table[0, 1, distance > 0.705] == 0).all()
    assert (table[1, 1] == 0).all()
    assert (np.diff(table[0, 1, (distance > 0.1) & (distance < 0.69), 0]) < 0).all()
    expected = 2 * screened_repulsion(1, 8, np.array([0.5]))[0] * (1 - 0.5 / 0.7) ** 3
    assert table[0, 1, 50, 0] == pytest.approx(expected)


def test_a_saved_model_comes_back(tmp_path):
    model = random_model(metadata={"title": "a test", "errors": {"forces": 1.5}})
    save(model, tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    assert loaded.metadata == model.metadata
    atoms = random_structure(0)
    for name in EVERYTHING:
        np.testing.assert_array_equal(answer(loaded, atoms)[name], answer(model, atoms)[name])


def test_files_that_are_no_models_are_refused(tmp_path):
    with pytest.raises(ModelFileError, match=r"no model 'mercury'.*water"):
        find("mercury")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"not a model")
    with pytest.raises(ModelFileError, match="not a readable model file"):
        load(broken)
    save_file({"a": np.zeros(1)}, str(broken))
    with pytest.raises(ModelFileError, match="without a 'beadwise model' description"):
        load(broken)
    save_file(
        {"a": np.zeros(1)}, str(broken), metadata={"beadwise": '{"format": "beadwise model", "format_version": 9}'}
    )
    with pytest.raises(ModelFileError, match=r"format version 9; this release reads \[1, 2, 3, 4, 5, 6, 7\]"):
        load(broken)
    save_file(
        {"a": np.zeros(1)}, str(broken), metadata={"beadwise": '{"format": "beadwise model", "format_version": 1}'}
    )
    with pytest.raises(ModelFileError, match="cannot be used"):
        load(broken)


def test_repulsion_alone_is_pairwise():
    model = random_model(heads=("energy",))
    stiff = replace(model, repulsion=Repulsion(np.full((2, 2), 1.2), 3.0))
    pair = Atoms("OH", [[0, 0, 0], [0, 0, 0.8]])
    difference = (
        answer(stiff, pair, ("energy",)).energy
        - answer(replace(model, repulsion=Repulsion(np.zeros((2, 2)), 3.0)), pair, ("energy",)).energy
    )
    expected = 3 * screened_repulsion(8, 1, np.array([0.8])) * (1 - 0.8 / 1.2) ** 3
    np.testing.assert_allclose(difference, expected, rtol=1e-6)


def test_each_pair_of_species_can_have_a_strength_of_its_own(tmp_path):
    model = random_model(heads=("energy",))
    pair, onset = Atoms("OH", [[0, 0, 0], [0, 0, 0.8]]), np.full((2, 2), 1.2)
    several = replace(model, repulsion=Repulsion(onset, np.array([[1.0, 3.0], [3.0, 50.0]])))
    save(several, tmp_path / "several.safetensors")
    kept = load(tmp_path / "several.safetensors")
    np.testing.assert_array_equal(kept.repulsion.strength, several.repulsion.strength)
    one = replace(model, repulsion=Repulsion(onset, 3.0))
    for own in (several, kept):
        assert answer(own, pair, ("energy",)).energy == answer(one, pair, ("energy",)).energy
    with pytest.raises(ModelFileError, match="the same for both orders of a pair"):
        replace(model, repulsion=Repulsion(onset, np.array([[1.0, 3.0], [2.0, 50.0]])))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"numbers": (8, 1)}, "ascending order"),
        (
            {"numbers": (1, 6, 8), "groups": (0, 1, 2)},
            r"radial of a model is for \(2, 2\) species; it must be for \(3, 3\)",
        ),
        ({"l_max": 9}, "l_max of a model is 9; allowed are 2 to 6"),
        ({"repulsion": Repulsion(np.zeros((1, 1)), 1.0)}, "repulsion of a model"),
        ({"threads": 0}, "0 threads"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(change, complaint):
    with pytest.raises(ModelFileError, match=complaint):
        replace(random_model(), **change)


def test_weights_that_cannot_have_been_fitted_are_refused():
    model = random_model()
    head = model.heads["energy"]
    for weights, complaint in [
        (head.weights + np.triu(np.ones(head.weights.shape[-2:])), "not symmetric"),
        (head.weights * np.nan, "not finite"),
    ]:
        with pytest.raises(ModelFileError, match=complaint):
            replace(model, heads={"energy": replace(head, weights=weights)})


def test_a_cell_too_dense_for_its_polarizability_is_refused(water):
    crowded = Atoms("OH2" * 8, cell=np.eye(3) * 3.0, pbc=True)
    crowded.positions = 1.5 * np.array(list(np.ndindex(2, 2, 2))).repeat(3, axis=0) + np.tile(
        [[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0.5]], (8, 1)
    )
    with pytest.raises(StructureError, match="must be below 1"):
        heavy = replace(water.heads["polarizability_isotropic"], offset=np.array([100.0, 100.0]))
        answer(replace(water, heads={**water.heads, "polarizability_isotropic": heavy}), crowded, ("polarizability",))


def test_one_model_serves_several_threads_of_python():
    model = random_model()
    frames = [random_structure(seed) for seed in range(24)]
    expected = [answer(model, frame, ("forces",)).forces for frame in frames]
    with ThreadPoolExecutor(4) as pool:
        received = list(pool.map(lambda frame: answer(model, frame, ("forces",)).forces, frames * 5))
    for index, forces in enumerate(received):
        np.testing.assert_allclose(forces, expected[index % 24], atol=1e-12)
