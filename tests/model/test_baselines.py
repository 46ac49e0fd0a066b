"""Harmonic trap and Lennard-Jones atoms: a slow twin, finite differences, symmetries, refusals, and i-PI's own."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from beadwise.driver.commands.options import parse_models
from beadwise.model import Batch, BeadwiseError, PropertyError, StructureError
from beadwise.model.baselines import Harmonic, LennardJones
from beadwise.model.calculator import Calculator
from beadwise.model.errors import EvaluatorError
from beadwise.model.evaluators import load_evaluator
from beadwise.model.qtip4pf import PotentialError
from beadwise.runs.units import BOHR_PER_ANGSTROM, HARTREE_PER_ELECTRONVOLT
from ipi_pair import Side, beadwise, largest_differences, properties, reference, run_together

ALL = ("energy", "forces", "virial")
WELL_DEPTH, DIAMETER, CUTOFF = 0.0104, 3.4, 8.5  # argon
SKEWED = np.array([[7.6, 0.0, 0.0], [1.9, 7.4, 0.0], [-1.4, 1.1, 7.9]])  # smaller than the cutoff


def crystal(seed=0):
    """Four atoms of a distorted face-centred lattice in a skewed cell."""
    corners = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]) @ SKEWED
    noise = np.random.default_rng(seed).normal(scale=0.2, size=(4, 3))
    return Atoms("Ar4", corners + noise, cell=SKEWED, pbc=True)


def cluster(seed=0):
    """Eight atoms, wider than the cell that is not theirs."""
    grid = np.array(list(itertools.product((0, 3.9), repeat=3))) + 20.0
    return Atoms("Ar8", grid + np.random.default_rng(seed).normal(scale=0.2, size=(8, 3)), cell=[5, 5, 5], pbc=True)


PERIODIC = LennardJones(WELL_DEPTH, DIAMETER, CUTOFF), crystal
ISOLATED = LennardJones(WELL_DEPTH, DIAMETER), cluster
both = pytest.mark.parametrize(("evaluator", "make"), [PERIODIC, ISOLATED], ids=["periodic", "isolated"])


def written(atoms):
    """As a file."""
    text = io.StringIO()
    write(text, atoms, format="extxyz")
    return text.getvalue()


def answer(evaluator, atoms):
    response = evaluator.evaluate(Batch.from_ase(atoms), ALL)
    return {name: response[name][0] for name in ALL}


def assert_agree(found, expected, tolerance=1e-12):
    for name in expected:
        scale = np.abs(expected[name]).max()
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=tolerance * scale, err_msg=name)


def derivative(function, step):
    """Central difference of fourth order at zero."""
    return (8 * (function(step) - function(-step)) - (function(2 * step) - function(-2 * step))) / (12 * step)


def twin(atoms, cutoff):
    """Energy and forces of Lennard-Jones atoms, pair by pair and image by image."""

    def energy(distance):
        return 4 * WELL_DEPTH * ((DIAMETER / distance) ** 12 - (DIAMETER / distance) ** 6)

    images = itertools.product(range(-3, 4), repeat=3) if cutoff else [(0, 0, 0)]
    total, forces, virial = 0.0, np.zeros((len(atoms), 3)), np.zeros((3, 3))
    for image, i, j in itertools.product(list(images), range(len(atoms)), range(len(atoms))):
        vector = atoms.positions[j] + image @ atoms.cell.array - atoms.positions[i]
        distance = np.linalg.norm(vector)
        if distance == 0 or distance >= (cutoff or np.inf):
            continue
        total += (energy(distance) - (energy(cutoff) if cutoff else 0)) / 2
        slope = 24 * WELL_DEPTH * ((DIAMETER / distance) ** 6 - 2 * (DIAMETER / distance) ** 12) / distance
        forces[i] += slope * vector / distance
        virial -= slope / distance * np.outer(vector, vector) / 2
    return {"energy": total, "forces": forces, "virial": virial}


@both
def test_lennard_jones_agrees_with_the_twin(evaluator, make):
    assert_agree(answer(evaluator, make()), twin(make(), evaluator.cutoff))


def test_known_values():
    pair = Atoms("Ar2", [[0, 0, 0], [DIAMETER * 2 ** (1 / 6), 0, 0]])
    found = answer(LennardJones(WELL_DEPTH, DIAMETER), pair)
    np.testing.assert_allclose(found["energy"], -WELL_DEPTH, rtol=1e-14)
    np.testing.assert_allclose(found["forces"], 0, atol=1e-16)
    harmonic = answer(Harmonic(2.0), Atoms("H2", [[1, 2, 3], [0, 0, -1]]))
    np.testing.assert_array_equal(harmonic["energy"], 15.0)
    np.testing.assert_array_equal(harmonic["forces"], [[-2, -4, -6], [0, 0, 2]])


@pytest.mark.parametrize(
    ("evaluator", "make"), [PERIODIC, ISOLATED, (Harmonic(3.0), cluster)], ids=["periodic", "isolated", "harmonic"]
)
def test_forces_are_derivatives(evaluator, make):
    atoms = make()
    for atom, axis in np.ndindex(len(atoms), 3):

        def displaced(step, atom=atom, axis=axis):
            trial = atoms.copy()
            trial.positions[atom, axis] += step
            return answer(evaluator, trial)["energy"]

        force = answer(evaluator, atoms)["forces"][atom, axis]
        np.testing.assert_allclose(force, -derivative(displaced, 1e-3), rtol=1e-8, atol=1e-9)


@both
def test_the_virial_is_a_derivative(evaluator, make):
    atoms = make(seed=2)
    virial = answer(evaluator, atoms)["virial"]
    np.testing.assert_allclose(virial, virial.T, atol=1e-13)
    for i, j in np.ndindex(3, 3):

        def strained(step, i=i, j=j):
            trial, strain = atoms.copy(), np.eye(3)
            strain[i, j] += step
            trial.set_cell(atoms.cell.array @ strain.T)
            trial.positions = atoms.positions @ strain.T
            return answer(evaluator, trial)["energy"]

        np.testing.assert_allclose(virial[i, j], -derivative(strained, 1e-4), rtol=1e-7, atol=1e-8)


def test_the_trap_stays_where_it_is():
    """Its virial is the derivative with respect to the cell alone, at given positions."""
    atoms, wider = cluster(), cluster()
    wider.set_cell([9, 9, 9])
    assert answer(Harmonic(3.0), wider)["energy"] == answer(Harmonic(3.0), atoms)["energy"]
    np.testing.assert_array_equal(answer(Harmonic(3.0), atoms)["virial"], 0)


def test_the_energy_ends_continuously():
    distances = CUTOFF + np.array([-1e-7, 1e-7])
    positions = np.zeros((2, 2, 3))
    positions[:, 1, 0] = distances
    batch = Batch(np.array([18, 18]), positions, np.zeros((2, 3, 3)), np.zeros(3, bool))
    inside, outside = PERIODIC[0].evaluate(batch, ("energy",)).energy
    assert outside == 0 and abs(inside) < 1e-9


@pytest.mark.parametrize(
    ("evaluator", "make"), [PERIODIC, ISOLATED, (Harmonic(3.0), cluster)], ids=["periodic", "isolated", "harmonic"]
)
def test_permuted(evaluator, make):
    atoms = make()
    order = np.random.default_rng(5).permutation(len(atoms))
    before, after = answer(evaluator, atoms), answer(evaluator, atoms[order])
    assert_agree(after, {**before, "forces": before["forces"][order]})


@both
def test_translated(evaluator, make):
    moved = make()
    moved.positions += [0.3, -11.2, 5.1]
    assert_agree(answer(evaluator, moved), answer(evaluator, make()))


def test_other_images_and_another_cell_of_the_same_lattice():
    evaluator, atoms, moved = PERIODIC[0], crystal(), crystal()
    moved.positions += np.random.default_rng(1).integers(-3, 4, size=(4, 3)) @ SKEWED
    moved.set_cell(np.array([[1, 0, 0], [-1, 1, 0], [1, 0, 1]]) @ SKEWED)
    assert_agree(answer(evaluator, moved), answer(evaluator, atoms))
    double = answer(evaluator, atoms.repeat((1, 2, 1)))
    assert_agree({"energy": double["energy"] / 2}, {"energy": answer(evaluator, atoms)["energy"]})


@both
def test_beads_do_not_matter(evaluator, make):
    beads = [make(seed) for seed in range(3)]
    together = evaluator.evaluate(Batch.from_ase(beads), ALL)
    for index, atoms in enumerate(beads):
        for name, value in answer(evaluator, atoms).items():
            np.testing.assert_array_equal(together[name][index], value)


def test_one_atom_and_an_ase_calculator():
    assert answer(ISOLATED[0], Atoms("Ar"))["energy"] == 0
    atoms = crystal()
    atoms.calc = Calculator(PERIODIC[0])
    expected = answer(PERIODIC[0], atoms)
    np.testing.assert_allclose(atoms.get_potential_energy(), expected["energy"])
    np.testing.assert_allclose(atoms.get_stress(voigt=False), -expected["virial"] / atoms.get_volume(), atol=1e-14)


def test_found_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    harmonic = load_evaluator("harmonic:k=1.5")
    assert isinstance(harmonic, Harmonic) and harmonic.k == 1.5
    argon = load_evaluator("lennard-jones: sigma=3.4, epsilon=1.04e-2")
    assert isinstance(argon, LennardJones)
    assert (argon.epsilon, argon.sigma, argon.cutoff) == (0.0104, 3.4, None)
    assert load_evaluator("lennard-jones:epsilon=0.0104,sigma=3.4,cutoff=8.5").cutoff == 8.5
    assert parse_models(["harmonic:k=1.5"], "water") == {"": "harmonic:k=1.5"}
    assert parse_models(["cheap=harmonic:k=1.5"], "water") == {"": "water", "cheap": "harmonic:k=1.5"}
    (tmp_path / "harmonic:k=1.5").write_text("a file of the user's own goes first")
    with pytest.raises(BeadwiseError, match="is not a readable model file"):
        load_evaluator("harmonic:k=1.5")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("harmonic", "parameter k of the potential harmonic is missing; it is written harmonic:k=K"),
        ("harmonic:", "parameter k .* is missing"),
        ("harmonic:stiffness=1", "'stiffness' is no parameter of the potential harmonic"),
        ("harmonic:spring", "'spring' is no parameter of the potential harmonic"),
        ("harmonic:k=stiff", "parameter k .* is 'stiff', which is no number"),
        ("harmonic:k", "parameter k .* is '', which is no number"),
        ("harmonic:k=1,k=2", "parameter k .* is given twice"),
        ("lennard-jones:sigma=3", r"epsilon .* missing; .*:epsilon=EPSILON,sigma=SIGMA\[,cutoff=CUTOFF\]"),
        ("qtip4pf:cutoff=9", "'cutoff' is no parameter of the potential qtip4pf; it is written qtip4pf$"),
        ("no_such_module:thing", "cannot import .* allowed are a model file, the potentials qtip4pf, harmonic:k=K,"),
    ],
)
def test_names_that_are_refused(name, message):
    with pytest.raises(EvaluatorError, match=message):
        load_evaluator(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("harmonic:k=0", "k of harmonic is 0.0 eV/Å²; it must be finite and above 0"),
        ("harmonic:k=nan", "k of harmonic is nan"),
        ("harmonic:k=inf", "k of harmonic is inf"),
        ("lennard-jones:epsilon=-1,sigma=3", "epsilon of lennard-jones is -1.0 eV;"),
        ("lennard-jones:epsilon=1,sigma=0", "sigma of lennard-jones is 0.0 Å;"),
        ("lennard-jones:epsilon=1,sigma=3,cutoff=-1", "cutoff of lennard-jones is -1.0 Å;"),
        ("lennard-jones:epsilon=1,sigma=3,cutoff=2", "cutoff .* is 2.0 Å; it must be longer than sigma, 3.0 Å"),
    ],
)
def test_parameters_that_are_refused(name, message):
    with pytest.raises(PotentialError, match=message):
        load_evaluator(name)


def test_what_cannot_be_answered():
    for evaluator, name in ((Harmonic(1.0), "harmonic"), (ISOLATED[0], "lennard-jones")):
        with pytest.raises(PropertyError, match=f"'dipole' is not available; {name} has"):
            evaluator.evaluate(Batch.from_ase(cluster()), ("dipole",))
    for evaluator, make in (PERIODIC, ISOLATED):
        atoms = make()
        atoms.positions[3] = atoms.positions[1] + [0, 0.2, 0]
        with pytest.raises(StructureError, match=r"atoms 1 and 3 of bead 0 are 0.2 Å apart; .* at least 0.34 Å"):
            evaluator.evaluate(Batch.from_ase(atoms), ALL)
    thin = Atoms("Ar", cell=[0.3, 9, 9], pbc=True)
    with pytest.raises(StructureError, match=r"atoms 0 and 0 of bead 0 are 0\.3 Å apart"):
        PERIODIC[0].evaluate(Batch.from_ase(thin), ALL)


INPUT = """
<simulation verbosity='low' floatformat='%.17e'>
  <output prefix='out'>
    <properties filename='properties' stride='1'> [step, OBSERVED] </properties>
  </output>
  <total_steps>STEPS</total_steps>
  <prng><seed>11</seed></prng>
  FIELD
  <system>
    <initialize nbeads='BEADS'>
      <file mode='ase' units='angstrom'>start.xyz</file><velocities mode='thermal' units='kelvin'>60</velocities>
    </initialize>
    <forces><force forcefield='field'/></forces>
    <motion mode=MOTION</motion>
    <ensemble><temperature units='kelvin'>60</temperature></ensemble>
  </system>
</simulation>
"""
SOCKET = "<ffsocket mode='unix' name='field' pbc='false'><address>@0</address></ffsocket>"
DYNAMICS = """'dynamics'><dynamics mode='nvt'><timestep units='femtosecond'>2</timestep>
  <thermostat mode='pile_l'><tau units='femtosecond'>100</tau></thermostat></dynamics>"""
MINIMIZATION = "'minimize'><optimizer mode='bfgs'/>"


def ipi_input(field, motion, steps, beads):
    observed = "potential, conserved, kinetic_cv" if "dynamics" in motion else "potential"
    settings = {"OBSERVED": observed, "STEPS": steps, "FIELD": field, "MOTION": motion, "BEADS": beads}
    text = INPUT.strip()
    for name, value in settings.items():
        text = text.replace(name, str(value))
    return text


@pytest.mark.parametrize(("motion", "beads"), [(DYNAMICS, 4), (MINIMIZATION, 1)], ids=["dynamics", "minimization"])
def test_the_same_as_the_lennard_jones_potential_inside_ipi(motion, beads, tmp_path):
    depth, diameter = WELL_DEPTH * HARTREE_PER_ELECTRONVOLT, DIAMETER * BOHR_PER_ANGSTROM
    parameters = f"<parameters>{{eps: {depth!r}, sigma: {diameter!r}}}</parameters>"
    inside = ipi_input(f"<fflj name='field' pbc='false'>{parameters}</fflj>", motion, 12, beads)
    served = beadwise(f"lennard-jones:epsilon={WELL_DEPTH},sigma={DIAMETER}")
    sides = {"inside": Side(inside), "served": Side(ipi_input(SOCKET, motion, 12, beads), [served])}
    folders = run_together(tmp_path, written(cluster()), sides)
    assert len(properties(folders["served"])) == 13
    assert max(largest_differences(*folders.values()).values()) < 1e-9


def test_the_same_as_the_harmonic_potential_of_the_driver_of_ipi(tmp_path):
    text = ipi_input(SOCKET, DYNAMICS, 20, 4)
    sides = {"reference": Side(text, [reference(2.5)]), "served": Side(text, [beadwise("harmonic:k=2.5")])}
    folders = run_together(tmp_path, written(cluster()), sides)
    assert len(properties(folders["served"])) == 21
    assert max(largest_differences(*folders.values()).values()) < 1e-9
