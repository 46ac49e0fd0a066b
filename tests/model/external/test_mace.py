"""Files of MACE: its own calculator, finite differences, symmetries, beads, settings, and what is refused."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
from functools import cache
from importlib.util import find_spec

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.stress import voigt_6_to_full_3x3_stress
from beadwise.errors import BeadwiseError
from beadwise.model import Batch, PropertyError, StructureError
from beadwise.model.errors import EvaluatorError
from beadwise.model.evaluators import files_of, from_any_folder, load_evaluator
from beadwise.model.external import mace_potential as module
from beadwise.model.external.devices import MOST_PAIRS
from beadwise.model.external.mace_file import FORCED_PICKLES, KINDS, quiet
from beadwise.properties.unit_names import COULOMB, DEBYE
from mace_files import mace_file

if find_spec("mace") is None:
    pytest.skip("mace-torch is not installed: pip install 'beadwise[mace]'", allow_module_level=True)

CELL = np.array([[6.0, 0.0, 0.0], [0.3, 6.1, 0.0], [-0.2, 0.4, 5.8]])
CALCULATORS = {
    "EnergyDipolesMACE": "EnergyDipoleMACE",
    "AtomicDipolesMACE": "DipoleMACE",
    "AtomicDielectricMACE": "DipolePolarizabilityMACE",
}

kinds = pytest.mark.parametrize("kind", KINDS)


def waters(periodic=True, seed=0):
    """Four distorted water molecules, with pairs through the faces of a skewed cell."""
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


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files by kind, made when they are asked for."""
    folder, made = tmp_path_factory.mktemp("mace"), {}

    def file(kind):
        if kind not in made:
            made[kind] = mace_file(folder / f"{kind}.model", kind)
        return made[kind]

    return file


@pytest.fixture(scope="module")
def loaded(files):
    """Evaluators by kind: the first evaluations of each compile its parts."""
    return cache(lambda kind: load_evaluator(f"mace:{files(kind)}"))


def answer(evaluator, frames, want=None):
    return evaluator.evaluate(Batch.from_ase(frames), want or evaluator.properties)


def of_calculator(file, kind, atoms):
    """What MACE's own calculator says of a structure, in eV, Å and e."""
    with quiet():
        import torch
        from mace.calculators import MACECalculator

        model = torch.load(file, weights_only=False)
        logging.disable(logging.WARNING)
        try:
            calculator = MACECalculator(
                models=model, device="cpu", default_dtype="float64", model_type=CALCULATORS.get(kind, "MACE")
            )
        finally:
            logging.disable(logging.NOTSET)
        calculator.calculate(atoms)
        found = {name: calculator.results[name] for name in ("energy", "forces") if name in calculator.results}
        if "stress" in calculator.results and atoms.pbc.all():
            found["virial"] = -voigt_6_to_full_3x3_stress(calculator.results["stress"]) * atoms.get_volume()
        if "dipole" in calculator.results:
            found["dipole"] = calculator.results["dipole"] * (1 if kind == "AtomicDielectricMACE" else DEBYE)
        if "polarizability" in calculator.results:
            found["polarizability"] = calculator.results["polarizability"] * COULOMB
            dipole, tensor = calculator.get_dielectric_derivatives(atoms)
            found["born_charges"] = np.moveaxis(dipole, 0, -1)
            found["polarizability_derivatives"] = np.moveaxis(tensor, 0, -1).reshape(-1, 3, 3, 3) * COULOMB
    return found


@kinds
@pytest.mark.parametrize("periodic", [True, False], ids=["periodic", "isolated"])
def test_its_own_calculator(files, loaded, kind, periodic):
    evaluator = loaded(kind)
    frames = [waters(periodic, seed) for seed in range(3)]
    frames[1].positions[2] += CELL[0] - 2 * CELL[2] if periodic else 0  # another image of an atom
    together = answer(evaluator, frames)
    compared = set()
    for bead, atoms in enumerate(frames):
        alone = answer(evaluator, atoms)
        for name, expected in of_calculator(files(kind), kind, atoms).items():
            compared.add(name)
            for found in (together[name][bead], alone[name][0]):
                np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10 * np.abs(expected).max(), err_msg=name)
    assert compared >= {name for name in KINDS[kind][0] if name in ("energy", "forces", "dipole", "polarizability")}


@kinds
def test_chunks_change_nothing(files, loaded, kind, monkeypatch):
    frames = [waters(seed=seed) for seed in range(5)]
    evaluator = loaded(kind)
    whole = answer(evaluator, frames)
    for parts in (load_evaluator(f"mace:{files(kind)},chunk=2"), evaluator):
        monkeypatch.setitem(MOST_PAIRS, "cpu", 300)  # a forward for each
        found = answer(parts, frames)
        for name in whole.names:
            np.testing.assert_allclose(found[name], whole[name], rtol=1e-11, atol=1e-11, err_msg=name)


def difference(evaluator, change, want, step=1e-3):
    """Central difference of fourth order of a property, with all structures as beads of one batch."""
    below2, below, above, above2 = answer(evaluator, [change(factor * step) for factor in (-2, -1, 1, 2)], [want])[want]
    return (8 * (above - below) - (above2 - below2)) / (12 * step)


@kinds
@pytest.mark.parametrize("periodic", [True, False], ids=["periodic", "isolated"])
def test_derivatives(loaded, kind, periodic):
    evaluator, atoms = loaded(kind), waters(periodic, seed=7)
    pairs = {
        "forces": ("energy", -1),
        "born_charges": ("dipole", 1),
        "polarizability_derivatives": ("polarizability", 1),
    }
    for derivative, (value, sign) in pairs.items():
        if derivative not in evaluator.properties:
            continue
        found = answer(evaluator, atoms, [derivative])[derivative][0]
        for atom, axis in [(0, 0), (5, 1), (10, 2)]:

            def moved(step, atom=atom, axis=axis):
                changed = atoms.copy()
                changed.positions[atom, axis] += step
                return changed

            expected = sign * difference(evaluator, moved, value)
            np.testing.assert_allclose(found[atom, axis], expected, rtol=0, atol=1e-8, err_msg=derivative)
    if "virial" in evaluator.properties:
        virial = answer(evaluator, atoms, ["virial"]).virial[0]
        for row, column in [(0, 0), (1, 2), (2, 0)]:

            def strained(step, row=row, column=column):
                strain = np.eye(3)
                strain[row, column] += step / 2
                strain[column, row] += step / 2
                changed = atoms.copy()
                changed.set_cell(changed.cell.array @ strain)
                changed.positions = atoms.positions @ strain
                return changed

            assert virial[row, column] == pytest.approx(-difference(evaluator, strained, "energy"), abs=1e-8)


@kinds
def test_symmetries(loaded, kind):
    evaluator, atoms = loaded(kind), waters(seed=3)
    order = np.random.default_rng(0).permutation(len(atoms))
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    turned, shifted = atoms.copy(), atoms.copy()
    turned.positions, turned.cell = atoms.positions @ turn, atoms.cell.array @ turn
    shifted.positions += [3.1, -40.7, 0.2]
    before, moved = answer(evaluator, atoms), answer(evaluator, shifted)
    rotated, permuted = answer(evaluator, turned), answer(evaluator, atoms[order])
    for name in before.names:
        of_atoms = name in module.SHAPES_OF_ATOMS
        value = before[name][0]
        np.testing.assert_allclose(moved[name][0], value, rtol=0, atol=2e-10, err_msg=name)
        expected = value[order] if of_atoms else value
        np.testing.assert_allclose(permuted[name][0], expected, rtol=0, atol=1e-10, err_msg=name)
        for axis in range(1 if of_atoms else 0, value.ndim):
            value = np.moveaxis(np.tensordot(value, turn, (axis, 0)), -1, axis)
        np.testing.assert_allclose(rotated[name][0], value, rtol=0, atol=1e-10, err_msg=name)


def test_in_single_precision(files, loaded):
    frames = [waters(seed=seed) for seed in range(2)]
    exact = answer(loaded("ScaleShiftMACE"), frames)
    single = answer(load_evaluator(f"mace:{files('ScaleShiftMACE')},dtype=float32"), frames)
    assert 0 < np.abs(single.forces - exact.forces).max() < 1e-6
    errors = single.energy - exact.energy  # of 1800 eV, whose steps are 1e-4 eV; -13.6 eV of an atom is rounded
    assert np.abs(errors).max() < 1e-5 and np.ptp(errors) < 1e-7
    assert single.forces.dtype == np.float64


def test_atoms_without_neighbours(loaded):
    """One atom has its own energy and no forces."""
    alone = Atoms("O", positions=[[1.0, 2.0, 3.0]])
    for kind in KINDS:
        found = answer(loaded(kind), alone)
        for name in set(found.names) & {"forces", "virial"}:
            assert not found[name].any()
    assert answer(loaded("AtomicDielectricMACE"), alone).polarizability.shape == (1, 3, 3)


def test_a_small_cell(loaded):
    """A cell below the cutoff, in which atoms see images of themselves, is the same as a larger one of several."""
    evaluator, small = loaded("EnergyDipolesMACE"), waters(seed=4)[:3]
    small.set_cell([3.1, 3.3, 3.2])
    small.pbc = True
    large = small.repeat((2, 1, 2))
    one, four = answer(evaluator, small), answer(evaluator, large)
    np.testing.assert_allclose(four.energy, 4 * one.energy, rtol=1e-13)
    np.testing.assert_allclose(four.forces[0, :3], one.forces[0], atol=1e-11)
    np.testing.assert_allclose(four.virial, 4 * one.virial, atol=1e-10)


def test_heads(tmp_path):
    file = mace_file(tmp_path / "heads.model", "MACE", heads=("dft", "cc"))
    with pytest.raises(EvaluatorError, match=r"has the heads dft, cc; say which with head=NAME"):
        load_evaluator(f"mace:{file}")
    with pytest.raises(EvaluatorError, match=r"head is 'ccc'; .*has dft, cc.*did you mean"):
        load_evaluator(f"mace:{file},head=ccc")
    first, second = (answer(load_evaluator(f"mace:{file},head={head}"), waters()) for head in ("dft", "cc"))
    assert np.abs(first.forces - second.forces).max() > 1e-3


def test_units(files):
    """Those of the class, unless others are named."""
    file, frames = files("AtomicDipolesMACE"), waters()
    debye, own = (load_evaluator(f"mace:{file}{setting}") for setting in ("", ",dipole_unit=e*angstrom"))
    for name in ("dipole", "born_charges"):
        np.testing.assert_allclose(answer(debye, frames)[name], answer(own, frames)[name] * DEBYE, rtol=1e-12)
    assert "dipole in debye" in repr(debye)
    assert "dipole in e*angstrom" in repr(own)


def test_committee_with_settings(files, loaded, tmp_path, monkeypatch):
    """Settings follow their member, and files are found from anywhere."""
    monkeypatch.chdir(files("MACE").parent)
    name = "committee:mace:MACE.model,dtype=float32,chunk=2,mace:ScaleShiftMACE.model"
    full = from_any_folder(name)
    monkeypatch.chdir(tmp_path)
    assert {path.name for path in files_of(full)} == {"MACE.model", "ScaleShiftMACE.model"}
    committee = load_evaluator(full)
    found = answer(committee, waters(), ["energy", "committee_energy", "forces"])
    members = [answer(loaded(kind), waters()).energy for kind in ("MACE", "ScaleShiftMACE")]
    np.testing.assert_allclose(found.committee_energy[0], np.ravel(members), rtol=1e-6)


def test_it_is_copied_by_its_name(files):
    evaluator = load_evaluator(f"mace:{files('AtomicDipolesMACE')},chunk=3")
    copied = pickle.loads(pickle.dumps(evaluator))
    assert copied.chunk == 3
    assert np.array_equal(answer(copied, waters()).dipole, answer(evaluator, waters()).dipole)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("dtpe=float32", "'dtpe=float32' is no setting .*did you mean 'dtype'"),
        ("dtype=half", "dtype is 'half'; allowed are float64, float32"),
        ("chunk=0", "chunk is '0'; a whole number, at least 1, is needed"),
        ("chunk=two", "chunk is 'two'; a whole number"),
        ("chunk=1,chunk=2", "chunk of .* is given twice"),
        ("device=gpu", "device is 'gpu', which is not there"),
        ("head=", "head of .* has no value"),
        ("dipole_unit=debye", "dipole_unit of .*ScaleShiftMACE has no dipole"),
    ],
)
def test_settings_that_are_refused(files, settings, message):
    with pytest.raises(EvaluatorError, match=message) as raised:
        load_evaluator(f"mace:{files('ScaleShiftMACE')},{settings}")
    assert "\n" not in str(raised.value)


def test_units_that_are_refused(files):
    with pytest.raises(EvaluatorError, match=r"polarizability_unit of .*'debye' measures e·Å; needed is"):
        load_evaluator(f"mace:{files('AtomicDielectricMACE')},polarizability_unit=debye")


def test_structures_that_are_refused(loaded):
    evaluator = loaded("ScaleShiftMACE")
    with pytest.raises(StructureError, match=r"does not know C, Cl; it knows H, O$"):
        answer(evaluator, molecule("CH3Cl"))
    near = waters()
    near.positions[4] = near.positions[0] + 0.1
    with pytest.raises(StructureError, match=r"atoms 0 and 4 of bead 1 are 0.173 Å apart"):
        answer(evaluator, [waters(), near])
    flat = waters()
    flat.set_cell(np.zeros((3, 3)))
    with pytest.raises(StructureError, match="bead 0"):
        evaluator.evaluate(Batch(flat.numbers, flat.positions[None], np.zeros((1, 3, 3)), np.ones(3, bool)), ["energy"])
    with pytest.raises(PropertyError, match=r"property 'dipole' is not available; the MACE model"):
        answer(evaluator, waters(), ["dipole"])


def test_files_that_are_refused(files, tmp_path):
    import torch

    whole = files("ScaleShiftMACE").read_bytes()
    torch.save({"weights": torch.zeros(3)}, tmp_path / "weights.model")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "linear.model")
    (tmp_path / "empty.model").touch()
    (tmp_path / "text.model").write_text("nep4 2 O H\n")
    (tmp_path / "half.model").write_bytes(whole[: len(whole) // 2])
    for name, message in [
        ("weights", "holds dict, which is no model of MACE that can be served; allowed are MACE, ScaleShiftMACE"),
        ("linear", "holds Linear, which is no model of MACE"),
        ("empty", "is damaged or no file of MACE"),
        ("text", "is damaged or no file of MACE"),
        ("half", "is damaged or no file of MACE"),
        ("missing", "does not exist; it is written mace:FILE"),
        ("", "is a folder; it is written mace:FILE"),
    ]:
        with pytest.raises(EvaluatorError, match=message) as raised:
            load_evaluator(f"mace:{tmp_path / name}{'.model' if name else ''}")
        assert "\n" not in str(raised.value)


def test_damaged_at_random(files, tmp_path):
    """A flipped byte gives a model or one line, and nothing else."""
    generator, damaged = np.random.default_rng(0), tmp_path / "damaged.model"
    whole = np.frombuffer(files("ScaleShiftMACE").read_bytes(), np.uint8)
    for _ in range(30):
        changed = whole.copy()
        places = generator.integers(len(whole), size=generator.integers(1, 4))
        changed[places] = generator.integers(256, size=len(places))
        damaged.write_bytes(changed.tobytes())
        try:
            load_evaluator(f"mace:{damaged}")
        except BeadwiseError as error:
            assert "\n" not in str(error)


def test_without_the_package(files):
    """One line, and nothing heavy is imported before it is needed."""
    script = (
        "import sys; sys.modules['mace'] = None; from beadwise.model.evaluators import load_evaluator\n"
        "assert 'torch' not in sys.modules\n"
        f"load_evaluator('mace:{files('MACE')}')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=files("MACE").parent)
    last = done.stderr.strip().splitlines()[-1]
    assert "files of MACE need the package mace-torch" in last
    assert "pip install 'beadwise[mace]'" in last


def test_the_process_stays_as_it_was(files, capfd):
    """MACE lets every later torch.load run code; that is taken back, and nothing is printed."""
    load_evaluator(f"mace:{files('MACE')}")
    assert FORCED_PICKLES not in os.environ
    assert capfd.readouterr() == ("", "")


def test_a_file_needs_the_users_word(files):
    """A file of MACE runs code: what another file names is refused unless the user has named it, too."""
    from beadwise.model.evaluators.trust import named_by_a_file, trusting

    name = f"mace:{files('MACE')}"
    with (
        pytest.raises(EvaluatorError, match=r"may run code, and only the file names it; .*--trust"),
        named_by_a_file(name),
    ):
        pass
    with trusting([name]), named_by_a_file(name):
        pass


def test_a_model_that_reads_the_charge_refuses_structures_of_another(files):
    evaluator, atoms = load_evaluator(f"mace:{files('ScaleShiftMACE')},charge=-1"), molecule("H2O")
    expected = answer(evaluator, atoms)["energy"]
    atoms.info["charge"] = 1
    np.testing.assert_array_equal(answer(evaluator, atoms)["energy"], expected)  # it does not read it
    evaluator.file.module.embedding_specs = {"total_charge": {}}
    with pytest.raises(
        StructureError, match=r"structures have the charge 1, and the MACE model '.*' is asked with charge=-1"
    ):
        answer(evaluator, atoms)
