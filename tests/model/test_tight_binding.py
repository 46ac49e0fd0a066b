"""Tight binding: derivatives, symmetries, beads and threads, tblite's own calculator, refusals, and the real i-PI.

Symmetries hold as far as the charges are self-consistent: at the accuracy taken here that is about 1e-9 eV and
1e-8 eV/Å, and not 1e-12, since rounding decides in which iteration the thresholds are met.  Atoms are kept away
from the faces of the cell, where tblite folds them to the other side and its lattice sums, which are cut off, change a
little.
"""

from __future__ import annotations

import builtins
import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.io import write
from beadwise.model import Batch, BeadwiseError, PropertyError, StructureError
from beadwise.model.errors import EvaluatorError
from beadwise.model.evaluators import load_evaluator
from beadwise.model.qtip4pf import PotentialError
from beadwise.model.tight_binding import TightBinding
from beadwise.potentials.tight_binding import thread_limit
from ipi_pair import Side, beadwise, dynamics_input, properties, run_together

tblite = pytest.importorskip("tblite", reason="tblite is not installed: pip install 'beadwise[tblite]'")

ALL = ("energy", "forces", "virial")
TIGHT = 1e-4
SKEWED = np.array([[6.0, 0.0, 0.0], [0.3, 6.1, 0.0], [-0.2, 0.4, 5.8]])

methods = pytest.mark.parametrize("method", ["GFN1-xTB", "GFN2-xTB"])
boundaries = pytest.mark.parametrize("periodic", [False, True], ids=["isolated", "periodic"])


def waters(periodic=False, seed=0):
    """Two distorted water molecules."""
    generator = np.random.default_rng(seed)
    first, second = molecule("H2O"), molecule("H2O")
    second.rotate(70, (1, 2, 3), center=second.positions[0])
    second.translate((2.6, 1.4, 0.7))
    atoms = first + second
    atoms.positions += generator.normal(scale=0.03, size=(6, 3))
    if periodic:
        atoms.set_cell(SKEWED)
        atoms.pbc = True
        atoms.positions += SKEWED.sum(0) / 4
    return atoms


def answer(evaluator, atoms, want=ALL):
    response = evaluator.evaluate(Batch.from_ase(atoms), want)
    return {name: response[name][0] for name in want}


def assert_agree(found, expected, energy=1e-8, derivatives=1e-7):
    for name in expected:
        tolerance = energy if name == "energy" else derivatives
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=tolerance, err_msg=name)


def energies(evaluator, structures):
    return evaluator.evaluate(Batch.from_ase(structures), ("energy",)).energy


def derivative(evaluator, change, step):
    """Central difference of fourth order of the energy at zero."""
    below2, below, above, above2 = energies(evaluator, [change(factor * step) for factor in (-2, -1, 1, 2)])
    return (8 * (above - below) - (above2 - below2)) / (12 * step)


@methods
@boundaries
def test_forces_are_derivatives(method, periodic):
    """At a structure where no image is at a cutoff: the energy of GFN1-xTB has steps of up to 1e-8 eV there."""
    evaluator, atoms = TightBinding(method, accuracy=TIGHT), waters(periodic, seed=1)
    forces = answer(evaluator, atoms)["forces"]
    for atom, axis in [(0, 0), (1, 1), (4, 2)]:

        def displaced(step, atom=atom, axis=axis):
            trial = atoms.copy()
            trial.positions[atom, axis] += step
            return trial

        np.testing.assert_allclose(forces[atom, axis], -derivative(evaluator, displaced, 5e-4), rtol=0, atol=5e-7)


@methods
@boundaries
def test_the_virial_is_a_derivative(method, periodic):
    """With a small step: images fade over 0.05 bohr before a cutoff, where the energy's third derivative is large."""
    evaluator, atoms = TightBinding(method, accuracy=TIGHT), waters(periodic, seed=1)
    virial = answer(evaluator, atoms)["virial"]
    np.testing.assert_allclose(virial, virial.T, atol=1e-10)
    for i, j in [(0, 0), (1, 1), (2, 2), (0, 1), (2, 1)]:

        def strained(step, i=i, j=j):
            trial, strain = atoms.copy(), np.eye(3)
            strain[i, j] += step
            trial.set_cell(atoms.cell.array @ strain.T)
            trial.positions = atoms.positions @ strain.T
            return trial

        np.testing.assert_allclose(virial[i, j], -derivative(evaluator, strained, 2e-5), rtol=0, atol=2e-6)


@methods
@boundaries
def test_rotated_and_inverted(method, periodic):
    evaluator, atoms = TightBinding(method, accuracy=TIGHT), waters(periodic)
    before = answer(evaluator, atoms)
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    for turn in (rotation, -rotation):
        turned = atoms.copy()
        turned.set_cell(atoms.cell.array @ turn.T)
        turned.positions = atoms.positions @ turn.T
        expected = {
            "energy": before["energy"],
            "forces": before["forces"] @ turn.T,
            "virial": turn @ before["virial"] @ turn.T,
        }
        assert_agree(answer(evaluator, turned), expected)


@methods
@boundaries
def test_permuted_and_other_images(method, periodic):
    evaluator, atoms = TightBinding(method, accuracy=TIGHT), waters(periodic)
    before = answer(evaluator, atoms)
    order = np.random.default_rng(5).permutation(len(atoms))
    moved = atoms[order]
    if periodic:
        moved.positions += np.random.default_rng(1).integers(-2, 3, size=(6, 3)) @ SKEWED
    else:
        moved.positions += [0.3, -11.2, 5.1]
    assert_agree(answer(evaluator, moved), {**before, "forces": before["forces"][order]})


@methods
def test_translated_in_the_cell(method):
    """Across its faces only to 1e-6 eV per atom: tblite cuts its lattice sums off by cells, not by distances alone."""
    evaluator, atoms = TightBinding(method, accuracy=TIGHT), waters(True)
    before = answer(evaluator, atoms)
    moved = atoms.copy()
    moved.positions += [0.1, 0.2, -0.1]
    assert_agree(answer(evaluator, moved), before)
    moved.positions += [0.3, -11.2, 5.1]
    assert_agree(answer(evaluator, moved), before, energy=2e-5, derivatives=1e-4)


def test_alone_and_in_a_wide_cell():
    alone = waters()
    wide = alone.copy()
    wide.set_cell([60, 60, 60])
    wide.pbc = True
    evaluator = TightBinding("GFN1-xTB", accuracy=TIGHT)
    difference = answer(evaluator, wide)["energy"] - answer(evaluator, alone)["energy"]
    assert 0 < abs(difference) < 5e-5
    isolated = TightBinding("GFN1-xTB", accuracy=TIGHT, isolated=True)
    assert_agree(answer(isolated, wide), answer(evaluator, alone))


def test_forces_at_the_default_accuracy():
    """The default leaves 1e-7 (GFN1) and 4e-7 eV/Å (GFN2), tblite's own of 1 twenty and a hundred times as much."""
    for method in ("GFN1-xTB", "GFN2-xTB"):
        exact = answer(TightBinding(method, accuracy=1e-5), waters(True))["forces"]
        assert np.abs(answer(TightBinding(method), waters(True))["forces"] - exact).max() < 1e-6


def test_beads_and_threads_do_not_matter():
    beads = [waters(seed=seed) for seed in range(3)]
    one, two = (TightBinding("GFN1-xTB", threads=threads) for threads in (1, 2))
    together, threaded = (evaluator.evaluate(Batch.from_ase(beads), ALL) for evaluator in (one, two))
    for index, atoms in enumerate(beads):
        expected = answer(one, atoms)
        for response in (together, threaded):
            assert_agree({name: response[name][index] for name in ALL}, expected, 1e-10, 1e-9)
    assert_agree(answer(two, beads[0]), answer(one, beads[0]), 1e-10, 1e-9)


def test_threads_of_the_caller_stay():
    """OpenMP's number is set in threads that end with the evaluation."""
    import ctypes

    from tblite import _libtblite

    threads = ctypes.CDLL(_libtblite.__file__).omp_get_max_threads
    before = threads()
    answer(TightBinding("GFN1-xTB", threads=before + 1), Atoms("H2", [[0, 0, 0], [0, 0, 0.7]]))
    assert threads() == before


@methods
def test_the_same_as_the_calculator_of_tblite(method):
    from tblite.ase import TBLite

    evaluator = TightBinding(method, charge=1, accuracy=0.3, electronic_temperature=500.0)
    atoms = waters(periodic=True)

    def calculate():
        atoms.calc = TBLite(method=method, charge=1, accuracy=0.3, electronic_temperature=500.0, verbosity=0)
        volume = atoms.get_volume()
        return {
            "energy": atoms.get_potential_energy(),
            "forces": atoms.get_forces(),
            "virial": -atoms.get_stress(voigt=False) * volume,
        }

    with ThreadPoolExecutor(1, initializer=thread_limit(), initargs=(1,)) as pool:
        expected = pool.submit(calculate).result()
    assert_agree(answer(evaluator, atoms), expected, 1e-11, 1e-11)


@pytest.mark.parametrize(("own", "said"), [(0, 1), (1, -1), (1, 0)])
def test_a_structure_of_another_charge_is_refused(own, said):
    evaluator = TightBinding("GFN2-xTB", charge=own)
    atoms = molecule("H2O")
    expected = answer(evaluator, atoms)
    for same in (None, own):
        atoms.info["charge"] = same
        assert_agree(answer(evaluator, atoms), expected, 1e-12, 1e-12)
    atoms.info["charge"] = said
    message = f"structures have the charge {said}, and GFN2-xTB is asked with charge={own}; one of both is needed"
    with pytest.raises(StructureError, match=message):
        answer(evaluator, atoms)


def test_found_by_name():
    first = load_evaluator("tblite:GFN1-xTB, accuracy=0.1, charge=1", threads=2)
    assert isinstance(first, TightBinding)
    assert (first.settings.accuracy, first.settings.charge, first.threads) == (0.1, 1, 2)
    second = load_evaluator("GFN2-xTB,isolated=true,electronic_temperature=400")
    assert isinstance(second, TightBinding) and second.isolated
    assert (second.settings.method, second.settings.electronic_temperature) == ("GFN2-xTB", 400.0)
    assert load_evaluator("IPEA1-xTB").settings.method == "IPEA1-xTB"


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("tblite:", PotentialError, "'' is no method .* GFN1-xTB, GFN2-xTB, IPEA1-xTB"),
        ("tblite:GFN3-xTB", PotentialError, "'GFN3-xTB' is no method"),
        ("tblite:GFN1-xTB,spin=1", EvaluatorError, "'spin' is no parameter of tblite; it is written tblite:METHOD"),
        ("tblite:GFN1-xTB,charge=1,charge=2", EvaluatorError, "charge of tblite is given twice"),
        ("tblite:GFN1-xTB,charge=one", EvaluatorError, "charge of tblite is 'one', which is no number"),
        ("tblite:GFN1-xTB,isolated=1", EvaluatorError, "'1', which is neither true nor false"),
        ("tblite:GFN1-xTB,charge=0.5", PotentialError, "charge of GFN1-xTB is 0.5 e; it must be a whole number"),
        ("tblite:GFN1-xTB,charge=nan", PotentialError, "charge of GFN1-xTB is nan"),
        ("tblite:GFN1-xTB,accuracy=0", PotentialError, "accuracy of GFN1-xTB is 0.0; allowed are 1e-05 to 10.0"),
        ("GFN1-xTB,electronic_temperature=-1", PotentialError, "is -1.0 K; it must be finite and above 0"),
    ],
)
def test_names_that_are_refused(name, kind, message):
    with pytest.raises(kind, match=message):
        load_evaluator(name)


def test_without_tblite(monkeypatch):
    original = builtins.__import__

    def refuse(name, *arguments, **keywords):
        if name.startswith("tblite"):
            raise ModuleNotFoundError("No module named 'tblite'")
        return original(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(PotentialError, match=r"needs the package tblite, .*pip install 'beadwise\[tblite\]'"):
        load_evaluator("tblite:GFN1-xTB")


def test_what_cannot_be_answered(capfd):
    for method in ("GFN1-xTB", "GFN2-xTB"):
        evaluator = TightBinding(method)
        with pytest.raises(PropertyError, match=f"'dipole' is not available; {method} has"):
            answer(evaluator, waters(), ("dipole",))
        refused = [
            (Atoms("OO", [[0, 0, 0], [0, 0, 0]]), "for bead 0: Too close interatomic distances found;"),
            (Atoms("OH", [[0, 0, 0], [0, 0, 1e6]]), "for bead 0: SCF not converged"),
            (Atoms("OFr", [[0, 0, 0], [0, 0, 3]]), "atom 1 has the atomic number 87; .* 1 to 86, H to Rn"),
            (Atoms("X", [[0, 0, 0]]), "atom 0 has the atomic number 0"),
            (Atoms(), "the structure has no atom"),
            (Atoms("H", cell=[5, 5, 5], pbc=[True, True, False]), "allows all three, or none"),
            (Atoms("H", cell=[5, 5, 1], pbc=True), "is only 1 Å high"),
            (Atoms("H", cell=[[5, 0, 0], [5, 0, 0], [0, 0, 5]], pbc=True), "is only 0 Å high"),
        ]
        for atoms, message in refused:
            with pytest.raises(StructureError, match=message) as refusal:
                answer(evaluator, atoms)
            assert "\n" not in str(refusal.value)
    assert capfd.readouterr() == ("", "")


def test_the_bead_that_fails_is_named():
    good = Atoms("OH", [[0, 0, 0], [0, 0, 1]])
    bad = Atoms("OH", [[0, 0, 0], [0, 0, 0]])
    for threads in (1, 2):
        with pytest.raises(BeadwiseError, match="for bead 2: Too close"):
            TightBinding("GFN1-xTB", threads=threads).evaluate(Batch.from_ase([good, good, bad]), ALL)


def test_cells_too_wide_for_the_multipoles_of_gfn2():
    atoms = molecule("H2O", cell=[100, 100, 100], pbc=True)
    with pytest.raises(StructureError, match=r"is 100 Å long; .* up to 90 Å; .* tblite:GFN2-xTB,isolated=true"):
        answer(TightBinding("GFN2-xTB"), atoms)
    for side in (89, 60):
        atoms.set_cell([side, side, 100])
        difference = answer(TightBinding("GFN2-xTB"), atoms)["energy"]
        difference -= answer(TightBinding("GFN2-xTB", isolated=True), atoms)["energy"]
        assert abs(difference) < 1e-4


def test_a_dimer_in_the_real_ipi(tmp_path):
    """In 10 fs the conserved quantity stays within 1 meV, as far as a time step of 0.25 fs lets it."""
    text = io.StringIO()
    write(text, waters(periodic=True), format="extxyz")
    side = Side(dynamics_input(40, timestep=0.25), [beadwise("tblite:GFN1-xTB")])
    folder = run_together(tmp_path, text.getvalue(), {"dimer": side})["dimer"]
    steps, potential, conserved = properties(folder).T
    assert len(steps) == 41
    assert np.ptp(potential) > 0.05
    assert np.ptp(conserved) < 1e-3
