"""Single precision beside double: the same answers to what single precision resolves, and refusals."""

from dataclasses import replace

import numpy as np
import pytest
from ase import units
from ase.md.verlet import VelocityVerlet
from beadwise.driver.commands.group import main
from beadwise.driver.doors.in_process import InProcessDriver
from beadwise.model import Batch, load
from beadwise.model.calculator import Calculator
from beadwise.model.errors import EvaluatorError, ModelFileError, StructureError
from beadwise.model.evaluators import load_evaluator, with_precision
from beadwise.runs.units import BOHR_PER_ANGSTROM, HARTREE_PER_ELECTRONVOLT
from beadwise.spectra import Conditions, Window
from beadwise.spectra.recording import make_recorder, spectrum_of
from click.testing import CliRunner
from models import random_model, random_structure
from scipy.signal import argrelmax
from scipy.spatial.transform import Rotation

WANT = ("energy", "forces", "virial", "dipole", "polarizability", "born_charges")


def single(model):
    return with_precision(model, "single", "it")


@pytest.fixture(scope="module")
def water():
    return load("water")


def shaped(liquid, shape):
    """The liquid as it is, a slab of it, or a cluster cut out of it, moved about."""
    atoms = liquid.copy()
    if shape == "slab":
        atoms.cell[2, 2] += 20.0
        atoms.pbc = [True, True, False]
    if shape == "cluster":
        atoms = atoms[:96]
        atoms.pbc, atoms.cell = False, None
    atoms.positions += np.random.default_rng(3).normal(0, 0.05, atoms.positions.shape)
    return atoms


@pytest.mark.filterwarnings("ignore::beadwise.errors.StructureWarning")
@pytest.mark.parametrize("shape", ["bulk", "slab", "cluster"])
def test_answers_are_those_of_double_precision(water, liquid, shape):
    batch = Batch.from_ase(shaped(liquid, shape))
    expected, found = water.evaluate(batch, WANT), single(water).evaluate(batch, WANT)
    error = found["forces"] - expected["forces"]
    assert 0 < abs(error).max() < 1e-3  # eV/Å
    assert np.sqrt((error**2).mean()) < 1e-4
    assert (
        abs(found["energy"] - expected["energy"]).max() / batch.atoms < 1e-5
    )  # eV, a fortieth of the error of the model
    for name in ("virial", "dipole", "polarizability", "born_charges"):
        scale = np.sqrt((expected[name] ** 2).mean())
        assert abs(found[name] - expected[name]).max() < 1e-4 * scale, name


@pytest.mark.parametrize("hidden", [(), (16, 8)], ids=["linear", "network"])
@pytest.mark.parametrize(("radial", "l_max"), [(8, 2), (16, 2), (8, 3), (7, 4), (8, 5), (13, 6)])
def test_every_size(radial, l_max, hidden):
    model = random_model(1, radial=radial, l_max=l_max, hidden=hidden)
    batch = Batch.from_ase(random_structure(1))
    expected, found = model.evaluate(batch, WANT), single(model).evaluate(batch, WANT)
    for name in WANT:
        scale = max(np.sqrt((expected[name] ** 2).mean()), 0.01)
        assert abs(found[name] - expected[name]).max() < 3e-5 * scale, name


def test_forces_are_slopes_of_the_energy(water, liquid):
    """Along one direction, by steps that rounding allows."""
    atoms, model = shaped(liquid, "bulk"), single(water)
    direction = np.random.default_rng(0).normal(size=atoms.positions.shape)
    step = 0.004  # Å
    places = atoms.positions + step * np.array([1, -1, 2, -2])[:, None, None] * direction
    batch = Batch(atoms.numbers, places, np.repeat(atoms.cell.array[None], 4, axis=0), atoms.pbc)
    energies = model.evaluate(batch, ("energy",))["energy"]
    slope = (8 * (energies[0] - energies[1]) - (energies[2] - energies[3])) / (12 * step)
    forces = model.evaluate(Batch.from_ase(atoms), ("forces",))["forces"][0]
    assert -slope == pytest.approx((forces * direction).sum(), abs=0.15)  # 2e-4 eV over the step


def test_rotations(water, liquid):
    atoms = shaped(liquid, "bulk")
    turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    turned = atoms.copy()
    turned.cell, turned.positions = atoms.cell.array @ turn.T, atoms.positions @ turn.T
    model = single(water)
    first, second = (model.evaluate(Batch.from_ase(own), WANT) for own in (atoms, turned))
    assert second["energy"][0] == pytest.approx(first["energy"][0], abs=1e-5 * len(atoms))
    assert abs(second["forces"][0] - first["forces"][0] @ turn.T).max() < 1e-3
    assert abs(second["dipole"][0] - turn @ first["dipole"][0]).max() < 1e-4


def test_threads_and_parts_add_up(water, liquid):
    batch = Batch.from_ase(shaped(liquid, "bulk"))
    model = single(water)
    whole = model.evaluate(batch, WANT)
    shared = replace(model, threads=2).evaluate(batch, WANT)
    parts = [model.evaluate_part(batch, WANT, part, 3) for part in range(3)]
    added = model.assemble(batch, WANT, [sum(arrays) for arrays in zip(*parts, strict=True)])
    for name in WANT:
        assert shared[name] == pytest.approx(whole[name], rel=1e-4, abs=1e-4)
        assert added[name] == pytest.approx(whole[name], rel=1e-4, abs=1e-4)


def test_energy_is_conserved(water, liquid):
    liquid.calc = Calculator(single(water))
    velocities = np.random.default_rng(0).normal(size=(192, 3)) * np.sqrt(300 * units.kB / liquid.get_masses())[:, None]
    liquid.set_velocities(velocities)
    dynamics = VelocityVerlet(liquid, 0.25 * units.fs)
    totals = []
    dynamics.attach(lambda: totals.append(liquid.get_total_energy()), interval=20)
    dynamics.run(400)
    assert np.ptp(totals) / len(liquid) < 1e-3  # eV/atom, as in double precision


@pytest.mark.filterwarnings("ignore::beadwise.errors.StructureWarning")
def test_spectra_have_the_same_maxima(water, liquid):
    """Dipoles and polarizabilities of the same frames in both precisions (`benchmarks/precision` has a longer one)."""
    atoms, timestep, places = liquid[:96], 1.0, []
    atoms.pbc = False
    masses = atoms.get_masses()[:, None]
    atoms.calc = Calculator(single(water))
    atoms.set_velocities(np.random.default_rng(0).normal(size=(96, 3)) * np.sqrt(300 * units.kB / masses))
    dynamics = VelocityVerlet(atoms, timestep * units.fs)
    dynamics.attach(lambda: places.append(atoms.positions.copy()))
    dynamics.run(250)
    batch = Batch(atoms.numbers, np.array(places), np.repeat(atoms.cell.array[None], len(places), axis=0), atoms.pbc)
    window = Window("hann", 100.0)
    curves = []
    for model in (water, single(water)):
        response = model.evaluate(batch, ("dipole", "polarizability"))
        answer = {name: response[name] for name in response.names}
        for kind, name in (("ir", "n_alpha"), ("raman", "parallel")):
            recorder = make_recorder(kind, timestep, window)
            recorder.add(answer)
            curves.append(spectrum_of([recorder], Conditions(timestep, 300.0, 1000.0), window)[name].values)
    for expected, found in zip(curves[:2], curves[2:], strict=True):
        tops = argrelmax(expected)[0]
        assert len(tops) > 2
        assert 0 < abs(found[tops] / expected[tops] - 1).max() < 1e-3


def test_atoms_that_overlap_are_refused(water, liquid):
    liquid.positions[1] = liquid.positions[0] + [0.0, 0.0, 0.1]
    with pytest.raises(StructureError, match=r"atoms \d and \d of bead 0 are 0.100 Å apart"):
        single(water).evaluate(Batch.from_ase(liquid), ("energy",))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("water_accurate", "it has an equivariant network"),
        ("qtip4pf", "only model files without baseline"),
        ("committee:water,water", "only model files without baseline"),
        ("acetylacetone_gfn2", "only model files without baseline"),
    ],
)
def test_what_has_none_says_so(name, reason):
    if name == "acetylacetone_gfn2":
        pytest.importorskip("tblite")
    with pytest.raises(EvaluatorError, match=f"'{name}' has no single precision: {reason}.*leave out --precision"):
        with_precision(load_evaluator(name), "single", name)


def test_few_radial_functions_have_none():
    with pytest.raises(EvaluatorError, match="it has 3 radial functions per species; 5 to 8 or 13 to 16 are needed"):
        single(random_model())


def test_other_precisions_are_refused(water):
    with pytest.raises(EvaluatorError, match="'it' in precision half; allowed are double and single"):
        with_precision(water, "half", "it")
    with pytest.raises(ModelFileError, match="precision of a model is 'half'; allowed are double and single"):
        replace(water, precision="half")
    assert with_precision(water, "double", "it") is water


def test_in_ipis_own_process(water, liquid):
    cell, positions = liquid.cell.array.T * BOHR_PER_ANGSTROM, liquid.positions * BOHR_PER_ANGSTROM
    energy, forces, _, _ = InProcessDriver(precision="single")(cell, positions)
    expected = single(water).evaluate(Batch.from_ase(liquid), ["energy", "forces", "virial"])
    assert energy == pytest.approx(expected.energy[0] * HARTREE_PER_ELECTRONVOLT, rel=1e-7)
    wanted = expected.forces[0] * HARTREE_PER_ELECTRONVOLT / BOHR_PER_ANGSTROM
    np.testing.assert_allclose(forces, wanted, rtol=1e-4, atol=2e-6)
    double = water.evaluate(Batch.from_ase(liquid), ["forces"]).forces[0]
    assert np.abs(forces * BOHR_PER_ANGSTROM / HARTREE_PER_ELECTRONVOLT - double).max() > 1e-9


def test_a_server_refuses_before_it_waits():
    result = CliRunner().invoke(main, ["serve", "qtip4pf", "--unix", "a", "--precision", "single"])
    assert result.exit_code == 2
    assert "'qtip4pf' has no single precision" in result.output
