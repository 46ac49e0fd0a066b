"""The shell model of BaTiO₃ in docs/batio3: a slow sum by waves alone, finite differences, labels made elsewhere."""

import shutil
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from ase.io import read, write
from ase.units import Bohr, kB
from beadwise.model import Batch, StructureError
from coulomb_sums import reciprocal_energy
from places import SHARED
from scipy.special import erfc

if shutil.which("c++") is None:
    pytest.skip("the shell model is compiled by c++, which is not here", allow_module_level=True)

sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "batio3"))

import against_shell_model
import shell_frames
import shell_model

LABELS = SHARED / "data" / "ferroelectric_shell_model" / "batio3_shell_train.xyz"
WIDTH, STEP = 0.5, 2e-3  # Å
ALL = ["energy", "forces", "virial", "dipole", "polarizability", "born_charges"]


@pytest.fixture(scope="module")
def structure():
    return shell_frames.distorted(np.random.default_rng(5))


@pytest.fixture(scope="module")
def answer(structure):
    return shell_model.crystal.evaluate(Batch.from_ase(structure), ALL)


def of(structure, name):
    return shell_model.crystal.evaluate(Batch.from_ase(structure), [name])[name][0]


def moved(structure, atom, axis, step):
    own = structure.copy()
    own.positions[atom, axis] += step
    return own


def repulsion(x, strength, reach, attraction, last=8.0):
    """Buckingham's form of all distances, with value and slope taken off that it has at the last."""

    def law(x):
        return strength * np.exp(-x / reach) - attraction / x**6

    slope = (law(last + 1e-5) - law(last - 1e-5)) / 2e-5
    return np.where(x < last, law(x) - law(last) - slope * (x - last), 0.0).sum()


def slow_energy(structure, displacements):
    """Waves of Gaussian charges, what points have besides near each other, and the rest as the paper writes it."""
    core, shell, spring, stiffening = np.array([shell_model.IONS[z] for z in structure.numbers]).T
    positions = np.concatenate([structure.positions, structure.positions + displacements])
    charges, atoms, cell = np.concatenate([core, shell]), len(core), structure.cell.array
    widths = np.full(2 * atoms, WIDTH)
    charged = reciprocal_energy(positions, cell, charges, np.zeros((2 * atoms, 3)), widths, 7.0)
    stretched = np.linalg.norm(displacements, axis=1)
    charged -= (core * shell * (1 - erfc(stretched / (2 * WIDTH))) / stretched).sum()  # no core acts on its own shell
    energy = (spring * stretched**2 / 2 + stiffening * stretched**4 / 24).sum()
    own = np.kron(np.ones((2, 2)), np.eye(atoms)) > 0
    for image in np.stack(np.meshgrid(*[np.arange(-1, 2)] * 3, indexing="ij"), -1).reshape(-1, 3):
        r = np.linalg.norm(positions[:, None] - positions - image @ cell, axis=-1)
        r[own & (not image.any())] = 100.0
        charged += 0.5 * (charges[:, None] * charges * erfc(r / (2 * WIDTH)) / r).sum()
        for (first, second), parameters in shell_model.REPULSION.items():
            a, b = (np.flatnonzero(structure.numbers == one) + atoms for one in (first, second))
            energy += (0.5 if first == second else 1.0) * repulsion(r[np.ix_(a, b)], *parameters)
    return energy + shell_model.COULOMB * charged


def test_energy_is_the_slow_sum(structure, answer):
    shells = shell_model.Shells(structure.numbers)
    shells.place(structure.cell.array, structure.positions)
    displacements, there = shells.relax()
    assert there.energy == pytest.approx(answer.energy[0], abs=1e-8)
    displacements = displacements + np.random.default_rng(0).normal(0, 0.02, displacements.shape)
    assert shells.gradient(displacements).energy == pytest.approx(slow_energy(structure, displacements), abs=2e-6)


@pytest.mark.parametrize(("atom", "axis"), [(0, 0), (1, 2), (4, 1)])
def test_derivatives_by_an_atom(structure, answer, atom, axis):
    ends = [moved(structure, atom, axis, sign * STEP) for sign in (1, -1)]
    energies, dipoles = ([of(end, name) for end in ends] for name in ("energy", "dipole"))
    assert (energies[0] - energies[1]) / (2 * STEP) == pytest.approx(-answer.forces[0, atom, axis], abs=2e-4)
    difference = (dipoles[0] - dipoles[1]) / (2 * STEP)
    np.testing.assert_allclose(difference, answer.born_charges[0, atom, axis], atol=2e-4)


def test_virial_is_the_derivative_by_strain(structure, answer):
    strain = np.array([[0.3, 0.2, -0.1], [0.2, -0.5, 0.4], [-0.1, 0.4, 0.6]])
    energies = []
    for sign in (1, -1):
        own = structure.copy()
        own.set_cell(own.cell.array @ (np.eye(3) + sign * 1e-4 * strain), scale_atoms=True)
        energies.append(of(own, "energy"))
    assert (energies[0] - energies[1]) / 2e-4 == pytest.approx(-(answer.virial[0] * strain).sum(), abs=1e-4)


def test_nothing_depends_on_the_way_there(structure, answer):
    shell_model.crystal.evaluate(Batch.from_ase(moved(structure, 3, 0, 0.05)), ["energy"])
    again = shell_model.ShellModel().evaluate(Batch.from_ase(structure), ALL)
    np.testing.assert_allclose(again.forces, answer.forces, atol=2e-5)
    shifted = structure.copy()
    shifted.positions += [0.3, -0.7, 1.9]
    shifted.positions[5] += shifted.cell[1]
    np.testing.assert_allclose(of(shifted, "dipole"), answer.dipole[0], atol=2e-5)
    np.testing.assert_allclose(of(shell_frames.ideal(), "dipole"), 0, atol=1e-8)


def test_atoms_on_each_other_are_refused(structure):
    own = structure.copy()
    own.positions[1] = own.positions[0] + [0.4, 0, 0]
    with pytest.raises(StructureError, match="shell model of BaTiO3 ends there"):
        of(own, "energy")


def test_labels_made_elsewhere():
    if not LABELS.is_file():
        pytest.skip(f"needs {LABELS.name}")
    for frame in read(LABELS, "::70"):
        found = shell_model.crystal.evaluate(Batch.from_ase(frame), ALL)
        assert found.energy[0] == pytest.approx(frame.get_potential_energy(), abs=3e-6)
        np.testing.assert_allclose(found.forces[0], frame.get_forces(), atol=2e-5)
        np.testing.assert_allclose(-found.virial[0] / frame.get_volume(), frame.get_stress(voigt=False), atol=1e-6)
        np.testing.assert_allclose(found.dipole[0], frame.get_dipole_moment(), atol=2e-5)
        np.testing.assert_allclose(found.polarizability[0].ravel(), frame.info["polarizability"], atol=2e-3)
        born = np.reshape(frame.calc.results["born_effective_charges"], found.born_charges[0].shape)
        np.testing.assert_allclose(found.born_charges[0], born, atol=3e-4)


def test_columns_of_a_run(tmp_path):
    samples, step = 30, 0.5  # ps
    cells = np.tile([0, 0, 100.0, -866.0, 8.0 * 8.1 * 8.4, 8.0, 8.1, 8.4, 0, 0, 0], (samples, 1))
    cells[:, 0], cells[:, 1] = np.arange(samples), step * np.arange(samples)
    np.savetxt(tmp_path / "npt.cell", cells)
    records = [f" #EXTRAS(dipole)# Step: {n}\n 3.0 0.0 4.0\n" for n in range(samples)]
    (tmp_path / "npt.moments_0").write_text("".join(records), encoding="utf-8")
    columns, length = against_shell_model.series_of(tmp_path, 100)
    assert (len(columns), length) == (samples - 10, (samples - 11) * step)  # the first 5 ps are left out
    dipole, volume = 5 * Bohr, 8.0 * 8.1 * 8.4
    susceptibility = dipole**2 / volume / (3 * 8.8541878e-12 * 1e-10 / 1.602176634e-19 * kB * 100)
    expected = [np.cbrt(volume / 8), 8.4 / 8.0, dipole / volume * 16.02176634, susceptibility]
    np.testing.assert_allclose(columns[0], expected, rtol=1e-6)


def test_folders_of_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("start.xyz", shell_frames.ideal(), format="extxyz")
    against_shell_model.prepare()
    against_shell_model.visit()
    found = ElementTree.parse(tmp_path / "fitted_150_2" / "input.xml")
    assert found.findtext("system/ensemble/temperature").strip() == "150"
    assert found.findtext("system/motion/dynamics/barostat/tau").strip() == "300"
    assert found.findtext("prng/seed").strip() == "2"
    assert "batio3_shell.safetensors" in found.findtext("ffdirect/parameters")
    assert len(found.findtext("system/initialize/masses").split(",")) == len(shell_frames.ideal())
    visited = ElementTree.parse(tmp_path / "visit_400_9" / "input.xml")
    assert (
        visited.findtext("total_steps").strip(),
        visited.find("output/trajectory[@filename='pos']").get("stride"),
    ) == (
        "4000",
        "50",
    )
