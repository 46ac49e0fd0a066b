"""Charges of molecules that a fit with long-range potentials is told: rows, bonds, what they bring, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from beadwise.learning.fitting.configuration import ConfigurationError, read_configuration
from beadwise.learning.fitting.fit import fit
from beadwise.learning.fitting.least_squares import NormalEquations, Told
from beadwise.learning.fitting.long_range.molecules import Bonds, pair_row, seen
from beadwise.model.electrostatics import COULOMB, Electrostatics
from beadwise.potentials.lode import direct
from beadwise.potentials.lode.features import LongRange
from beadwise.potentials.lode.settings import Expansion, LongRangeShape

SIDE = 14.0
FIT = """
[data]
train = ["train.xyz"]
[density]
cutoff = 4.0
radial = 2
l_max = 2
[energy]
energy_error = 0.0003
ridge = 1e-10
[lode]
smearing = 0.9
radius = 1.5
neighbours = 1
{lode}
[output]
model = "fitted.safetensors"
"""


def pair(symbols: str, distance: float, charges: tuple[float, float], seed: int = 0) -> Atoms:
    """Two ions with the energy of Ewald's sum, whose cell has a background."""
    generator = np.random.default_rng(seed)
    direction = generator.normal(size=3)
    places = np.array([np.zeros(3), distance * direction / np.linalg.norm(direction)])
    atoms = Atoms(symbols, positions=places + generator.uniform(0, SIDE, 3), cell=np.eye(3) * SIDE, pbc=True)
    sums = Electrostatics(atoms.positions[None], atoms.cell.array[None], periodic=(True, True, True))
    found = sums.energy(np.array([charges]))
    atoms.calc = SinglePointCalculator(
        atoms, energy=float(np.ravel(found.energy)[0]), forces=found.forces.reshape(2, 3)
    )
    return atoms


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("charges")
    near = [pair("HeAr", distance, (1, -1), seed) for seed, distance in enumerate(np.arange(2.4, 5.6, 0.4))]
    write(place / "train.xyz", near, format="extxyz")
    return place


def fitted(folder, lode):
    (folder / "fit.toml").write_text(FIT.format(lode=lode))
    return fit(read_configuration(folder / "fit.toml"))


class OfSpecies:
    """What `seen` asks of a model."""

    def __init__(self, numbers):
        self.numbers = list(numbers)

    def species_indices(self, numbers):
        return np.array([self.numbers.index(number) for number in numbers])


def test_rows_are_the_far_energy_of_any_weights(monkeypatch):
    """Energies of two molecules 30 Å apart, averaged over six sides, where fields of dipoles and quadrupoles cancel."""
    monkeypatch.setattr(direct, "FINE", 0.2)  # points of the table of 1/r, most of which are near and cancel
    monkeypatch.setattr(direct, "COARSE", 0.02)
    shape = LongRangeShape(Expansion((3, 1), 1.1, 2.0, 2, 1), 3, 4.0, 2)
    weights = np.random.default_rng(1).normal(size=(3, shape.features(0)))
    weights.reshape(3, -1, shape.potentials)[:, :, : shape.potentials // 2] = 0.0  # of 1/r³, whose average is not 0
    model, apart = OfSpecies([1, 6, 8]), 30.0
    first, second = molecule("CH3OH"), molecule("H2O")
    for own in (first, second):
        own.positions -= own.positions.mean(axis=0)

    def energy(atoms):
        species = model.species_indices(atoms.numbers)
        own = LongRange(shape, atoms.positions, species, np.eye(3), (False,) * 3)
        return float((own.features(0)[:, :, 0] * weights[species]).sum())

    joint = []
    for side in (*np.eye(3), *-np.eye(3)):
        moved = second.copy()
        moved.translate(apart * side)
        joint.append(energy(first + moved))
    slow = (np.mean(joint) - energy(first) - energy(second)) * apart
    row = pair_row(shape, *(seen(model, shape, own) for own in (first, second)))
    assert row @ weights.ravel() == pytest.approx(slow, rel=1e-5)


def test_told_rows_are_rows_that_leave_the_regularisation_alone():
    generator = np.random.default_rng(2)
    rows, targets = generator.normal(size=(9, 5)), generator.normal(size=9)
    told = Told(generator.normal(size=(2, 3)), generator.normal(size=2))
    equations = NormalEquations(5)
    equations.add(rows, targets)
    prior = len(rows) / (rows**2).sum(axis=0)
    total = prior @ (rows**2).sum(axis=0) / len(rows)
    every = np.vstack([rows, np.hstack([np.zeros((2, 2)), told.rows]), np.diag(np.sqrt(0.1 * total / prior))])
    dense = np.linalg.lstsq(every, np.concatenate([targets, told.targets, np.zeros(5)]), rcond=None)[0]
    np.testing.assert_allclose(equations.solve(0.1, told=told), dense, atol=1e-12)


def test_molecules_over_the_edge_of_a_cell_are_made_whole():
    methanol, water = molecule("CH3OH"), molecule("H2O")
    water.translate([0.0, 4.0, 0.0])
    atoms = methanol + water
    atoms.set_cell([[8.0, 0, 0], [1.0, 9.0, 0], [0, 2.0, 8.5]])
    atoms.pbc = True
    atoms.positions += [-0.3, 0.2, 0.1]
    atoms.wrap()
    bonds = Bonds(atoms)
    found = bonds.molecules()
    assert [own.tolist() for own in found] == [[0, 1, 2, 3, 4, 5], [6, 7, 8]]
    for own, alone in zip(found, (methanol, water), strict=True):
        whole = bonds.alone(own)
        np.testing.assert_allclose(whole.get_all_distances(), alone.get_all_distances(), atol=1e-10)


def far_energy(model, *symbols) -> float:
    """Of two atoms, times their distance."""
    shape = model.long_range.shape
    row = pair_row(shape, *(seen(model, shape, Atoms(symbol)) for symbol in symbols))
    return float(row @ model.long_range.weights.ravel())


def test_far_energies_are_those_of_the_charges(folder, caplog):
    model = fitted(folder, "charges = {He = 1, Ar = -1}\ncharge_error = 1e-6")
    assert far_energy(model, "He", "Ar") == pytest.approx(-COULOMB, rel=1e-4)
    assert "charge_error" not in caplog.text
    neutral = fitted(folder, "charges = {He = 0, Ar = 0}\ncharge_error = 1e-9")
    assert abs(far_energy(neutral, "He", "Ar")) < 0.01 * COULOMB


def test_charges_that_the_training_denies_are_told_in_the_log(folder, caplog):
    fitted(folder, "charges = {He = 1, Ar = -3}\ncharge_error = 0.1")
    assert "charges of molecules in [lode] are missed by" in caplog.text


@pytest.mark.parametrize(
    ("lode", "message"),
    [
        ("charges = {CH4 = 0}", r"charges in \[lode\] names 'CH4', which no training frame has; .* \['Ar', 'He'\]"),
        ("charges = {He = 1}", r"names \['He'\], two of which no training frame has together"),
        ("charges = {Xq = 0}", r"charges in \[lode\] names 'Xq'; allowed are chemical formulas such as C2H6"),
        ("charges = {H2O = 0, OH2 = 0}", r"names 'H2O' and 'OH2', which are one molecule; once is needed"),
        ("exponents = [3]\ncharges = {He = 1}", r"charges in \[lode\] with exponents = \[3\]; .* exponent 1"),
        ("charges = {He = inf}", r"charges"),
        ("charge_error = 0.0", r"charge_error"),
    ],
)
def test_charges_that_are_refused(folder, lode, message):
    with pytest.raises(ConfigurationError, match=message) as refusal:
        fitted(folder, lode)
    assert "\n" not in str(refusal.value)


def test_what_is_bonded_to_its_own_image_is_no_molecule(tmp_path):
    chain = Atoms("C2He", positions=[[0, 0, 0], [1.3, 0, 0], [1, 5, 5]], cell=[2.6, 12.0, 12.0], pbc=True)
    chain.calc = SinglePointCalculator(chain, energy=-1.0)
    write(tmp_path / "train.xyz", [chain], format="extxyz")
    with pytest.raises(ConfigurationError, match="'C2', which is bonded to its own image in frame 0 of"):
        fitted(tmp_path, "charges = {C2 = 0, He = 0}")
