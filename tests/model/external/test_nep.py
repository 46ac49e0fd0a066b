"""Files of NEPs: nep-adapters' own calculator, finite differences, symmetries, boundaries, and what is refused."""

from __future__ import annotations

import pickle
from importlib.util import find_spec

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.stress import voigt_6_to_full_3x3_stress
from beadwise.errors import BeadwiseError
from beadwise.model import Batch, StructureError
from beadwise.model.errors import EvaluatorError
from beadwise.model.evaluators import files_of, from_any_folder, load_evaluator
from beadwise.model.external.nep_file import KINDS
from nep_files import nep_file, nep_lines

if find_spec("nep_adapters") is None:
    pytest.skip("nep-adapters is not installed: pip install 'beadwise[nep]'", allow_module_level=True)

CELL = np.array([[7.0, 0.0, 0.0], [0.3, 6.1, 0.0], [-0.2, 0.4, 5.8]])
BOHR = 0.529177210544
ENERGIES = [kind for kind, own in KINDS.items() if own == "ordinary"]


def waters(periodic=True, seed=0):
    generator = np.random.default_rng(seed)
    atoms = Atoms()
    for index in range(4):
        own = molecule("H2O")
        own.rotate(generator.uniform(0, 360), generator.normal(size=3))
        own.translate(np.array([index % 2, index // 2, 0.3 * index]) * 2.9)
        atoms += own
    atoms.positions += generator.normal(scale=0.05, size=atoms.positions.shape)
    if periodic:
        atoms.set_cell(CELL)
        atoms.pbc = True
    return atoms


@pytest.fixture
def evaluator(tmp_path):
    """Make the evaluator of a kind of file."""

    def make(kind, **options):
        zbl = {"zbl": "zbl 0.8 1.6"} if kind.endswith("zbl") else {}
        units = {"nep4_dipole": ",dipole_unit=e*bohr", "nep4_polarizability": ",polarizability_unit=bohr^3"}
        file = nep_file(tmp_path / f"{kind}.txt", kind, **{**zbl, **options})
        return load_evaluator(f"nep:{file}{units.get(kind, '')}")

    return make


def answer(evaluator, frames, want=None):
    return evaluator.evaluate(Batch.from_ase(frames), want or evaluator.properties)


@pytest.mark.parametrize("kind", KINDS)
def test_its_own_calculator(evaluator, kind):
    from nep_adapters.ase import NepAseCalculator

    potential = evaluator(kind)
    frames = [waters(seed=seed) for seed in range(3)]
    together = answer(potential, frames)
    for bead, atoms in enumerate(frames):
        alone, expected = answer(potential, atoms), {}
        calculator = NepAseCalculator(str(potential.path))
        if kind in ENERGIES:
            calculator.calculate(atoms)
            expected = {name: calculator.results[name] for name in ("energy", "forces")}
            expected["virial"] = -voigt_6_to_full_3x3_stress(calculator.results["stress"]) * atoms.get_volume()
        elif kind == "nep4_dipole":
            expected["dipole"] = calculator._calc.get_structures_dipole([atoms])[0] * BOHR
        else:
            xx, yy, zz, xy, yz, zx = calculator._calc.get_structures_polarizability([atoms])[0] * BOHR**3
            expected["polarizability"] = np.array([[xx, xy, zx], [xy, yy, yz], [zx, yz, zz]])
        assert set(expected) == set(potential.properties)
        for name, value in expected.items():
            for found in (together[name][bead], alone[name][0]):
                np.testing.assert_allclose(found, value, rtol=0, atol=1e-10 * np.abs(value).max(), err_msg=name)


def difference(evaluator, change, step=1e-4):
    """By a short step: at the cutoff the slope of a NEP's forces jumps, and pairs should not get across."""
    below2, below, above, above2 = answer(evaluator, [change(factor * step) for factor in (-2, -1, 1, 2)]).energy
    return (8 * (above - below) - (above2 - below2)) / (12 * step)


@pytest.mark.parametrize("kind", ENERGIES)
@pytest.mark.parametrize("periodic", [True, False], ids=["periodic", "isolated"])
def test_derivatives(evaluator, kind, periodic):
    potential, atoms = evaluator(kind), waters(periodic, seed=7)
    found = answer(potential, atoms)
    for atom, axis in [(0, 0), (5, 1), (10, 2)]:

        def moved(step, atom=atom, axis=axis):
            changed = atoms.copy()
            changed.positions[atom, axis] += step
            return changed

        assert found.forces[0, atom, axis] == pytest.approx(-difference(potential, moved), abs=1e-7)
    for row, column in [(0, 0), (1, 2), (2, 0)]:

        def strained(step, row=row, column=column):
            strain = np.eye(3)
            strain[row, column] += step / 2
            strain[column, row] += step / 2
            changed = atoms.copy()
            changed.set_cell(changed.cell.array @ strain)
            changed.positions = atoms.positions @ strain
            return changed

        assert found.virial[0, row, column] == pytest.approx(-difference(potential, strained), abs=1e-7)


@pytest.mark.parametrize("kind", ["nep4", "nep4_dipole", "nep4_polarizability"])
@pytest.mark.parametrize("periodic", [True, False], ids=["periodic", "isolated"])
def test_symmetries(evaluator, kind, periodic):
    """Turned in all directions, so that components in a wrong place, or of a wrong sign, would be seen."""
    potential, atoms = evaluator(kind), waters(periodic, seed=3)
    order = np.random.default_rng(0).permutation(len(atoms))
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    turned, shifted = atoms.copy(), atoms.copy()
    turned.positions, turned.cell = atoms.positions @ turn, atoms.cell.array @ turn
    shifted.positions += [3.1, -40.7, 0.2]
    before, moved, rotated, permuted = (answer(potential, own) for own in (atoms, shifted, turned, atoms[order]))
    for name in before.names:
        value, scale = before[name][0], np.abs(before[name]).max()
        np.testing.assert_allclose(moved[name][0], value, rtol=0, atol=1e-10 * scale, err_msg=name)
        expected = value[order] if name == "forces" else value
        np.testing.assert_allclose(permuted[name][0], expected, rtol=0, atol=1e-10 * scale, err_msg=name)
        for axis in range(1 if name == "forces" else 0, value.ndim):
            value = np.moveaxis(np.tensordot(value, turn, (axis, 0)), -1, axis)
        np.testing.assert_allclose(rotated[name][0], value, rtol=0, atol=1e-10 * scale, err_msg=name)


def test_directions_that_are_not_periodic(evaluator):
    """The same as a cell that is wide in these directions."""
    potential, slab = evaluator("nep4"), waters(seed=2)
    slab.pbc = (True, True, False)
    wide = slab.copy()
    wide.set_cell([CELL[0], CELL[1], [0, 0, 60]])
    wide.pbc = True
    for name in potential.properties:
        np.testing.assert_allclose(answer(potential, slab)[name], answer(potential, wide)[name], atol=1e-10)


def test_a_small_cell(evaluator):
    potential, small = evaluator("nep4"), waters(seed=4)[:3]
    small.set_cell([3.1, 3.3, 3.2])
    small.pbc = True
    one, four = answer(potential, small), answer(potential, small.repeat((2, 1, 2)))
    np.testing.assert_allclose(four.energy, 4 * one.energy, rtol=1e-12)
    np.testing.assert_allclose(four.virial, 4 * one.virial, atol=1e-9)


def test_names(evaluator, tmp_path, monkeypatch):
    potential = evaluator("nep4")
    monkeypatch.chdir(tmp_path)
    assert from_any_folder("nep:nep4.txt,device=cpu") == f"nep:{tmp_path / 'nep4.txt'},device=cpu"
    assert [path.name for path in files_of("nep:nep4.txt")] == ["nep4.txt"]
    copied = pickle.loads(pickle.dumps(potential))
    assert np.array_equal(answer(copied, waters()).forces, answer(potential, waters()).forces)
    assert potential.species == (1, 8)
    assert answer(potential, [waters()], ["energy"]).names == ("energy",)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (
            "nep4_dipole",
            "",
            "is a NEP of the dipole, and does not say in which unit.*give dipole_unit, as dipole_unit=",
        ),
        ("nep4_dipole", ",dipole_unit=furlong", "dipole_unit of .*the unit 'furlong' is unknown"),
        ("nep4_polarizability", ",polarizability_unit=debye", "polarizability_unit of .*'debye' measures"),
        ("nep4", ",dipole_unit=debye", "dipole_unit of .*it has no dipole"),
        ("nep4", ",device=tpu", "device is 'tpu'; allowed are cpu, cuda"),
        ("nep4", ",chunk=2", "'chunk=2' is no setting"),
        ("nep3", "", "begins with 'nep3', which is no NEP that can be served; allowed are nep4, nep4_zbl"),
    ],
)
def test_names_that_are_refused(tmp_path, kind, settings, message):
    with pytest.raises(EvaluatorError, match=message) as raised:
        load_evaluator(f"nep:{nep_file(tmp_path / 'nep.txt', kind)}{settings}")
    assert "\n" not in str(raised.value)


def test_files_that_are_refused(tmp_path):
    lines, file = nep_lines(), tmp_path / "nep.txt"
    for changed, message in [
        ([], "begins with ''"),
        (lines[:-1], "it has 601 numbers below its header, which says that there are 602"),
        ([*lines, "0.1"], "it has 603 numbers"),
        ([*lines[:-1], "nan"], "number 601 below its header is 'nan', which is no finite number"),
        ([*lines[:9], f"{lines[9]} {lines[10]}", *lines[11:], "1"], "is '.* .*', which is no finite number"),
        ([*lines[:-1], "hello"], "is 'hello', which is no finite number"),
        (["nep4 3 O H", *lines[1:]], "its first line is 'nep4 3 O H'"),
        (["nep4 2 O Xy", *lines[1:]], "it has no 'Xy'"),
        ([*lines[:1], "cutoff -4 3 9 9", *lines[2:]], "nep-adapters cannot load .*cutoffs must be within"),
        ([*lines[:2], "n_max 4.5 3", *lines[3:]], "its header has n_max 4.5"),
        ([*lines[:2], *lines[3:]], "its header has the lines"),
        (["qwerty", *lines], "begins with 'qwerty'"),
    ]:
        file.write_text("\n".join(changed) + "\n")
        with pytest.raises(EvaluatorError, match=message) as raised:
            load_evaluator(f"nep:{file}")
        assert "\n" not in str(raised.value)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EvaluatorError, match="is damaged or no file of a NEP"):
        load_evaluator(f"nep:{file}")


def test_damaged_at_random(tmp_path):
    """A changed byte gives a potential or one line, and never ends the process."""
    generator, file = np.random.default_rng(0), tmp_path / "nep.txt"
    whole = np.frombuffer(("\n".join(nep_lines()) + "\n").encode(), np.uint8)
    for _ in range(200):
        changed = whole.copy()
        places = generator.integers(130 if generator.random() < 0.7 else len(whole), size=generator.integers(1, 4))
        changed[places] = generator.integers(32, 127, size=len(places))
        file.write_bytes(
            changed.tobytes()[: len(whole) if generator.random() < 0.7 else generator.integers(len(whole))]
        )
        try:
            load_evaluator(f"nep:{file}")
        except BeadwiseError as error:
            assert "\n" not in str(error)


def test_structures_that_are_refused(evaluator):
    potential = evaluator("nep4")
    with pytest.raises(StructureError, match=r"does not know C, Cl; it knows H, O$"):
        answer(potential, molecule("CH3Cl"))
    near = waters()
    near.positions[4] = near.positions[0] + 0.1
    with pytest.raises(StructureError, match=r"atoms 0 and 4 of bead 1 are 0.173 Å apart"):
        answer(potential, [waters(), near])
    flat = waters()
    flat.set_cell([7, 7, 0.5])
    with pytest.raises(StructureError, match=r"of bead 0 is only 0.5 Å high"):
        answer(potential, flat)
