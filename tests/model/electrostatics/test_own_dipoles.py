"""Dipoles of a model in each other's field: against a sum of its own, differences, symmetries, and through a fit."""

import re
from dataclasses import replace

import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from beadwise.learning.fitting.configuration import ConfigurationError, read_configuration
from beadwise.learning.fitting.fit import fit
from beadwise.model import BaselineError, Batch, Corrected, StructureError, load, save
from beadwise.model.electrostatics import COULOMB
from beadwise.model.electrostatics.own_dipoles import OwnDipoles
from beadwise.model.evaluators import load_evaluator
from beadwise.model.passes.values import values_of_heads
from delta import ENERGIES, configuration, invoke
from models import random_model, random_structure
from test_fit import molecules

PERMITTIVITY, WIDTH = 2.5, 1.3
NAME = f"own-dipoles:permittivity={PERMITTIVITY},width={WIDTH}"
MODEL = random_model(heads=["energy", "dipole"])
OWN = OwnDipoles.of(NAME, MODEL)


def answers(own, atoms, want=ENERGIES):
    return own.evaluate(Batch.from_ase(atoms), want)


def energy_by_waves(dipoles, positions, cell, width):
    """1/2V Σ_k 4π/k² e^(−σ²k²) |Σ k·p e^(ikr)|², less what Gaussians do to themselves, Σ p²/(12 √π σ³); and that."""
    volume, total = abs(np.linalg.det(cell)), 0.0
    basis = 2 * np.pi * np.linalg.inv(cell).T
    for numbers in np.ndindex(17, 17, 17):
        wave = (np.array(numbers) - 8) @ basis
        square = wave @ wave
        if 0 < square < 36 / width**2:
            structure = np.sum(dipoles @ wave * np.exp(1j * positions @ wave))
            total += 2 * np.pi / volume / square * np.exp(-((width**2) * square)) * abs(structure) ** 2
    own = np.sum(dipoles**2) / (12 * np.sqrt(np.pi) * width**3)
    return COULOMB * (total - own), COULOMB * own


def test_energy_against_a_sum_over_waves():
    atoms = random_structure(1, 2)
    batch = Batch.from_ase(atoms)
    outputs = values_of_heads(MODEL, batch, ("dipole",))[0]
    dipoles = MODEL.layout.cartesian("dipole", outputs)
    assert np.abs(dipoles.sum(axis=0) - answers(MODEL, atoms, ["dipole"]).dipole[0]).max() < 1e-12
    expected, own = energy_by_waves(dipoles, atoms.positions, atoms.cell.array, WIDTH)
    found = PERMITTIVITY * answers(OWN, atoms).energy[0]
    assert abs(expected) > 0.01 * own  # which is what single dipoles have
    assert found == pytest.approx(expected, abs=1e-9 * own)


def test_molecules_without_images():
    """Two that are far apart have the energy of point dipoles."""
    first = random_structure(4, 1)
    first.pbc = False
    second = random_structure(5, 1)
    second.pbc = False
    second.positions += (30.0, 10.0, -20.0)
    both = first + second
    outputs = values_of_heads(MODEL, Batch.from_ase(both), ("dipole",))[0]
    dipoles, expected = MODEL.layout.cartesian("dipole", outputs), 0.0
    for i in range(3):
        for j in range(3, 6):
            along = both.positions[j] - both.positions[i]
            length = np.linalg.norm(along)
            parts = dipoles[i] @ along, dipoles[j] @ along
            expected += dipoles[i] @ dipoles[j] / length**3 - 3 * parts[0] * parts[1] / length**5
    found = answers(OWN, both).energy[0] - answers(OWN, first).energy[0] - answers(OWN, second).energy[0]
    assert found == pytest.approx(COULOMB / PERMITTIVITY * expected, rel=1e-6)


@pytest.mark.parametrize("periodic", [(True, True, True), (True, True, False), (False, False, False)])
def test_forces_by_differences(periodic):
    atoms, step = random_structure(2, 2), 1e-4
    atoms.pbc = periodic
    found = answers(OWN, atoms)
    scale = np.abs(found.forces).max()
    for atom, axis in ((0, 0), (2, 1), (4, 2)):
        ends = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            ends.append(answers(OWN, moved, ["energy"]).energy[0])
        assert -(ends[0] - ends[1]) / (2 * step) == pytest.approx(found.forces[0, atom, axis], abs=1e-6 * scale)


def test_virial_by_differences():
    atoms, step = random_structure(2, 2), 1e-4
    found = answers(OWN, atoms).virial[0]
    for a, b in ((0, 0), (1, 2), (2, 0)):
        ends = []
        for sign in (1, -1):
            strained, strain = atoms.copy(), np.eye(3)
            strain[a, b] += sign * step
            strained.set_cell(atoms.cell.array @ strain.T, scale_atoms=True)
            ends.append(answers(OWN, strained, ["energy"]).energy[0])
        assert -(ends[0] - ends[1]) / (2 * step) == pytest.approx(found[a, b], abs=1e-6 * np.abs(found).max())


def test_symmetries():
    atoms = random_structure(3, 2)
    found = answers(OWN, atoms)
    scale = np.abs(found.forces).max()
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]  # an inversion among them, or not
    for rotation in (turn, -turn):
        turned = atoms.copy()
        turned.set_cell(atoms.cell.array @ rotation.T)
        turned.positions = atoms.positions @ rotation.T
        other = answers(OWN, turned)
        assert other.energy[0] == pytest.approx(found.energy[0], rel=1e-10)
        assert np.abs(other.forces[0] - found.forces[0] @ rotation.T).max() < 1e-10 * scale
        assert np.abs(other.virial[0] - rotation @ found.virial[0] @ rotation.T).max() < 1e-9 * scale
    order = np.random.default_rng(1).permutation(len(atoms))
    moved = atoms[order]
    moved.positions[0] += atoms.cell.array[1] - 2 * atoms.cell.array[0]
    assert np.abs(answers(OWN, moved).forces[0] - found.forces[0][order]).max() < 1e-10 * scale
    assert answers(OWN, atoms.repeat((1, 2, 1))).energy[0] == pytest.approx(2 * found.energy[0], rel=1e-8)


def test_a_file_is_answered_for_with_its_field(tmp_path):
    save(replace(MODEL, baseline=NAME), tmp_path / "polar.safetensors")
    loaded, atoms = load(tmp_path / "polar.safetensors"), random_structure(5, 2)
    assert isinstance(loaded, Corrected) and isinstance(loaded.baseline, OwnDipoles)
    found, field, local = answers(loaded, atoms), answers(OWN, atoms), answers(MODEL, atoms)
    for name in ENERGIES:
        assert np.array_equal(found[name], local[name] + field[name])
    together = load_evaluator(f"committee:{tmp_path}/polar.safetensors,{tmp_path}/polar.safetensors")
    assert np.abs(answers(together, atoms).forces - found.forces).max() < 1e-12
    with pytest.raises(BaselineError, match="no potential by itself"):
        load_evaluator(NAME)


def test_a_fit_on_its_own_dipoles_gives_the_reference(tmp_path):
    """Labels that are local energies and the field of the dipoles that a fit finds: both are found again.

    The dipoles are fitted once without an energy, since their sum alone does not tell those of single atoms.
    """
    truth = random_model(heads=["energy", "dipole"])
    structures = {"train.xyz": [molecules(seed) for seed in range(24)], "valid.xyz": [molecules(100)]}
    path = configuration(tmp_path, NAME, "[dipole]\nl_max = 2\n")
    whole, field = path.read_text(), None
    for has_energy in (False, True):
        for file, frames in structures.items():
            for atoms in frames:
                label(truth, atoms, field)
            write(tmp_path / file, frames, format="extxyz")
        path.write_text(whole if has_energy else re.sub(r"\[energy\].*?(?=\[dipole\])", "", whole, flags=re.S))
        result = invoke("fit", path)
        assert result.exit_code == 0, result.output
        fitted = load(tmp_path / "fitted.safetensors")
        field = field or OwnDipoles.of(NAME, fitted)
    batch = Batch.from_ase([molecules(seed) for seed in range(200, 204)])
    found, local = (one.evaluate(batch, ENERGIES) for one in (fitted, truth))
    far = field.evaluate(batch, ENERGIES)
    for name in ("forces", "virial"):
        tolerance = 1e-5 * np.abs(local[name]).max()
        assert np.abs(far[name]).max() > 30 * tolerance
        assert np.abs(found[name] - local[name] - far[name]).max() < tolerance, name
    errors = fitted.metadata["errors"]["validation"]["valid.xyz"]["properties"]
    assert errors["forces"]["root_mean_square_error"] < 1e-2  # meV/Å, of the whole


def label(truth, atoms, field):
    """What a model says of a structure as labels, with the energy of a field."""
    found = answers(truth, atoms, (*ENERGIES, "dipole"))
    results = {"dipole": found.dipole[0]}
    if field is not None:
        own = answers(field, atoms)
        results |= {"energy": found.energy[0] + own.energy[0], "forces": found.forces[0] + own.forces[0]}
        results["stress"] = -(found.virial[0] + own.virial[0]) / atoms.get_volume()
    atoms.calc = SinglePointCalculator(atoms, **results)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("own-dipoles:", "''"),
        ("own-dipoles:width=1", "no permittivity"),
        ("own-dipoles:permittivity=0.5", "0.5; allowed are numbers from 1"),
        ("own-dipoles:permittivity=two", "permittivity=two"),
        ("own-dipoles:permittivity=2,permittivity=3", "permittivity=3"),
        ("own-dipoles:permittivity=2,width=0", "width of own-dipoles is 0"),
        ("own-dipoles:permittivity=2,wide=3", "wide=3"),
    ],
)
def test_names_that_are_refused(name, said):
    with pytest.raises(BaselineError, match=said):
        OwnDipoles.of(name, MODEL)


def test_models_and_structures_that_are_refused():
    with pytest.raises(BaselineError, match="needs a model with a dipole"):
        OwnDipoles(random_model(heads=["energy"]), 2.0)
    with pytest.raises(BaselineError, match="total charge 1 e"):
        OwnDipoles(random_model(heads=["energy", "dipole"], metadata={"net_charge": 1.0}), 2.0)
    wire = random_structure(2, 2)
    wire.pbc = (True, False, False)
    with pytest.raises(StructureError, match="periodic directions"):
        answers(OWN, wire)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("", r"needs a section \[dipole\]"),
        ("[dipole]\nnominal_charges = {O = -2, H = 1}", "nominal_charges"),
        ("[dipole]\n[committee]\nmembers = 5", r"\[committee\]"),
        ("[dipole]\n[equivariant]\nchannels = 8\nl_max = 2", "linear = False"),
    ],
)
def test_fits_that_are_refused(tmp_path, more, said):
    path = configuration(tmp_path, NAME, more)
    with pytest.raises(ConfigurationError, match=said):
        fit(read_configuration(path))
