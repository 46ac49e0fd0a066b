"""The shipped inputs for enhanced sampling: PLUMED biases the centroid, and tells the variable of every bead."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.geometry import get_dihedrals
from beadwise.driver.launch.shipped_inputs import copy_shipped_input, example_for, example_of
from beadwise.model import Batch
from beadwise.model.evaluators import load_evaluator
from beadwise.runs.input.run_input import RunInput, species_of_run
from plumed_here import needs_plumed
from test_inputs import BIASED
from test_run import Folder

BEADS, STEPS, WINDOWS, MOLECULES = 16, 6, 12, 32
SAME = 3e-4  # as i-PI writes structures with six digits, positions in Angstrom are right to 5e-5
CLASSICAL = "proton_restraint"
DEPOSITED = {"torsion_metadynamics": "HILLS", "torsion_opes": "KERNELS", "proton_sharing": "KERNELS"}


def torsion(atoms: Atoms) -> float:
    """The C-C-O-H torsion in radian, from 0 to 2 pi."""
    first, second, third, fourth = atoms.positions[:4]
    degrees = get_dihedrals([second - first], [third - second], [fourth - third])[0]
    return float(np.deg2rad(degrees))


def sharing(atoms: Atoms) -> float:
    """Sum over the oxygens but the proton's own of 1 / (1 + (r/r0)^6), which PLUMED's (1 - x^6) / (1 - x^12) is."""
    distances = atoms.get_distances(1, range(3, 3 * MOLECULES, 3), mic=True)
    return float((1 / (1 + (distances / 1.25) ** 6)).sum())


def difference(angles: np.ndarray, others: np.ndarray) -> np.ndarray:
    """From −π to π; of numbers that are no angles, as small as here, it is the difference as well."""
    return np.angle(np.exp(1j * (angles - others)))


def of_all(folder: Path, name: str) -> np.ndarray:
    """What i-PI wrote of PLUMED, shape (beads, records, columns)."""
    return np.array([np.loadtxt(path) for path in sorted(folder.glob(f"{name}.variables_*"))])


def of_centroid(folder: Path, name: str, variable) -> np.ndarray:
    """The variable of the centroids that i-PI wrote, without PLUMED."""
    frames = ase.io.read(folder / f"{name}.centroid.xyz", ":", format="xyz")
    for atoms in frames:
        if len(atoms) == 3 * MOLECULES:
            atoms.set_cell([9.86] * 3)
            atoms.set_pbc(True)
    return np.array([variable(atoms) for atoms in frames])


def edit(path: Path, *replacements: tuple[str, str]) -> None:
    text = path.read_text()
    for pattern, replacement in replacements:
        text = re.sub(pattern, replacement, text)
    path.write_text(text)


@pytest.fixture(scope="module")
def biased_runs(tmp_path_factory):
    """All of them for a few steps, side by side, with a record of every step and something deposited at every second.

    One of them has a single bead, which makes it classical.
    """
    runs = {}
    for name in BIASED:
        folder = Folder(tmp_path_factory.mktemp(name))
        copy = copy_shipped_input(name, folder.path)
        edit(copy, ("<total_steps>[^<]*", f"<total_steps> {STEPS} "), (r"stride='\d+'", "stride='1'"))
        if name == CLASSICAL:
            edit(copy, ("nbeads='16'", "nbeads='1'"))
        for path in copy.parent.glob("*.dat"):
            edit(path, (r"\bSTRIDE=\d+", "STRIDE=1"), (r"\bPACE=\d+", "PACE=2"))
        folder.path, folder.socket = copy.parent, RunInput.read(copy).sockets[0].path
        runs[name] = folder, folder.start(copy.name, "--threads", "1", model=example_of(name).model)
    for _, process in runs.values():
        process.result = process.communicate(timeout=300)
    yield runs
    for folder, _ in runs.values():
        folder.kill_all()


def finished(runs, name: str) -> Path:
    folder, process = runs[name]
    assert (process.returncode, process.result[1]) == (0, "")
    folder.assert_clean()
    return folder.path


@needs_plumed
@pytest.mark.parametrize(
    ("name", "variable"),
    [("torsion_metadynamics", torsion), ("torsion_opes", torsion), ("proton_sharing", sharing)],
)
def test_variable_of_the_centroid_and_of_every_bead(biased_runs, name, variable):
    folder = finished(biased_runs, name)
    values = of_all(folder, name)
    assert values.shape[:2] == (BEADS, STEPS + 1) and np.isfinite(values).all()
    assert np.abs(difference(values[0, :, 0], of_centroid(folder, name, variable))).max() < SAME
    assert (values[:, :, :-1] == values[:1, :, :-1]).all(), "the centroid is one"
    assert (values[:, 1:, -1].std(axis=0) > 0).all(), "beads have variables of their own"
    assert len(np.loadtxt(folder / "COLVAR")) == STEPS
    assert len(np.loadtxt(folder / DEPOSITED[name], ndmin=2)) >= STEPS // 2 - 1


@needs_plumed
def test_windows(biased_runs):
    folder = finished(biased_runs, "torsion_umbrella")
    for number in range(WINDOWS):
        name = f"window_{number:02d}_torsion_umbrella"
        values = of_all(folder, name)
        assert values.shape == (BEADS, STEPS + 1, 3)
        assert np.abs(difference(values[0, :, 0], of_centroid(folder, name, torsion))).max() < SAME
        away = difference(values[0, :, 0], -np.pi + number * np.pi / 6)
        np.testing.assert_allclose(values[0, :, 1], 20 / 2 * away**2, rtol=1e-6, atol=1e-9)  # kJ/mol
        assert len(np.loadtxt(folder / f"COLVAR_{number:02d}")) == STEPS


@needs_plumed
def test_spring_on_a_proton_whose_one_bead_is_its_centroid(biased_runs):
    folder = finished(biased_runs, CLASSICAL)
    (values,) = of_all(folder, CLASSICAL)
    assert values.shape == (STEPS + 1, 3)
    assert np.abs(difference(values[:, 0], of_centroid(folder, CLASSICAL, sharing))).max() < SAME
    np.testing.assert_allclose(values[:, 1], 1000 / 2 * (values[:, 0] - 0.4) ** 2, rtol=1e-6)  # kJ/mol
    np.testing.assert_array_equal(values[:, 2], values[:, 0])


@needs_plumed
def test_spread_of_a_committee_is_that_of_its_models(biased_runs):
    folder = finished(biased_runs, "committee_wall")
    values = of_all(folder, "committee_wall")
    assert values.shape == (8, STEPS + 1, 2)
    committee = load_evaluator("committee:water,water_accurate")

    def spread(atoms: Atoms) -> float:
        return float(committee.evaluate(Batch.from_ase([atoms]), ("committee_energy",)).committee_energy[0].std(ddof=1))

    np.testing.assert_allclose(values[0, :, 0], of_centroid(folder, "committee_wall", spread), rtol=1e-2)
    np.testing.assert_allclose(values[0, :, 1], 500000 * np.maximum(values[0, :, 0] - 0.008, 0) ** 2, rtol=1e-6)


@needs_plumed
def test_wall_is_not_felt_by_an_intact_molecule(biased_runs):
    assert (of_all(finished(biased_runs, "proton_sharing"), "proton_sharing")[..., 2] == 0).all()


@pytest.mark.parametrize("name", BIASED)
def test_all_files_are_copied(tmp_path, name):
    copy = copy_shipped_input(name, tmp_path)
    root = ElementTree.parse(copy).getroot()
    named = {(element.text or "").strip() for tag in ("plumed_dat", "file") for element in root.iter(tag)}
    modules = {path.name for path in copy.parent.glob("*.py")}
    assert {path.name for path in copy.parent.iterdir()} == {copy.name, *named, *modules}
    assert modules == ({"committee_wall_variables.py"} if name == "committee_wall" else set())
    assert example_for(RunInput.read(copy)).model == example_of(name).model
    assert len(species_of_run(copy, copy.parent)) == (9 if name.startswith("torsion") else 3 * MOLECULES)
    told = re.findall(r"\w+", root.findtext("smotion/metad/metaff") or "")
    names = [element.get("name") for element in root.iter("ffplumed")]
    assert told == [name for name in names if name not in ("beads", "walls")], "those that act on the centroid"


def test_windows_differ_in_their_centre_alone(tmp_path):
    folder = copy_shipped_input("torsion_umbrella", tmp_path).parent
    texts = [(folder / f"torsion_window_{number:02d}.dat").read_text() for number in range(WINDOWS)]
    centres = [float(re.search(r"AT=(\S+)", text)[1]) for text in texts]
    np.testing.assert_allclose(centres, -np.pi + np.arange(WINDOWS) * np.pi / 6, atol=1e-9)
    degrees = [int(re.search(r"at (-?\d+) degrees", text)[1]) for text in texts]
    np.testing.assert_allclose(np.deg2rad(degrees), centres, atol=1e-9)
    bare = {re.sub(r"AT=\S+|at \S+ degrees|COLVAR_\d\d", "", text) for text in texts}
    assert len(bare) == 1
