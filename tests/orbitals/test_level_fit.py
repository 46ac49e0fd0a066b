"""Fits to levels alone: the loss and its gradient, rings with known levels, and `beadwise fit`."""

import json

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from beadwise.driver.commands.group import main as cli
from beadwise.learning.fitting.orbitals.fit import fit_hamiltonian
from beadwise.learning.fitting.orbitals.guess import guessed_matrices
from beadwise.learning.fitting.orbitals.levels import Spectra, read_spectra
from beadwise.learning.fitting.orbitals.matrices import Molecules
from beadwise.learning.fitting.orbitals.sections import read_hamiltonian_configuration
from beadwise.model.orbitals.file import load_hamiltonian
from beadwise.model.orbitals.model import HamiltonianModel
from click.testing import CliRunner
from orbital_models import ETHENE_FIT, RICH, isolated, shaken, tight_binding_matrices, turned_orbitals
from scipy.linalg import eigh
from scipy.spatial.transform import Rotation

pytest.importorskip("torch")
from beadwise.learning.fitting.orbitals.level_fit import LevelProblem, same_levels_together

RING = """
[data]
train = ["rings.xyz"]
validation = 0.2
unit = "eV"
[density]
cutoff = 2.2
radial = 3
l_max = 2
[hamiltonian]
shells = {H = "s"}
electrons = {H = 1}
target = "levels"
start = {H = [-1.0]}
l_max = 1
channels = 2
products = 2
few = 1
pair_cutoff = 2.2
pair_radial = 3
pair_l_max = 1
ridge = 1e-5
level_ridge = 1e-4
[output]
model = "rings.safetensors"
"""
ETHENE = ETHENE_FIT.replace("overlap = OVERLAP", 'target = "levels"\noverlap = false\nlevel_steps = 60')
BETA, LENGTH = -2.5, 1.4  # eV, Å


def ring(sites, distances):
    """Sites around a circle, moved along it so that neighbours are about so far apart."""
    angles = np.cumsum(np.asarray(distances)) / np.sum(distances) * 2 * np.pi
    radius = np.mean(distances) / (2 * np.sin(np.pi / sites))
    return np.stack([radius * np.cos(angles), radius * np.sin(angles), 0 * angles], axis=1)


def hueckel(positions):
    """α = 0 and β that falls off exponentially between neighbours (E. Hückel, Z. Phys. 70, 204 (1931))."""
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=2)
    is_bond = (distances < 1.3 * LENGTH) & (distances > 0)
    return np.where(is_bond, BETA * np.exp(-(distances - LENGTH) / 0.5), 0.0)


@pytest.fixture(scope="module")
def rings(tmp_path_factory):
    folder, generator, frames = tmp_path_factory.mktemp("rings"), np.random.default_rng(1), []
    for sites in (6, 8):
        for size in [0.0, *generator.uniform(0.01, 0.06, 14)]:
            positions = ring(sites, LENGTH + generator.normal(0, size, sites))
            frame = Atoms(f"H{sites}", positions)
            frame.info["levels"] = np.linalg.eigvalsh(hueckel(positions))
            frames.append(frame)
    ase.io.write(folder / "rings.xyz", frames)
    (folder / "rings.toml").write_text(RING)
    result = CliRunner().invoke(cli, ["fit", str(folder / "rings.toml"), "--json", str(folder / "rings.json")])
    assert result.exit_code == 0, result.output
    return folder


def test_rings(rings):
    """Rings of six and eight from a guess that is eV off: α + 2β cos(2πk/n), and pairs are pairs."""
    errors = json.loads((rings / "rings.json").read_text())["errors"]
    assert max(errors["filled_levels"], errors["empty_levels"], errors["gap"]) < 0.005 < 0.05 < errors["deviation"]
    model = load_hamiltonian(rings / "rings.safetensors")
    for sites in (6, 8):
        found = model.levels(isolated([1] * sites, ring(sites, [LENGTH] * sites))).energies[0]
        expected = np.sort(2 * BETA * np.cos(2 * np.pi * np.arange(sites) / sites))
        np.testing.assert_allclose(found, expected, atol=0.01)
        for first in range(1, sites - 2, 2):
            assert abs(found[first] - found[first + 1]) < 1e-9 * np.ptp(found)
    alternating = ring(6, LENGTH + 0.04 * (-1.0) ** np.arange(6))
    found = model.levels(isolated([1] * 6, alternating)).energies[0]
    np.testing.assert_allclose(found, np.linalg.eigvalsh(hueckel(alternating)), atol=0.02)
    assert abs(found[1] - found[2]) < 1e-9 * np.ptp(found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ethene with its matrices, and levels that are not theirs: as of a larger basis, of the nine lowest."""
    folder, own = tmp_path_factory.mktemp("levels"), molecule("C2H4")
    positions = shaken(own.positions, 30, 0.03)
    matrices = tight_binding_matrices(own.numbers, positions)
    overlaps = np.eye(12) + 0.02 * (matrices - matrices * np.eye(12))
    np.savez(folder / "ethene.npz", fock=matrices, overlap=overlaps)
    frames = [Atoms(own.numbers, one) for one in positions]
    for frame, matrix in zip(frames, matrices, strict=True):
        levels = np.linalg.eigvalsh(matrix)[:9]
        frame.info["levels"] = np.concatenate([[-290.0, -289.9], 1.1 * levels + 0.5])
    ase.io.write(folder / "ethene.xyz", frames)
    return folder


def fit(folder, name, *replaced):
    text = ETHENE.replace("NAME", name)
    for before, after in (("unit = ", "skipped_levels = 2\nunit = "), *replaced):
        assert before in text
        text = text.replace(before, after)
    (folder / f"{name}.toml").write_text(text)
    return CliRunner().invoke(cli, ["fit", str(folder / f"{name}.toml"), "--json", str(folder / f"{name}.json")])


def problem(folder, overlap="false"):
    text = ETHENE.replace("overlap = false", f"overlap = {overlap}").replace("unit = ", "skipped_levels = 2\nunit = ")
    (folder / f"problem_{overlap}.toml").write_text(text)
    configuration = read_hamiltonian_configuration(folder / f"problem_{overlap}.toml")
    (spectra,) = read_spectra(configuration)
    spectra = spectra.part(np.arange(5))
    model = fit_hamiltonian(configuration, [spectra.start])
    return LevelProblem(model, [spectra], configuration.hamiltonian.level_ridge), spectra, model


def numpy_loss(found: LevelProblem, spectra: Spectra, model: HamiltonianModel, steps: np.ndarray) -> float:
    """Its twin, frame by frame, from the model with these weights; the ridge from the weights' own distances."""
    own = found.model_at(steps)
    metrics = [None] * spectra.batch.beads if model.overlap is None else model.overlap.matrices(spectra.batch)
    loss = 0.0
    for matrix, metric, label in zip(own.matrices(spectra.batch), metrics, spectra.levels, strict=True):
        energies = eigh(matrix, metric, eigvals_only=True)
        loss += sum((energies[k] - one) ** 2 for k, one in enumerate(label))
    begin = 0
    for group in found.groups:
        moved = steps[begin : begin + group.size].reshape(-1, len(group.blocks))
        loss += float((group.sizes[:, None] * moved**2).sum())
        begin += group.size
    return loss


@pytest.mark.parametrize("overlap", ["false", "true"])
def test_the_loss_and_its_gradient(folder, overlap):
    """Against NumPy, and finite differences along random directions to 1e-6."""
    found, spectra, model = problem(folder, overlap)
    generator = np.random.default_rng(0)
    steps = generator.normal(0, 0.05, found.size)
    loss, gradient = found.loss(steps)
    assert loss == pytest.approx(numpy_loss(found, spectra, model, steps), rel=1e-9)
    for _ in range(3):
        direction = generator.normal(0, 1, found.size) / np.sqrt(found.size)
        ends = [found.loss(steps + step * direction)[0] for step in (-1e-5, 1e-5)]
        assert (ends[1] - ends[0]) / 2e-5 == pytest.approx(gradient @ direction, rel=1e-6, abs=1e-6 * loss)


def test_the_gradient_where_levels_are_degenerate(rings):
    """Rings with equal sides, whose labels are pairs as well: each set has one gradient."""
    configuration = read_hamiltonian_configuration(rings / "rings.toml")
    model, spectra = load_hamiltonian(rings / "rings.safetensors"), []
    for sites in (6, 8):
        batch = isolated([1] * sites, ring(sites, [LENGTH] * sites))
        labels = np.sort(1.1 * BETA * np.cos(2 * np.pi * np.arange(sites) / sites))
        levels = model.levels(batch).energies[0]
        assert abs(levels[1] - levels[2]) < 1e-9 and abs(labels[1] - labels[2]) < 1e-9
        spectra.append(Spectra(Molecules(batch, np.zeros((1, sites, sites)), None), labels[None]))
    found = LevelProblem(model, spectra, configuration.hamiltonian.level_ridge)
    _, gradient = found.loss(np.zeros(found.size))
    generator = np.random.default_rng(0)
    for _ in range(4):
        direction = generator.normal(0, 1, found.size)
        ends = [found.loss(step * direction)[0] for step in (-1e-6, 1e-6)]
        assert (ends[1] - ends[0]) / 2e-6 == pytest.approx(gradient @ direction, rel=1e-6)


def test_labels_of_one_level_are_told_by_their_mean():
    levels = np.array([[-3.0, -1.0, -0.99995, 2.0], [0.0, 1.0, 2.0, 3.0]])
    np.testing.assert_allclose(same_levels_together(levels), [[-3.0, -0.999975, -0.999975, 2.0], [0.0, 1.0, 2.0, 3.0]])


@pytest.mark.parametrize("overlap", ["false", "true"])
def test_levels_of_another_basis(folder, overlap):
    """The nine lowest of twelve, without the two of the cores, begin as far off as bases differ and are met."""
    result = fit(folder, f"met_{overlap}", ("overlap = false", f"overlap = {overlap}"))
    assert result.exit_code == 0 and "warning" not in result.output, result.output
    errors = json.loads((folder / f"met_{overlap}.json").read_text())["errors"]
    assert errors["filled_levels"] < 0.15 and errors["empty_levels"] < 0.25 and np.isfinite(errors["gap"])
    configuration = read_hamiltonian_configuration(folder / f"met_{overlap}.toml")
    (spectra,) = read_spectra(configuration)
    assert spectra.levels.shape == (30, 9)
    begun = fit_hamiltonian(configuration, [spectra.start]).levels(spectra.batch).energies[:, :9]
    ended = load_hamiltonian(folder / f"met_{overlap}.safetensors").levels(spectra.batch).energies[:, :9]
    assert np.abs(ended - spectra.levels).mean() < 0.1 * np.abs(begun - spectra.levels).mean()


def test_a_fit_to_levels_turns_as_orbitals_do(rings, folder):
    result = fit(folder, "turned", ("level_steps = 60", "level_steps = 5"))
    assert result.exit_code == 0, result.output
    model = load_hamiltonian(folder / "turned.safetensors")
    own, turn = molecule("C2H4"), -Rotation.random(random_state=1).as_matrix()
    before, after = (
        model.hamiltonian.matrices(isolated(own.numbers, x)) for x in (own.positions, own.positions @ turn.T)
    )
    turns = turned_orbitals(model.hamiltonian.basis, own.numbers, turn)
    np.testing.assert_allclose(after[0], turns @ before[0] @ turns.T, atol=1e-10)


def test_guessed_matrices_turn_as_orbitals_do():
    own, turn = molecule("C2H4"), -Rotation.random(random_state=1).as_matrix()
    start = {1: [-13.6, 5.0], 6: [-280.0, -18.0, -10.0, 20.0]}
    before, after = (
        guessed_matrices(RICH, start, isolated(own.numbers, x))[0] for x in (own.positions, own.positions @ turn.T)
    )
    turns = turned_orbitals(RICH, own.numbers, turn)
    np.testing.assert_allclose(after, turns @ before @ turns.T, atol=1e-10)
    np.testing.assert_allclose(before, before.T)
    two = guessed_matrices(RICH, start, isolated([6, 6], [[0, 0, 0], [0, 0, 1.5]]))[0]
    size = 7.6199642 / 1.5**2
    firsts = {"s": 1, "y": 2, "z": 3, "x": 4}
    for first, second, factor in (
        ("s", "s", -1.4),
        ("s", "z", 1.84),
        ("z", "s", -1.84),
        ("z", "z", 3.24),
        ("x", "x", -0.81),
    ):
        assert two[firsts[first], 10 + firsts[second]] == pytest.approx(factor * size), (first, second)


def test_whoever_fits_without_validation_gets_no_errors(folder):
    (spectra,) = read_spectra(read_hamiltonian_configuration(folder / "problem_false.toml"))
    assert isinstance(spectra.start, Molecules)
    result = fit(folder, "alone", ("validation = 0.25", "validation = 0"), ("level_steps = 60", "level_steps = 1"))
    assert result.exit_code == 0 and json.loads((folder / "alone.json").read_text())["errors"] == {}


BEFORE_START = "l_max = 2\nchannels"
WITHOUT = ('matrices = ["ethene.npz"]\n', "")


@pytest.mark.parametrize(
    ("replaced", "words"),
    [
        ([('target = "levels"\n', ""), WITHOUT], "no matrices in [data]; a file for each file of structures is needed"),
        ([('target = "levels"\n', "")], "skipped_levels in [data] and target = 'matrices'"),
        ([WITHOUT], "start in [hamiltonian] has []; a fit to levels without matrices needs it for ['C', 'H']"),
        ([WITHOUT, (BEFORE_START, "start = {H = [-13.6], C = [-18]}\n" + BEFORE_START)], "each of its shells 'sp'"),
        ([WITHOUT, ("overlap = false", "overlap = true")], "overlap = true in [hamiltonian] without matrices"),
        ([(BEFORE_START, "start = {H = [-13.6]}\n" + BEFORE_START)], "start in [hamiltonian] and matrices"),
        ([("[output]", "[committee]\n[output]")], "[committee] beside target = 'levels'"),
        ([("unit =", 'levels = "energies"\nunit =')], "ethene.xyz, frame 0 has no 'energies'"),
        ([("skipped_levels = 2", "skipped_levels = 11")], "has no level beside skipped_levels = 11"),
        ([('"levels"', '"gaps"')], "target = 'gaps' in [hamiltonian]"),
        ([("ethene.xyz", "words.xyz")], "'levels' of words.xyz, frame 0 is 'none'; finite numbers are needed"),
        ([("ethene.xyz", "uneven.xyz")], "frames of the same atoms have 7 and 9 levels"),
    ],
)  # fmt: skip
def test_refusals(folder, replaced, words):
    frames = ase.io.read(folder / "ethene.xyz", ":")
    frames[1].info["levels"] = frames[1].info["levels"][:9].reshape(9)
    ase.io.write(folder / "uneven.xyz", frames)
    frames[0].info["levels"] = "none"
    ase.io.write(folder / "words.xyz", frames)
    result = fit(folder, "refused", *replaced)
    assert result.exit_code == 2 and words in " ".join(result.output.split()), result.output
    assert "Traceback" not in result.output
