"""Any ASE calculator: derivatives, beads, tblite's, refusals, calculators without stress, and the real i-PI."""

from __future__ import annotations

import io
import logging
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.io import write
from beadwise.driver.doors.guards import wanted_properties
from beadwise.driver.doors.responder import Responder
from beadwise.model import Batch, PropertyError, StructureError
from beadwise.model.ase_potential import AsePotential
from beadwise.model.errors import EvaluatorError
from beadwise.model.evaluators import files_of, from_any_folder, load_evaluator, parts_of
from beadwise.runs.units import BOHR_PER_ANGSTROM, HARTREE_PER_ELECTRONVOLT
from ipi_pair import Side, beadwise, dynamics_input, properties, run_together

ALL = ("energy", "forces", "virial")


def copper(seed=0, periodic=True):
    """Eight distorted atoms in a strained cell."""
    atoms = bulk("Cu", cubic=False).repeat(2)
    generator = np.random.default_rng(seed)
    atoms.positions += generator.normal(scale=0.1, size=(8, 3))
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + generator.normal(scale=0.02, size=(3, 3))), scale_atoms=True)
    atoms.pbc = periodic
    return atoms


def answer(evaluator, atoms, want=ALL):
    response = evaluator.evaluate(Batch.from_ase(atoms), want)
    return {name: response[name][0] for name in want}


def derivative(function, step):
    """Central difference of fourth order at zero."""
    return (8 * (function(step) - function(-step)) - (function(2 * step) - function(-2 * step))) / (12 * step)


@pytest.mark.parametrize("periodic", [True, False], ids=["periodic", "isolated"])
def test_forces_and_virial_are_derivatives(periodic):
    evaluator, atoms = AsePotential(EMT()), copper(periodic=periodic)
    found = answer(evaluator, atoms)
    for atom, axis in [(0, 0), (3, 1), (7, 2)]:

        def displaced(step, atom=atom, axis=axis):
            trial = atoms.copy()
            trial.positions[atom, axis] += step
            return answer(evaluator, trial)["energy"]

        np.testing.assert_allclose(found["forces"][atom, axis], -derivative(displaced, 1e-3), rtol=0, atol=1e-6)
    for i, j in np.ndindex(3, 3):

        def strained(step, i=i, j=j):
            trial, strain = atoms.copy(), np.eye(3)
            strain[i, j] += step
            trial.set_cell(atoms.cell.array @ strain.T)
            trial.positions = atoms.positions @ strain.T
            return answer(evaluator, trial)["energy"]

        np.testing.assert_allclose(found["virial"][i, j], -derivative(strained, 1e-4), rtol=0, atol=1e-5)


def test_beads_share_a_calculator_and_nothing_else():
    beads = [copper(seed) for seed in range(3)]
    evaluator = AsePotential(EMT())
    together = evaluator.evaluate(Batch.from_ase(beads), ALL)
    for index in (2, 0, 1):
        for name, value in answer(AsePotential(EMT()), beads[index]).items():
            np.testing.assert_array_equal(together[name][index], value)
        np.testing.assert_array_equal(together.energy[index], answer(evaluator, beads[index])["energy"])


def test_the_same_as_ase():
    atoms = copper()
    found = answer(AsePotential(EMT()), atoms)
    atoms.calc = EMT()
    np.testing.assert_array_equal(found["energy"], atoms.get_potential_energy(force_consistent=True))
    np.testing.assert_array_equal(found["forces"], atoms.get_forces())
    np.testing.assert_allclose(found["virial"], -atoms.get_stress(voigt=False) * atoms.get_volume(), rtol=1e-13)


@pytest.mark.parametrize("method", ["GFN1-xTB", "GFN2-xTB"])
def test_the_same_as_tight_binding(method):
    pytest.importorskip("tblite", reason="tblite is not installed: pip install 'beadwise[tblite]'")
    through_ase = load_evaluator(f"ase:tblite.ase.TBLite:method={method},verbosity=0,accuracy=0.01")
    assert through_ase.properties == ("energy", "forces", "virial", "dipole")
    direct = load_evaluator(f"tblite:{method}")
    atoms = molecule("H2O", cell=[6, 6, 6], pbc=True)
    atoms.positions += np.random.default_rng(2).normal(scale=0.03, size=(3, 3))
    expected = answer(direct, atoms)
    for name, value in answer(through_ase, atoms).items():
        np.testing.assert_allclose(value, expected[name], rtol=0, atol=1e-10, err_msg=name)
    alone = molecule("H2O")
    dipole = answer(through_ase, alone, ("dipole",))["dipole"]
    assert dipole[2] == pytest.approx({"GFN1-xTB": -0.597, "GFN2-xTB": -0.476}[method], abs=1e-3)  # e Å


def test_the_total_charge_reaches_the_calculator():
    pytest.importorskip("tblite", reason="tblite is not installed: pip install 'beadwise[tblite]'")
    name = "tblite.ase.TBLite:method=GFN1-xTB,verbosity=0,accuracy=0.01"
    through_ase, atoms = load_evaluator(f"ase:{name}"), molecule("H2O")
    neutral = answer(through_ase, atoms)
    for charge in (1, -1, 0):  # of the same positions, so that each begins with the electrons of the one before
        atoms.info["charge"] = charge
        expected = answer(load_evaluator(f"tblite:GFN1-xTB,charge={charge}"), atoms)
        for name_of, value in answer(through_ase, atoms).items():
            np.testing.assert_allclose(value, expected[name_of], rtol=0, atol=1e-6, err_msg=name_of)
        assert (abs(expected["energy"] - neutral["energy"]) > 0.5) == bool(charge)
    atoms.info["charge"] = 1
    other = "structures have the charge 1, and the ASE calculator TBLite is asked with charge=-1"
    with pytest.raises(StructureError, match=other):
        answer(load_evaluator(f"ase:{name},charge=-1"), atoms)


class Springs(Calculator):
    """Bonds between consecutive atoms; what it implements is chosen, and how its parameters arrived is kept."""

    implemented_properties = ("energy", "forces")

    def __init__(self, **parameters):
        self.given = parameters
        super().__init__()

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        if len(atoms) == 5:
            raise RuntimeError("five atoms\nand a second line")
        bonds = np.diff(atoms.positions, axis=0)
        forces = np.zeros((len(atoms), 3))
        forces[:-1] += bonds
        forces[1:] -= bonds
        shape = forces[:-1] if len(atoms) == 4 else forces
        self.results = {"energy": 0.5 * float((bonds**2).sum()), "forces": shape}


class WithFreeEnergy(Springs):
    implemented_properties = ("energy", "free_energy", "forces")

    def calculate(self, *arguments, **keywords):
        super().calculate(*arguments, **keywords)
        self.results["free_energy"] = self.results["energy"] - 1.0


class OnlyAnnounced(Springs):
    """As calculators of machine-learned models do: a free energy is announced, and not given."""

    implemented_properties = ("energy", "free_energy", "forces")


class WithoutEnergy(Springs):
    implemented_properties = ("magmom", "polarizability")


class Dielectric(Springs):
    """Knows no energy; a polarizability in units of its own."""

    implemented_properties = ("dipole", "polarizability", "born_effective_charges")

    def calculate(self, *arguments, **keywords):
        super().calculate(*arguments, **keywords)
        atoms = self.atoms
        self.results = {
            "dipole": atoms.positions.sum(axis=0),
            "polarizability": np.diag([1.0, 2.0, 3.0]),
            "born_effective_charges": np.tile(np.eye(3), (len(atoms), 1, 1)),
        }


NOT_A_CLASS = "springs"


def raises(**parameters):
    raise OSError("no license\nat all")


def chain(atoms=3):
    return Atoms(f"H{atoms}", np.random.default_rng(atoms).normal(size=(atoms, 3)), cell=[9, 9, 9], pbc=True)


def test_parameters_by_name():
    name = "ase:test_ase_potential.Springs: a=1, b=-2.5e-1, c=true, d=False, e=GFN2-xTB, f="
    assert load_evaluator(name).calculator.given == {
        "a": 1,
        "b": -0.25,
        "c": True,
        "d": False,
        "e": "GFN2-xTB",
        "f": "",
    }
    assert isinstance(load_evaluator("ase:test_ase_potential.Springs").calculator, Springs)


def test_modules_of_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "own_calculator.py").write_text("from ase.calculators.emt import EMT as Own\n")
    assert isinstance(load_evaluator("ase:own_calculator.Own").calculator, EMT)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ase:", r"cannot import the ASE calculator ''.*; it is written ase:MODULE.CLASS"),
        ("ase:EMT", "cannot import the ASE calculator 'EMT'"),
        ("ase:no.such.Module", "cannot import the ASE calculator 'no.such.Module' .ModuleNotFoundError: No module"),
        ("ase:ase.calculators.emt.EMTT", "cannot import .*AttributeError: .*EMTT"),
        (
            "ase:ase.calculators.emt.EMT:asap_cutoff",
            "'asap_cutoff' is no parameter of an ASE calculator; it is written",
        ),
        ("ase:ase.calculators.emt.EMT:a-b=1", "'a-b=1' is no parameter"),
        ("ase:ase.calculators.emt.EMT:a=1,a=2", "parameter a of an ASE calculator is given twice"),
        ("ase:ase.calculators.emt.EMT:asap_cutoff=true,fast=1,", "'' is no parameter"),
        ("ase:test_ase_potential.raises:key=1", "cannot be made with the parameters {'key': 1}: OSError: no license$"),
        ("ase:test_ase_potential.NOT_A_CLASS", "'test_ase_potential.NOT_A_CLASS' is str, which is no ASE calculator"),
        ("ase:ase.Atoms", "is no ASE calculator; it needs the attributes implemented_properties"),
        ("ase:test_ase_potential.WithoutEnergy", r"WithoutEnergy implements \['magmom', .*; it needs one of"),
        (
            "ase:test_ase_potential.Dielectric:dipole_unit=eV",
            "dipole_unit of an ASE calculator: the unit 'eV' measures",
        ),
        ("ase:test_ase_potential.Springs:energy_unit=meV", "energy_unit is 'meV'; the energy"),
    ],
)
def test_names_that_are_refused(name, message):
    with pytest.raises(EvaluatorError, match=message) as refusal:
        load_evaluator(name)
    assert "\n" not in str(refusal.value)


def test_what_cannot_be_answered():
    with pytest.raises(PropertyError, match=r"'dipole' is not available; the ASE calculator EMT has \['energy'"):
        answer(AsePotential(EMT()), copper(), ("dipole",))
    with pytest.raises(StructureError, match="the ASE calculator EMT cannot answer for bead 0: NotImplementedError: "):
        answer(AsePotential(EMT()), Atoms("Fe2", [[0, 0, 0], [0, 0, 2]]))
    with pytest.raises(StructureError, match=r"Springs cannot answer for bead 0: RuntimeError: five atoms$"):
        answer(AsePotential(Springs()), chain(5), ("energy",))
    with pytest.raises(StructureError, match=r"Springs gives forces of shape \(3, 3\) for bead 0"):
        answer(AsePotential(Springs()), chain(4), ("forces",))
    with pytest.raises(EvaluatorError, match="'emt' is no ASE calculator"):
        AsePotential("emt")


def test_the_energy_that_the_forces_belong_to():
    energy = answer(AsePotential(Springs()), chain(), ("energy",))["energy"]
    assert answer(AsePotential(WithFreeEnergy()), chain(), ("energy",))["energy"] == energy - 1.0


def test_the_virial_of_isolated_atoms_needs_no_stress():
    atoms = Atoms("Ar3", [[0, 0, 0], [3.7, 0.3, 0], [1.2, 3.1, 0.4]])
    evaluator = AsePotential(LennardJones(sigma=3.4, epsilon=0.0104, rc=20.0))
    found = answer(evaluator, atoms)

    def widened(step):
        trial = atoms.copy()
        trial.positions *= 1 + step
        return answer(evaluator, trial)["energy"]

    np.testing.assert_allclose(np.trace(found["virial"]), -derivative(widened, 1e-4), rtol=1e-8)


def test_without_stress_zeros_are_served_and_said(caplog):
    evaluator, atoms = AsePotential(Springs()), chain()
    assert evaluator.properties == ("energy", "forces")
    assert wanted_properties(evaluator, ALL) == ("energy", "forces")
    with caplog.at_level(logging.WARNING):
        responder = Responder(evaluator, atoms.numbers)
    assert caplog.messages == [
        "warning: this model has no virial: zeros are sent, so pressures are wrong; keep the volume constant"
    ]
    answered = responder.answer(
        atoms.cell.array[None] * BOHR_PER_ANGSTROM, np.array([atoms.positions]) * BOHR_PER_ANGSTROM
    )
    expected = answer(evaluator, atoms, ("energy", "forces"))
    np.testing.assert_allclose(answered.energies, expected["energy"] * HARTREE_PER_ELECTRONVOLT)
    np.testing.assert_array_equal(answered.virials, 0)
    with pytest.raises(PropertyError, match="'virial' is not available; the ASE calculator Springs has"):
        answer(evaluator, atoms)


def test_copper_in_the_real_ipi(tmp_path):
    """In 40 fs the conserved quantity of two beads of eight atoms stays within 1 meV."""
    atoms = copper()
    atoms.set_cell(atoms.cell.standard_form()[0], scale_atoms=True)  # i-PI's cells are upper triangles
    text = io.StringIO()
    write(text, atoms, format="extxyz")
    sides = {"copper": Side(dynamics_input(40, beads=2), [beadwise("ase:ase.calculators.emt.EMT")])}
    folder = run_together(tmp_path, text.getvalue(), sides)["copper"]
    steps, potential, conserved = properties(folder).T
    assert len(steps) == 41
    assert np.ptp(potential) > 0.05
    assert np.ptp(conserved) < 1e-3


def test_a_free_energy_that_is_only_announced():
    atoms = chain()
    plain = answer(AsePotential(Springs()), atoms, ("energy",))
    assert answer(AsePotential(OnlyAnnounced()), atoms, ("energy",)) == plain
    given = answer(AsePotential(WithFreeEnergy()), atoms, ("energy",))["energy"]
    assert given == plain["energy"] - 1.0


def test_without_an_energy_and_in_units_of_its_own():
    plain = load_evaluator("ase:test_ase_potential.Dielectric")
    assert plain.properties == ("dipole",)
    own = load_evaluator("ase:test_ase_potential.Dielectric:dipole_unit=e*bohr,polarizability_unit=e*Å²/V")
    assert set(own.properties) == {"dipole", "polarizability", "born_charges"}
    found = answer(own, chain(), own.properties)
    np.testing.assert_allclose(found["dipole"], 0.529177210544 * chain().positions.sum(axis=0), rtol=1e-9)
    np.testing.assert_allclose(found["born_charges"][0], 0.529177210544 * np.eye(3), rtol=1e-9)
    assert found["polarizability"][2, 2] == pytest.approx(3 * 14.399645, rel=1e-6)


def test_files_of_parameters_are_found_from_elsewhere(tmp_path, monkeypatch):
    (tmp_path / "weights.pt").write_text("1")
    monkeypatch.chdir(tmp_path)
    name = from_any_folder("ase:test_ase_potential.Springs:path=weights.pt,cutoff=2.5")
    assert name == f"ase:test_ase_potential.Springs:path={tmp_path / 'weights.pt'},cutoff=2.5"
    assert parts_of(name) == [] and tmp_path / "weights.pt" in files_of(name)
