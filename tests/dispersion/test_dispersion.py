"""Dispersion D3 and D4: published numbers, a formula by hand, derivatives, symmetries, refusals, and the real i-PI.

The count of neighbours of D3 ends sharply at 40 bohr, so that derivatives are taken with steps in which no image
crosses it.
"""

from __future__ import annotations

import io

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.io import write
from ase.units import Bohr, Hartree
from beadwise.model import Batch, BeadwiseError, PropertyError, StructureError
from beadwise.model.dispersion.evaluator import Dispersion
from beadwise.model.errors import EvaluatorError
from beadwise.model.evaluators import load_evaluator
from beadwise.model.qtip4pf import PotentialError
from ipi_pair import Side, dynamics_input, properties, run_together
from ipi_pair import beadwise as served

for package in ("dftd3", "dftd4"):
    pytest.importorskip(package, reason=f"{package} is not installed: pip install 'beadwise[dispersion]'")

ALL = ("energy", "forces", "virial")
SKEWED = np.array([[6.0, 0.0, 0.0], [0.3, 6.1, 0.0], [-0.2, 0.4, 5.8]])
NAMES = [
    "d3:functional=revpbe",
    "d3:functional=pbe,damping=zero,three_body=true,three_body_cutoff=7",
    "d4:functional=pbe,three_body_cutoff=7",
    "d4:functional=revpbe,model=d4s,three_body=false,charge=1",
]
every = pytest.mark.parametrize("name", NAMES)
boundaries = pytest.mark.parametrize("periodic", [False, True], ids=["isolated", "periodic"])


def water_and_argon(periodic: bool = True, seed: int = 0) -> Atoms:
    atoms = molecule("H2O") + Atoms("Ar", [[2.0, 2.0, 3.0]])
    atoms.positions += np.random.default_rng(seed).normal(scale=0.05, size=(4, 3))
    if periodic:
        atoms.set_cell(SKEWED)
        atoms.pbc = True
    return atoms


def answer(name, atoms, want=ALL):
    response = (load_evaluator(name) if isinstance(name, str) else name).evaluate(Batch.from_ase(atoms), want)
    return {own: response[own][0] for own in want}


def derivative(evaluator, change, step):
    """Central difference of fourth order of the energy at zero."""
    structures = [change(factor * step) for factor in (-2, -1, 1, 2)]
    below2, below, above, above2 = evaluator.evaluate(Batch.from_ase(structures), ("energy",)).energy
    return (8 * (above - below) - (above2 - below2)) / (12 * step)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("d3:functional=SCAN,three_body=true", -0.03880921894019244),
        ("d3:functional=SCAN", -0.03898577243903914),
        ("d4:functional=SCAN", -0.021665446836610567),
    ],
)
def test_numbers_that_the_packages_publish(name, expected):
    """Methylenecyclopropane in eV, from the tests of dftd3 1.7.0 and dftd4 4.3.1."""
    atoms = molecule("methylenecyclopropane")
    assert answer(name, atoms, ("energy",))["energy"] == pytest.approx(expected, abs=1e-7)
    assert answer(name + ",isolated=true", atoms)["energy"] == pytest.approx(expected, abs=1e-7)


def test_a_pair_by_hand():
    """−C6/(r⁶ + a2⁶) without C8 and with a1 = 0; C6 of argon is 64.6462 hartree·bohr⁶ (Grimme et al. 2010)."""
    evaluator = load_evaluator("d3:s8=0,a1=0,a2=4")
    for distance in (3.8, 6.0, 20.0):
        atoms = Atoms("Ar2", [[0, 0, 0], [0, 0, distance]])
        r = distance / Bohr
        expected = -64.6462 / (r**6 + 4**6)
        found = answer(evaluator, atoms)
        assert found["energy"] / Hartree == pytest.approx(expected, rel=1e-6)
        force = -6 * 64.6462 * r**5 / (r**6 + 4**6) ** 2 * Hartree / Bohr
        assert found["forces"][1, 2] == pytest.approx(force, rel=1e-5)
        assert found["virial"][2, 2] == pytest.approx(force * distance, rel=1e-5)


def test_parameters_are_those_of_the_functional():
    """revPBE-D3(BJ) has s8 = 2.3550, a1 = 0.5238, a2 = 3.5016 (Grimme, Ehrlich, Goerigk 2011)."""
    atoms = water_and_argon()
    by_hand = answer("d3:s8=2.3550,a1=0.5238,a2=3.5016", atoms)
    for own, value in answer("d3:functional=revPBE", atoms).items():
        np.testing.assert_allclose(by_hand[own], value, rtol=1e-12, atol=1e-14)


def test_cutoffs_of_the_packages():
    """Without smoothing, at 60 and 40 bohr, the energy is what the package gives by default."""
    from dftd3.interface import DispersionModel, RationalDampingParam

    atoms = water_and_argon()
    model = DispersionModel(atoms.numbers, atoms.positions / Bohr, SKEWED / Bohr, np.ones(3, bool))
    expected = model.get_dispersion(RationalDampingParam(method="pbe", atm=False), grad=False)["energy"] * Hartree
    sharp = f"d3:functional=pbe,smoothing=0,cutoff={60 * Bohr!r}"
    assert answer(sharp, atoms)["energy"] == pytest.approx(float(expected), abs=1e-12)
    assert answer("d3:functional=pbe", atoms)["energy"] == pytest.approx(float(expected), abs=2e-4)


@every
@boundaries
def test_forces_and_virial_are_derivatives(name, periodic):
    evaluator, atoms = load_evaluator(name), water_and_argon(periodic)
    found = answer(evaluator, atoms)

    def moved(step):
        trial = atoms.copy()
        trial.positions[3, 1] += step
        return trial

    assert found["forces"][3, 1] == pytest.approx(-derivative(evaluator, moved, 1e-4), abs=1e-8)
    np.testing.assert_allclose(found["forces"].sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(found["virial"], found["virial"].T, atol=1e-12)
    for i, j in [(0, 0), (0, 1), (2, 2)]:

        def strained(step, i=i, j=j):
            trial, strain = atoms.copy(), np.eye(3)
            strain[i, j] += step
            trial.set_cell(atoms.cell.array @ strain.T)
            trial.positions = atoms.positions @ strain.T
            return trial

        assert found["virial"][i, j] == pytest.approx(-derivative(evaluator, strained, 2e-6), abs=1e-7)


@every
def test_rotated_inverted_permuted_wrapped_and_repeated(name):
    evaluator, atoms = load_evaluator(name), water_and_argon()
    before = answer(evaluator, atoms)
    turn = -np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    order = np.random.default_rng(5).permutation(4)
    changed = atoms[order]
    changed.positions += np.random.default_rng(1).integers(-2, 3, size=(4, 3)) @ SKEWED + [0.3, -1.2, 5.1]
    changed.set_cell(SKEWED @ turn.T)
    changed.positions = changed.positions @ turn.T
    after = answer(evaluator, changed)
    assert after["energy"] == pytest.approx(before["energy"], abs=1e-10)
    np.testing.assert_allclose(after["forces"], (before["forces"] @ turn.T)[order], atol=1e-10)
    np.testing.assert_allclose(after["virial"], turn @ before["virial"] @ turn.T, atol=1e-10)
    if "charge" not in name:
        doubled = answer(evaluator, atoms.repeat((2, 1, 1)), ("energy",))["energy"]
        assert doubled == pytest.approx(2 * before["energy"], abs=1e-9)  # charges of D4 are exact to 1e-10


@every
def test_beads_and_threads_do_not_matter(name):
    beads = [water_and_argon(seed=seed) for seed in range(3)]
    together = load_evaluator(name).evaluate(Batch.from_ase(beads), ALL)
    for threads in (2, 7):
        threaded = load_evaluator(name, threads=threads).evaluate(Batch.from_ase(beads), ALL)
        for own in ALL:
            np.testing.assert_allclose(threaded[own], together[own], atol=1e-12)
    for index, atoms in enumerate(beads):
        for own, value in answer(name, atoms).items():
            np.testing.assert_allclose(together[own][index], value, atol=1e-13)


def test_isolated_ignores_the_cell():
    periodic, alone = water_and_argon(), water_and_argon(periodic=False)
    for method in ("d3", "d4"):
        found = answer(f"{method}:functional=pbe,isolated=true", periodic)["energy"]
        assert found == answer(f"{method}:functional=pbe", alone)["energy"]
        assert found != answer(f"{method}:functional=pbe", periodic)["energy"]


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("d3:", EvaluatorError, "'' is no setting of d3; it is written d3:functional=NAME"),
        ("d3:revpbe", EvaluatorError, "'revpbe' is no setting of d3"),
        ("d3:functional=revpb", PotentialError, "'revpb'; allowed are b1b95, .* did you mean 'revpbe'"),
        ("d3:functional=scan,damping=cso", PotentialError, "damping cso has no parameters for the functional 'scan'"),
        ("d4:functional=nothing", PotentialError, "d4 with the damping bj .*'nothing'; allowed are am05, b1b95"),
        ("d3:functional=pbe,damping=b", PotentialError, "'b'; allowed are bj, zero, bjm, zerom, op, cso"),
        ("d4:functional=pbe,damping=zero", PotentialError, "damping of d4 is 'zero'; allowed are bj"),
        ("d4:functional=pbe,model=d5", PotentialError, "model of d4 is 'd5'; allowed are d4, d4s"),
        ("d4:functional=pbe,model=", PotentialError, "model of d4 is ''; allowed are d4, d4s"),
        ("d3:functional=pbe,charge=1", PotentialError, "charge of d3 is 1.0 e; D3 does not know charges"),
        ("d4:functional=pbe,charge=0.5", PotentialError, "charge of d4 is 0.5 e; it must be a whole number"),
        ("d3:functional=pbe,functional=scan", EvaluatorError, "functional of d3 is given twice"),
        ("d3:functional=pbe,isolated=1", EvaluatorError, "isolated of d3 is '1', neither true nor false"),
        ("d3:functional=pbe,cutoff=far", EvaluatorError, "cutoff of d3 is 'far', which is no number"),
        ("d3:functional=pbe,cutoff=1", PotentialError, "cutoff of d3 is 1.0 Å; .* longer than the smoothing, 2.0 Å"),
        ("d3:functional=pbe,smoothing=-1", PotentialError, "smoothing of d3 is -1.0 Å; it must be 0 or more"),
        ("d3:functional=pbe,a1=0.4", PotentialError, "'pbe' and the parameters .'a1'.; give either"),
        ("d3:s8=1,a1=0.4", PotentialError, "no functional and no a2; give functional=NAME, or parameters are s8, a1"),
        ("d3:s8=1,a1=0.4,a2=nan", PotentialError, "parameter a2 of d3 is nan; it must be finite"),
        ("d3:s8=1,a1=0.4,a2=4,bet=1", PotentialError, "'bet' is no parameter of d3 with the damping bj"),
    ],
)  # fmt: skip
def test_names_that_are_refused(name, kind, message):
    with pytest.raises(kind, match=message) as refusal:
        load_evaluator(name)
    assert "\n" not in str(refusal.value)


def test_without_the_package(monkeypatch):
    import importlib

    from beadwise.potentials import dispersion

    original = importlib.import_module

    def refuse(name, *others):
        if name.startswith("dftd3"):
            raise ModuleNotFoundError("No module named 'dftd3'")
        return original(name, *others)

    monkeypatch.setattr(dispersion, "import_module", refuse)
    with pytest.raises(PotentialError, match=r"needs the package dftd3, .*pip install 'beadwise\[dispersion\]'"):
        load_evaluator("d3:functional=pbe")


@pytest.mark.parametrize("method", ["d3", "d4"])
def test_structures_that_are_refused(method):
    evaluator = Dispersion(method, "pbe")
    with pytest.raises(PropertyError, match=f"'dipole' is not available; {method} has"):
        answer(evaluator, water_and_argon(), ("dipole",))
    refused = [
        (Atoms("OO", [[0, 0, 0], [0, 0, 0]]), "for bead 0: Too close interatomic distances found;"),
        (Atoms("O", [[0, 0, 0]], cell=[5, 5, 5], pbc=[True, True, False]), "is here for all three, or none"),
        (Atoms("X", [[0, 0, 0]]), "atom 0 has the atomic number 0; .* 1 to 103, H to Lr"),
        (Atoms([118], [[0, 0, 0]]), "atom 0 has the atomic number 118"),
        (Atoms(), "the structure has no atom"),
        (Atoms("H", cell=[5, 5, 1], pbc=True), "is only 1 Å high"),
        (Atoms("H", cell=[[5, 0, 0], [5, 0, 0], [0, 0, 5]], pbc=True), "is only 0 Å high"),
    ]
    for atoms, message in refused:
        with pytest.raises(StructureError, match=message) as refusal:
            answer(evaluator, atoms)
        assert "\n" not in str(refusal.value)
    good, bad = Atoms("OH", [[0, 0, 0], [0, 0, 1]]), Atoms("OH", [[0, 0, 0], [0, 0, 0]])
    with pytest.raises(BeadwiseError, match="for bead 2: Too close"):
        Dispersion(method, "pbe", threads=2).evaluate(Batch.from_ase([good, good, bad]), ALL)


def test_a_method_and_a_charge_that_cannot_be():
    with pytest.raises(PotentialError, match="method of dispersion is 'd5'; allowed are d3, d4"):
        Dispersion("d5", "pbe")
    with pytest.raises(StructureError, match="charge of d4 is 11 e, and the nuclei have 10 e"):
        answer("d4:functional=pbe,charge=11", molecule("H2O"))


def test_a_structure_of_another_charge_is_refused_by_d4_and_nothing_to_d3():
    atoms = molecule("H2O")
    atoms.info["charge"] = 1
    with pytest.raises(
        StructureError, match="structures have the charge 1, and d4 is asked with charge=0; one of both"
    ):
        answer("d4:functional=pbe", atoms)
    cation, plain = answer("d4:functional=pbe,charge=1", atoms), answer("d3:functional=pbe", atoms)
    atoms.info.clear()
    assert answer("d4:functional=pbe,charge=1", atoms)["energy"] == cation["energy"]
    assert answer("d3:functional=pbe", atoms)["energy"] == plain["energy"]


PARTS = """
[energy]
models = ["qtip4pf", "d3:functional=revpbe,damping=zero"]
"""


def test_as_a_part_of_a_model_and_in_inspect(tmp_path):
    from beadwise.model.description import describe_model

    file = tmp_path / "parts.toml"
    file.write_text(PARTS)
    atoms = molecule("H2O", cell=[12.0, 12.0, 12.0], pbc=True)
    whole = answer(str(file), atoms)
    parts = [answer(name, atoms) for name in ("qtip4pf", "d3:functional=revpbe,damping=zero")]
    for own in ALL:
        np.testing.assert_allclose(whole[own], parts[0][own] + parts[1][own], atol=1e-12)
    assert "d3:functional=revpbe,damping=zero" in str(describe_model(str(file)))
    assert "dftd3 " in load_evaluator(str(file)).provider


def test_beads_of_water_with_dispersion_in_the_real_ipi(tmp_path):
    """Two beads of q-TIP4P/F with D3 on top, in one file of parts: the conserved quantity stays within 1 meV."""
    file, text = tmp_path / "parts.toml", io.StringIO()
    file.write_text(PARTS)
    atoms = molecule("H2O") + molecule("H2O")
    atoms.positions[3:] += [2.7, 0.9, 0.6]
    atoms.set_cell([14.0, 14.0, 14.0])
    atoms.pbc = True
    write(text, atoms, format="extxyz")
    folder = run_together(
        tmp_path, text.getvalue(), {"water": Side(dynamics_input(30, beads=2, timestep=0.2), [served(str(file))])}
    )["water"]
    steps, potential, conserved = properties(folder).T
    assert len(steps) == 31
    assert np.ptp(potential) > 0.01
    assert np.ptp(conserved) < 1e-3
