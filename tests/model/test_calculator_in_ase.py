"""The calculator in what people do with ASE: names, copies, processes, bands, dynamics, databases, trajectories."""

from __future__ import annotations

import copy
import multiprocessing
import pickle

import ase.db
import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms
from ase.io.trajectory import Trajectory
from ase.md.langevin import Langevin
from ase.mep import NEB
from ase.optimize import FIRE
from ase.vibrations import Vibrations
from beadwise.errors import BeadwiseError
from beadwise.model import Batch, StructureError
from beadwise.model.ase_potential import AsePotential
from beadwise.model.calculator import Calculator, KeywordError, UnavailableError
from beadwise.model.evaluators import load_evaluator
from toy import Toy, water

NAMES = [
    "water",
    "member:0,water",
    "correction:water_gfn1",
    "committee:water,water_short",
    "qtip4pf",
    "harmonic:k=1.0",
    "lennard-jones:epsilon=0.01,sigma=0.5",
    "ase:ase.calculators.lj.LennardJones:sigma=0.5",
]
WITH_TIGHT_BINDING = [
    "GFN2-xTB,isolated=true",
    "water_gfn1",
    "committee:water_gfn1,water_gfn1",
    "weighted-baseline:uncertainty=0.1,water_gfn1,water_gfn1",
]


@pytest.fixture
def atoms() -> Atoms:
    return water()


@pytest.mark.parametrize("name", [*NAMES, *WITH_TIGHT_BINDING])
def test_whatever_answers_can_be_copied_and_sent(name, atoms):
    if name in WITH_TIGHT_BINDING:
        pytest.importorskip("tblite")
    evaluator = load_evaluator(name)
    expected = evaluator.evaluate(Batch.from_ase(atoms), ["energy", "forces"])
    atoms.calc = Calculator(name)
    energy = atoms.get_potential_energy()
    for own in (pickle.loads(pickle.dumps(evaluator)), copy.deepcopy(evaluator), copy.copy(evaluator)):
        found = own.evaluate(Batch.from_ase(atoms), ["energy", "forces"])
        np.testing.assert_allclose(found.forces, expected.forces, atol=1e-9)
    for own in (pickle.loads(pickle.dumps(atoms.calc)), copy.deepcopy(atoms.calc)):
        assert own.name == f"beadwise:{name}" and own.todict() == {"model": name, "threads": 1}
        own.reset()
        assert own.get_property("energy", atoms) == pytest.approx(energy, abs=1e-9)


def test_a_calculator_of_ase_that_cannot_be_copied_is_made_again():
    copper = bulk("Cu")
    evaluator = load_evaluator("ase:ase.calculators.emt.EMT")
    energy = evaluator.evaluate(Batch.from_ase(copper), ["energy"]).energy
    assert pickle.loads(pickle.dumps(evaluator)).evaluate(Batch.from_ase(copper), ["energy"]).energy == energy
    own = copy.deepcopy(AsePotential(LennardJones(epsilon=0.5)))  # one without a name is copied as it is
    assert own.calculator.parameters.epsilon == 0.5


def energy_of(calculator: Calculator, atoms: Atoms) -> float:
    return calculator.get_property("energy", atoms)


def test_other_processes_answer_the_same(atoms):
    calculators = [Calculator("qtip4pf"), Calculator("water")]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.starmap(energy_of, [(own, atoms) for own in calculators])
    assert found == pytest.approx([energy_of(own, atoms) for own in calculators], abs=1e-12)


def test_uncertainties_by_their_names(atoms):
    calculator = Calculator("water")
    expected = calculator.evaluator.evaluate(
        Batch.from_ase(atoms), ["energy_uncertainty", "forces_uncertainty", "envelope_distance", "committee_energy"]
    )
    atoms.calc = calculator
    atoms.get_forces()
    assert "energy_uncertainty" not in calculator.results  # dynamics is not to be slower for it
    for name in expected.names:
        np.testing.assert_allclose(calculator.get_property(name, atoms), expected[name][0], atol=1e-9)
    assert {*expected.names, "energy", "forces", "polarizability"} <= set(calculator.results)
    assert isinstance(calculator.results["energy_uncertainty"], float)
    assert calculator.results["forces_uncertainty"].shape == (6,)
    atoms.positions[0] += 0.01
    atoms.get_forces()
    assert "energy_uncertainty" not in calculator.results


def test_what_is_asked_for_later_is_evaluated_alone(atoms):
    calculator = Calculator(Toy())
    atoms.calc = calculator
    atoms.get_forces()
    calculator.get_property("born_effective_charges", atoms)
    calculator.get_property("molecular_dipole", atoms)
    assert calculator.evaluator.wants[1:] == [("born_charges",), ("molecular_dipole",)]
    assert {"energy", "stress", "born_effective_charges", "molecular_dipole"} <= set(calculator.results)


def test_stress_needs_a_cell_that_is_no_choice(atoms):
    atoms.calc = Calculator("water")
    assert atoms.get_stress().shape == (6,)
    virial = atoms.calc.get_property("virial", atoms)
    np.testing.assert_allclose(-virial.trace() / atoms.get_volume(), atoms.get_stress()[:3].sum())
    for periodic in (False, (True, True, False)):
        atoms.pbc = periodic
        atoms.get_forces()
        assert "stress" not in atoms.calc.results and atoms.calc.results["virial"].shape == (3, 3)
        with pytest.raises(UnavailableError, match="all three directions are needed"):
            atoms.get_stress()


@pytest.mark.parametrize(
    "arguments, match",
    [
        (
            {"thread": 2},
            "'thread' is no keyword of the calculator; allowed are model, threads.*; did you mean 'threads'",
        ),
        ({"label": "run"}, "'label' is no keyword"),
        ({"threads": 0}, "0 threads for 'water'"),
        ({"electric_field": (0, 1)}, r"electric field is \[0.0, 1.0\] V/Å"),
    ],
)
def test_wrong_keywords(arguments, match):
    with pytest.raises(BeadwiseError, match=match):
        Calculator("water", **arguments)


def test_what_else_is_refused(atoms):
    with pytest.raises(BeadwiseError, match=r"no model 'watr'.*did you mean 'water'"):
        Calculator("watr")
    with pytest.raises(KeywordError, match=r"'modle' is no keyword .* did you mean 'model'"):
        Calculator(modle="water")
    with pytest.raises(KeywordError, match="threads = 2 beside a Toy"):
        Calculator(Toy(), threads=2)
    for other in (LennardJones(), Toy, 3):
        with pytest.raises(KeywordError, match=r"a name, a path, or what beadwise\.load gives"):
            Calculator(other)
    calculator = Calculator("qtip4pf")
    with pytest.raises(KeywordError, match="for beadwise:qtip4pf; it cannot be changed"):
        calculator.set(threads=4)
    assert calculator.set(threads=1) == {}
    with pytest.raises(PropertyNotImplementedError, match="'energy_uncertainty' is not available"):
        calculator.get_property("energy_uncertainty", atoms)
    with pytest.raises(KeywordError, match="give atoms"):
        calculator.get_property("energy")
    with pytest.raises(StructureError, match="species unknown"):
        Calculator("water").get_property("energy", bulk("Cu"))


def test_it_says_what_it_is(atoms):
    calculator = Calculator("water", threads=2, electric_field=(0, 0, 0.1), atoms=atoms)
    assert atoms.calc is calculator and calculator.name == "beadwise:water" and len(repr(calculator)) < 1000
    assert repr(calculator).startswith("Calculator(model='water', threads=2, electric_field=[0.0, 0.0, 0.1])\n")
    assert "energy_uncertainty" in repr(calculator)
    without = Calculator(calculator.evaluator.in_field((0, 0, 0))).get_property("energy", atoms)
    dipole = calculator.get_property("dipole", atoms)
    assert calculator.get_property("energy", atoms) == pytest.approx(without - 0.1 * dipole[2], abs=1e-9)


def test_what_ase_collects(atoms):
    atoms.calc = Calculator("water")
    found = atoms.get_properties(["energy", "stress", "dipole", "born_effective_charges"])
    assert found["energy"] == atoms.get_potential_energy() and found["born_effective_charges"].shape == (6, 3, 3)


def test_databases_and_trajectories_keep_it(tmp_path, atoms):
    atoms.calc = Calculator("water")
    forces, stress = atoms.get_forces(), atoms.get_stress()
    with ase.db.connect(tmp_path / "rows.db") as rows:
        rows.write(atoms, uncertainty=atoms.calc.get_property("energy_uncertainty", atoms))
    row = next(iter(ase.db.connect(tmp_path / "rows.db").select(calculator="beadwise:water")))
    assert row.calculator_parameters == {"model": "water", "threads": 1} and row.energy == atoms.get_potential_energy()
    with Trajectory(tmp_path / "run.traj", "w", atoms) as trajectory:
        trajectory.write()
    ase.io.write(tmp_path / "run.xyz", atoms)
    for name in ("run.traj", "run.xyz"):
        read = ase.io.read(tmp_path / name)
        np.testing.assert_allclose(read.get_forces(), forces, atol=1e-7)
        np.testing.assert_allclose(read.get_stress(), stress, atol=1e-7)


def test_dynamics_optimisation_and_constraints(tmp_path, atoms):
    atoms.calc = Calculator("qtip4pf")
    atoms.set_constraint(FixAtoms([0]))
    fixed, energy = atoms.positions[0].copy(), atoms.get_potential_energy()
    FIRE(atoms, logfile=None, trajectory=str(tmp_path / "run.traj")).run(steps=5)
    assert atoms.get_potential_energy() < energy
    Langevin(atoms, 0.5 * units.fs, temperature_K=300, friction=0.01).run(3)
    np.testing.assert_array_equal(atoms.positions[0], fixed)
    assert len(Trajectory(tmp_path / "run.traj")) == 6


def test_a_band_of_copies(atoms):
    final = atoms.copy()
    final.positions[3:] += 0.3
    images = [atoms, atoms.copy(), atoms.copy(), final]
    calculator = Calculator("qtip4pf")
    for image in images:
        image.calc = copy.deepcopy(calculator)
    band = NEB(images)
    band.interpolate()
    assert np.isfinite(band.get_forces()).all()


def test_vibrations_of_a_molecule(tmp_path, atoms):
    molecule = Atoms("OHH", positions=atoms.positions[:3], calculator=Calculator("qtip4pf"))
    FIRE(molecule, logfile=None).run(fmax=1e-3, steps=200)
    vibrations = Vibrations(molecule, name=str(tmp_path / "vibrations"))
    vibrations.run()
    assert 1300 < vibrations.get_frequencies()[6].real < 1900
