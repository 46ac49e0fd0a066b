"""Models of metatomic: the package's own calculator, derivatives, names of outputs, units, members, wrong files."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from beadwise.errors import BeadwiseError
from beadwise.model import Batch, StructureError
from beadwise.model.evaluators import load_evaluator
from beadwise.model.evaluators.trust import is_built_in
from models import random_structure

pytest.importorskip("metatomic.torch", reason="metatomic is not installed: pip install 'beadwise[metatomic]'")
warnings.filterwarnings("ignore", category=DeprecationWarning)
DIPOLE = "dipole=mtt::dipole,dipole_unit=e*angstrom"
POLAR = "polarizability=mtt::polar,polarizability_unit=bohr^3"
BOHR3 = 0.529177210544**3


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    from metatomic_files import metatomic_file

    folder = tmp_path_factory.mktemp("metatomic")
    return {
        "all": metatomic_file(folder / "all.pt"),
        "spherical": metatomic_file(folder / "spherical.pt", spherical=True, dipole_unit="debye"),
        "energy": metatomic_file(folder / "energy.pt", ("mtt::dipole", "mtt::polar", "energy_ensemble")),
        "dipole": metatomic_file(folder / "dipole.pt", ("energy", "energy_ensemble", "non_conservative_force")),
    }


def beads(count=3, is_periodic=True):
    every = []
    for seed in range(count):
        atoms = random_structure(0)
        atoms.rattle(0.05, seed=seed)
        atoms.pbc = is_periodic
        every.append(atoms)
    return every


def batch_of(every):
    first = every[0]
    cells = np.array([atoms.cell.array for atoms in every])
    return Batch(first.numbers, np.array([atoms.positions for atoms in every]), cells, first.pbc)


@pytest.mark.parametrize("is_periodic", [True, False])
def test_as_the_calculator_of_the_package(files, is_periodic):
    from metatomic_ase import MetatomicCalculator

    every = beads(is_periodic=is_periodic)
    found = load_evaluator(f"metatomic:{files['energy']}").evaluate(batch_of(every), ["energy", "forces", "virial"])
    for bead, atoms in enumerate(every):
        atoms.calc = MetatomicCalculator(str(files["energy"]), device="cpu")
        np.testing.assert_allclose(found.energy[bead], atoms.get_potential_energy(), rtol=1e-10)
        np.testing.assert_allclose(found.forces[bead], atoms.get_forces(), rtol=1e-10, atol=1e-10)
        if is_periodic:
            virial = -atoms.get_volume() * atoms.get_stress(voigt=False)
            np.testing.assert_allclose(found.virial[bead], virial, rtol=1e-10, atol=1e-10)


def test_beads_in_one_forward_are_beads_alone(files):
    name, every = f"metatomic:{files['all']},{DIPOLE},{POLAR}", beads(5)
    want = ["energy", "forces", "virial", "dipole", "born_charges", "polarizability", "committee_energy"]
    whole = load_evaluator(name).evaluate(batch_of(every), want)
    chunks = load_evaluator(f"{name},chunk=2").evaluate(batch_of(every), want)
    for bead, atoms in enumerate(every):
        alone = load_evaluator(name).evaluate(Batch.from_ase(atoms), want)
        for one in want:
            np.testing.assert_allclose(whole[one][bead], alone[one][0], rtol=1e-11, atol=1e-11, err_msg=one)
            np.testing.assert_allclose(chunks[one][bead], alone[one][0], rtol=1e-11, atol=1e-11, err_msg=one)


def moved(atoms, atom=0, axis=0, step=0.0, strain=None):
    own = atoms.copy()
    own.positions[atom, axis] += step
    if strain is not None:
        own.set_cell(own.cell.array @ (np.eye(3) + strain))
        own.positions = own.positions @ (np.eye(3) + strain)
    return Batch.from_ase(own)


def test_derivatives_by_finite_differences(files):
    own, atoms, step = load_evaluator(f"metatomic:{files['all']},{DIPOLE},{POLAR}"), beads(1)[0], 1e-4
    want = ["energy", "dipole", "polarizability", "committee_energy"]
    slopes = ["forces", "born_charges", "polarizability_derivatives", "committee_forces", "virial", "committee_virial"]
    found = own.evaluate(Batch.from_ase(atoms), slopes)
    for atom, axis in ((0, 0), (4, 2)):
        ends = [own.evaluate(moved(atoms, atom, axis, sign * step), want) for sign in (1, -1)]
        slope = {name: (ends[0][name][0] - ends[1][name][0]) / (2 * step) for name in want}
        np.testing.assert_allclose(-slope["energy"], found.forces[0, atom, axis], atol=1e-5)
        np.testing.assert_allclose(slope["dipole"], found.born_charges[0, atom, axis], atol=1e-5)
        np.testing.assert_allclose(slope["polarizability"], found.polarizability_derivatives[0, atom, axis], atol=1e-5)
        np.testing.assert_allclose(-slope["committee_energy"], found.committee_forces[0, :, atom, axis], atol=1e-4)
    strain = np.zeros((3, 3))
    strain[0, 1] = strain[1, 0] = step / 2
    ends = [own.evaluate(moved(atoms, strain=sign * strain), ["energy", "committee_energy"]) for sign in (1, -1)]
    np.testing.assert_allclose(-(ends[0].energy - ends[1].energy) / (2 * step), found.virial[:, 0, 1], atol=1e-5)
    members = -(ends[0].committee_energy - ends[1].committee_energy)[0] / (2 * step)
    np.testing.assert_allclose(members, found.committee_virial[0, :, 0, 1], atol=1e-4)


def test_rotations_permutations_and_images(files):
    own, atoms = load_evaluator(f"metatomic:{files['all']},{DIPOLE},{POLAR}"), beads(1)[0]
    want = ["energy", "forces", "dipole", "polarizability"]
    found = own.evaluate(Batch.from_ase(atoms), want)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ turn)
    turned.positions = atoms.positions @ turn
    other = own.evaluate(Batch.from_ase(turned), want)
    np.testing.assert_allclose(other.energy, found.energy, rtol=1e-10)
    np.testing.assert_allclose(other.forces[0], found.forces[0] @ turn, atol=1e-10)
    np.testing.assert_allclose(other.dipole[0], found.dipole[0] @ turn, atol=1e-10)
    np.testing.assert_allclose(other.polarizability[0], turn.T @ found.polarizability[0] @ turn, atol=1e-10)
    order = np.random.default_rng(1).permutation(len(atoms))
    swapped = own.evaluate(Batch.from_ase(atoms[order]), want)
    np.testing.assert_allclose(swapped.forces[0], found.forces[0][order], atol=1e-10)
    image = atoms.copy()
    image.positions[3] += atoms.cell.array[1]
    np.testing.assert_allclose(own.evaluate(Batch.from_ase(image), want).forces, found.forces, atol=1e-10)


def test_units_and_forms(files):
    batch = batch_of(beads(2))
    plain = load_evaluator(f"metatomic:{files['all']},{DIPOLE},{POLAR}").evaluate(batch, ["dipole", "polarizability"])
    spherical = load_evaluator(f"metatomic:{files['spherical']}")  # its file says debye, and its name is found
    np.testing.assert_allclose(spherical.evaluate(batch, ["dipole"]).dipole, plain.dipole * 0.2081943, rtol=1e-6)
    cubic = load_evaluator(f"metatomic:{files['all']},{DIPOLE},{POLAR.replace('bohr', 'angstrom')}")
    np.testing.assert_allclose(plain.polarizability, BOHR3 * cubic.evaluate(batch, ["polarizability"]).polarizability)


def test_an_energy_without_a_unit(files, tmp_path):
    """metatomic converts nothing whose unit it does not know."""
    file = files["all"].with_name("no_unit.pt")
    from metatomic_files import metatomic_file

    metatomic_file(file, energy_unit="")
    with pytest.raises(BeadwiseError, match="does not say the unit of its output energy; say it with energy_unit=UNIT"):
        load_evaluator(f"metatomic:{file},{DIPOLE}")
    with pytest.raises(BeadwiseError, match="says the unit of its energy itself"):
        load_evaluator(f"metatomic:{files['energy']},energy_unit=eV")
    batch, want = batch_of(beads(2)), ["energy", "forces", "virial", "committee_energy", "forces_uncertainty", "dipole"]
    plain = load_evaluator(f"metatomic:{files['all']},{DIPOLE}").evaluate(batch, want)
    other = load_evaluator(f"metatomic:{file},{DIPOLE},energy_unit=hartree").evaluate(batch, want)
    for name in want:
        factor = 1.0 if name == "dipole" else 27.211386245988
        np.testing.assert_allclose(other[name], factor * plain[name], rtol=1e-9, err_msg=name)


def test_members_and_their_spread(files):
    own, batch = load_evaluator(f"metatomic:{files['all']},{DIPOLE}"), batch_of(beads(2))
    found = own.evaluate(batch, ["energy", "energy_uncertainty", "forces_uncertainty", "committee_energy"])
    assert found.committee_energy.shape == (2, 3)
    np.testing.assert_allclose(found.energy_uncertainty, found.committee_energy.std(axis=1, ddof=1), rtol=1e-12)
    assert found.forces_uncertainty.shape == (2, batch.atoms)


def test_forces_that_are_no_derivatives(files, caplog):
    own = load_evaluator(f"metatomic:{files['energy']},forces=direct")
    assert "no derivatives" in caplog.text
    assert "virial" not in own.properties and "forces" in own.properties
    forces = own.evaluate(batch_of(beads(2)), ["energy", "forces"]).forces
    np.testing.assert_allclose(forces.sum(axis=1), 0, atol=1e-10)


def test_one_that_knows_no_energy(files):
    own = load_evaluator(f"metatomic:{files['dipole']},{DIPOLE},{POLAR}")
    assert set(own.properties) == {"dipole", "born_charges", "polarizability", "polarizability_derivatives"}


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ("{all}", "does not say the unit of its output mtt::dipole; say it with dipole_unit=UNIT"),
        ("{all},dipole=mtt::dipol", "did you mean 'mtt::dipole'"),
        ("{all},dipole=mtt::dipole,dipole_unit=eV", "dipole_unit of"),
        ("{all},dipol_unit=eV", "did you mean 'dipole_unit'"),
        ("{energy},dipole_unit=debye", "there is no output for the dipole"),
        ("{dipole},dipole_unit=debye,forces=direct", "no forces by themselves"),
        ("{energy},forces=maybe", "allowed are derivatives, direct"),
        ("{energy},device=cuda:9", "not there"),
        ("{energy},chunk=0", "at least 1"),
        ("none.pt", "does not exist"),
    ],
)
def test_wrong_names_are_one_line(files, rest, words):
    with pytest.raises(BeadwiseError, match=words) as caught:
        load_evaluator("metatomic:" + rest.format(**files))
    assert "\n" not in str(caught.value)


def test_damaged_files_are_one_line(files, tmp_path):
    content = files["energy"].read_bytes()
    for name, bytes_of in {"cut": content[: len(content) // 2], "empty": b"", "text": b"{}" * 100}.items():
        (tmp_path / name).write_bytes(bytes_of)
        with pytest.raises(BeadwiseError, match="cannot be loaded") as caught:
            load_evaluator(f"metatomic:{tmp_path / name}")
        assert "\n" not in str(caught.value)


def test_species_and_trust(files):
    atoms = beads(1)[0]
    atoms.numbers[0] = 6
    with pytest.raises(StructureError, match="does not know C; it knows H, O"):
        load_evaluator(f"metatomic:{files['energy']}").evaluate(Batch.from_ase(atoms), ["energy"])
    assert not is_built_in(f"metatomic:{files['energy']}")
