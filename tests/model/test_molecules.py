"""Dipole and polarizability molecule by molecule: sums, symmetries, what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from beadwise.model import Batch, ModelFileError, PropertyError, StructureError, evaluate, load, save
from beadwise.model.calculator import Calculator
from beadwise.model.molecules import repeating_unit
from models import random_model, random_structure
from scipy.spatial.transform import Rotation

MOLECULAR = ("molecular_dipole", "molecular_polarizability", "molecular_position")
WATER = {"repeating_unit": "OHH"}


@pytest.fixture(scope="module")
def water():
    return load("water")


def answer(model, atoms, want=MOLECULAR):
    return evaluate(model, Batch.from_ase(atoms), want)


def close(received, expected, tolerance=1e-10):
    np.testing.assert_allclose(received, expected, atol=tolerance * max(1.0, np.abs(expected).max()), rtol=0)


def centres(atoms: Atoms) -> np.ndarray:
    """Centres of mass of water molecules that are whole, shape (molecules, 3)."""
    return np.array([atoms[start : start + 3].get_center_of_mass() for start in range(0, len(atoms), 3)])


def slab() -> Atoms:
    atoms = random_structure(4, molecules=4)
    cell = atoms.cell.array
    cell[2] = [0, 0, 20.0]
    atoms.set_cell(cell)
    return atoms


@pytest.mark.parametrize("atoms", [random_structure(3, 5), slab()], ids=["liquid", "slab"])
def test_molecules_add_up_to_the_cell(water, atoms):
    response = answer(water, atoms, ("dipole", *MOLECULAR))
    molecules = len(atoms) // 3
    assert response.molecular_dipole.shape == response.molecular_position.shape == (1, molecules, 3)
    assert response.molecular_polarizability.shape == (1, molecules, 3, 3)
    close(response.molecular_dipole.sum(axis=1), response.dipole, 1e-12)
    additive = answer(replace(water, local_field=False), atoms, ("polarizability",)).polarizability
    close(response.molecular_polarizability.sum(axis=1), additive, 1e-12)
    mapped = answer(water, atoms, ("polarizability",)).polarizability
    assert np.abs(mapped - additive).max() > 0.01 * np.abs(additive).max()


def test_molecules_far_apart_are_molecules_alone(water):
    monomer = random_structure(0, 1)
    monomer.set_cell(np.eye(3) * 40)
    pair = monomer + monomer
    pair.positions[3:] = pair.positions[3:] @ Rotation.random(random_state=1).as_matrix().T + 20
    alone = [answer(water, part, ("dipole", *MOLECULAR)) for part in (pair[:3], pair[3:])]
    together = answer(water, pair)
    for index, single in enumerate(alone):
        close(together.molecular_dipole[:, index], single.dipole)
        for name in MOLECULAR:
            close(together[name][:, index], single[name][:, 0])
    trace = np.trace(together.molecular_polarizability[0, 0]) / 3
    assert 1.0 < trace < 2.0  # Å³; 1.47 of a molecule of the gas


@pytest.mark.parametrize("handedness", [1, -1], ids=["rotation", "inversion"])
def test_molecular_properties_rotate_as_tensors(water, handedness):
    atoms = random_structure(4)
    rotation = handedness * Rotation.random(random_state=8).as_matrix()
    turned = Atoms(atoms.numbers, atoms.positions @ rotation.T, cell=atoms.cell @ rotation.T, pbc=True)
    before, after = answer(water, atoms), answer(water, turned)
    close(after.molecular_dipole, before.molecular_dipole @ rotation.T)
    close(after.molecular_polarizability, rotation @ before.molecular_polarizability @ rotation.T)
    close(after.molecular_position, before.molecular_position @ rotation.T)


def test_permutation_translation_and_images(water):
    atoms = random_structure(5, 4)
    before = answer(water, atoms)
    rng = np.random.default_rng(0)
    order = rng.permutation(4)
    permuted = atoms[(3 * order[:, None] + np.arange(3)).ravel()]
    step = rng.normal(size=3)
    translated, imaged = atoms.copy(), atoms.copy()
    translated.positions += step
    images = rng.integers(-2, 3, size=(len(atoms), 3)) @ atoms.cell.array
    imaged.positions += images
    # a molecule stands where its first atom stands
    for other, places, shift in [
        (permuted, order, 0.0),
        (translated, slice(None), step),
        (imaged, slice(None), images[::3]),
    ]:
        after = answer(water, other)
        close(after.molecular_dipole, before.molecular_dipole[:, places])
        close(after.molecular_polarizability, before.molecular_polarizability[:, places])
        close(after.molecular_position, before.molecular_position[:, places] + shift)


def test_hydrogens_of_a_molecule_may_be_exchanged(water):
    atoms = random_structure(6)
    before, after = answer(water, atoms), answer(water, atoms[[0, 2, 1, 3, 5, 4, 6, 8, 7]])
    for name in MOLECULAR:
        close(after[name], before[name])


@pytest.mark.parametrize("periodic", [True, (True, True, False), (False, True, False), False])
def test_positions_are_centres_of_mass(periodic):
    whole = random_structure(7)
    broken = whole.copy()
    broken.pbc = whole.pbc = periodic
    images = np.random.default_rng(1).integers(-1, 2, size=(len(whole), 3)) * whole.pbc
    images[::3] = 0
    broken.positions += images @ whole.cell.array
    if not whole.pbc[2]:
        broken.cell[2] = 0
    received = answer(random_model(metadata=WATER), broken, ("molecular_position",)).molecular_position
    close(received[0], centres(whole))


def test_every_bead_has_its_own_molecules(water):
    beads = [random_structure(seed) for seed in range(3)]
    together = evaluate(water, Batch.from_ase(beads), MOLECULAR)
    for index, bead in enumerate(beads):
        single = answer(water, bead)
        for name in MOLECULAR:
            close(together[name][index], single[name][0])


def test_models_offer_what_they_know():
    assert not set(MOLECULAR) & set(random_model().properties)
    assert random_model(metadata=WATER).properties[-3:] == MOLECULAR
    energies = random_model(heads=("energy",), metadata=WATER)
    assert energies.properties == ("energy", "forces", "virial", "molecular_position")
    with pytest.raises(PropertyError, match="'molecular_dipole' is not available"):
        answer(energies, random_structure(1))
    with pytest.raises(PropertyError, match="'molecular_position' is not available"):
        answer(random_model(), random_structure(1), ("molecular_position",))


@pytest.mark.parametrize(
    ("places", "complaint"),
    [
        ([0, 1, 2, 4, 3, 5], "atom 3 is H, where O is expected; .* the order O H H, repeated"),
        ([0, 3, 1, 2, 4, 5], "atom 1 is O, where H is expected"),
        ([0, 1, 2, 3, 4], "received 5 atoms, no whole number of molecules; .* O H H"),
    ],
)
def test_atoms_in_another_order_are_refused(water, places, complaint):
    atoms = random_structure(2, 2)[places]
    with pytest.raises(StructureError, match=complaint):
        answer(water, atoms, ("molecular_dipole",))
    assert np.isfinite(answer(water, atoms, ("dipole",)).dipole).all()


@pytest.mark.parametrize("formula", ["Wat3", "", "water", 3])
def test_molecules_that_are_no_formula_are_refused(formula, tmp_path):
    with pytest.raises(ModelFileError, match=f"repeating_unit of a model is '{formula}'; allowed is a chemical"):
        random_model(metadata={"repeating_unit": formula})
    model = random_model()
    model.metadata = {"repeating_unit": formula}
    save(model, tmp_path / "model.safetensors")
    with pytest.raises(ModelFileError, match="repeating_unit"):
        load(tmp_path / "model.safetensors")


def test_formulas_of_molecules():
    assert repeating_unit({"repeating_unit": "OH2"}) == repeating_unit(WATER) == (8, 1, 1)
    assert repeating_unit(None) is repeating_unit({}) is repeating_unit("words") is None


def test_calculator_evaluates_molecules_only_when_asked_for(water):
    atoms = random_structure(3)
    expected = answer(water, atoms)
    calculator = Calculator(water)
    atoms.calc = calculator
    atoms.get_potential_energy()
    assert not set(MOLECULAR) & set(calculator.results)
    for name in MOLECULAR:
        close(calculator.get_property(name, atoms), expected[name][0])
    scrambled = atoms[[1, 0, 2, *range(3, 9)]]
    scrambled.calc = Calculator(water)
    assert np.isfinite(scrambled.get_potential_energy())
