"""Committees of Hamiltonians: members are fits to parts of the frames, answered in one pass, and calibrated."""

import json
from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from beadwise.driver.commands.group import main as cli
from beadwise.driver.doors.extras import encode_extras
from beadwise.errors import BeadwiseError
from beadwise.learning.fitting.calibration import calibration_factor
from beadwise.learning.fitting.orbitals.fit import fit_blocks, fit_hamiltonian
from beadwise.learning.fitting.orbitals.matrices import part_of_batch, read_molecules, set_aside
from beadwise.learning.fitting.orbitals.members import parts_of
from beadwise.learning.fitting.orbitals.sections import read_hamiltonian_configuration
from beadwise.model.evaluators import load_evaluator
from beadwise.model.orbitals.file import load_hamiltonian, save_hamiltonian
from beadwise.runs.units import to_atomic
from click.testing import CliRunner
from orbital_models import ETHENE_FIT, isolated, shaken, tight_binding_matrices
from scipy.linalg import eigvalsh
from scipy.spatial.transform import Rotation

CONFIGURATION = ETHENE_FIT.replace("[output]", "[committee]\nmembers = 5\n[output]")
FRAMES = 24
WANT = ("orbital_energies", "orbital_gap", "committee_orbital_energies", "committee_orbital_gap")
SPREADS = ("orbital_energies_uncertainty", "orbital_gap_uncertainty")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder, own = tmp_path_factory.mktemp("members"), molecule("C2H4")
    frames = shaken(own.positions, FRAMES, 0.05)
    ase.io.write(folder / "ethene.xyz", [Atoms(own.numbers, positions) for positions in frames])
    matrices = tight_binding_matrices(own.numbers, frames)
    overlaps = np.eye(matrices.shape[1]) + 0.02 * (matrices - matrices * np.eye(matrices.shape[1]))
    np.savez(folder / "ethene.npz", fock=matrices, overlap=overlaps)
    return folder


def fit(folder, name, overlap="false", **replaced):
    text = CONFIGURATION.replace("OVERLAP", overlap).replace("NAME", name)
    for before, after in replaced.values():
        assert before in text
        text = text.replace(before, after)
    (folder / f"{name}.toml").write_text(text)
    return CliRunner().invoke(cli, ["fit", str(folder / f"{name}.toml"), "--json", str(folder / f"{name}.json")])


@pytest.fixture(scope="module")
def fitted(folder):
    results = {name: fit(folder, name, overlap) for name, overlap in (("plain", "false"), ("metric", "true"))}
    assert all(result.exit_code == 0 for result in results.values()), [own.output for own in results.values()]
    assert "members were set" in results["plain"].output
    return {name: folder / f"{name}.safetensors" for name in results}


@pytest.fixture
def batch():
    own = molecule("C2H4")
    return isolated(own.numbers, shaken(own.positions, 3, 0.04, seed=5))


@pytest.mark.parametrize("name", ["plain", "metric"])
def test_members_are_hamiltonians_of_their_own(fitted, batch, name):
    """Those of one pass are those of `member:K`, their deviations add up to zero, and the spread is theirs."""
    model = load_evaluator(f"hamiltonian:{fitted[name]}")
    answer = model.evaluate(batch, (*WANT, *SPREADS))
    np.testing.assert_allclose(answer.orbital_energies, model.levels(batch).energies, atol=1e-10)
    for index in range(5):
        alone = load_evaluator(f"member:{index},hamiltonian:{fitted[name]}")
        own = alone.evaluate(batch, ("orbital_energies", "orbital_gap"))
        assert not set(SPREADS) & set(alone.properties)
        np.testing.assert_allclose(answer["committee_orbital_energies"][:, index], own.orbital_energies, atol=1e-9)
        np.testing.assert_allclose(answer["committee_orbital_gap"][:, index], own.orbital_gap, atol=1e-9)
    for part in (model.hamiltonian, model.overlap):
        if part is not None:
            matrix, of_members = part.matrices_of_members(batch, 2.0)
            np.testing.assert_allclose(of_members.mean(axis=1), matrix, atol=1e-9)
    for spread, of in zip(SPREADS, WANT[2:], strict=True):
        np.testing.assert_allclose(answer[spread], answer[of].std(axis=1, ddof=1), atol=1e-12)
        assert (answer[spread] > 0).all()
    with pytest.raises(BeadwiseError, match="member 5 of a Hamiltonian with 5 members; allowed are 0 to 4"):
        load_evaluator(f"member:5,hamiltonian:{fitted[name]}")


@pytest.mark.parametrize("name", ["plain", "metric"])
def test_members_do_not_change_when_a_molecule_is_turned_or_atoms_change_places(fitted, batch, name):
    model = load_evaluator(f"hamiltonian:{fitted[name]}")
    turn = Rotation.random(random_state=2).as_matrix()
    before = model.evaluate(batch, WANT)
    for matrix in (turn, -turn):
        after = model.evaluate(isolated(batch.numbers, batch.positions @ matrix.T), WANT)
        for one in WANT:
            np.testing.assert_allclose(after[one], before[one], atol=1e-10)
    order = np.random.default_rng(0).permutation(batch.atoms)
    after = model.evaluate(isolated(batch.numbers[order], batch.positions[:, order]), WANT)
    for one in WANT:
        np.testing.assert_allclose(after[one], before[one], atol=1e-10)


def test_a_member_is_a_fit_to_its_frames(folder, fitted, batch):
    """Features are those of all frames; weights are what a fit to the chosen ones alone gives."""
    settings = read_hamiltonian_configuration(folder / "plain.toml")
    training, _ = set_aside(read_molecules(settings), settings.data.validation)
    parts = parts_of(training, settings.committee)
    assert [len(own) for own in parts.chosen] == [2] * 5 and len({tuple(own) for own in parts.chosen}) == 5
    assert sorted(np.bincount(parts.of_frames[0]).tolist()) == [3, 3, 4, 4, 4]
    model = fit_hamiltonian(settings, training)
    whole = fit_hamiltonian(replace(settings, committee=None), training)
    np.testing.assert_allclose(whole.matrices(batch), model.matrices(batch), atol=1e-8)
    alone = []
    for chosen in parts.chosen:
        frames = np.flatnonzero(np.isin(parts.of_frames[0], chosen))
        own = training[0].part(frames)
        assert (part_of_batch(training[0].batch, frames).positions == own.batch.positions).all()
        bare = replace(whole.hamiltonian, weights={})
        found = fit_blocks(bare, [own], [own.hamiltonian], settings.hamiltonian.ridge, "", parts_of([own], None))
        alone.append(found.matrices(batch))
    deviations = np.array(alone) - np.mean(alone, axis=0)
    _, of_members = model.hamiltonian.matrices_of_members(batch, 1.0)
    np.testing.assert_allclose(of_members.swapaxes(0, 1) - model.hamiltonian.matrices(batch), deviations, atol=1e-7)


def test_the_calibration_is_that_of_the_levels_that_were_set_aside(folder, fitted):
    settings = read_hamiltonian_configuration(folder / "plain.toml")
    _, (aside,) = set_aside(read_molecules(settings), settings.data.validation)
    model = load_hamiltonian(fitted["plain"])
    answer = replace(model, calibration=1.0).evaluate(aside.batch, (*WANT, *SPREADS))
    errors = answer.orbital_energies - np.array([eigvalsh(own) for own in aside.hamiltonian])
    factor = calibration_factor(errors, answer["orbital_energies_uncertainty"] ** 2, 5)
    assert model.calibration == pytest.approx(factor, rel=1e-9)
    said = json.loads((folder / "plain.json").read_text())["calibration"]
    assert said["factor"] == pytest.approx(factor) and said["orbital_gap"]["values"] == len(aside.hamiltonian)
    assert model.metadata["calibration"]["orbital_energies"]["values"] == errors.size
    assert CliRunner().invoke(cli, ["inspect", f"hamiltonian:{fitted['plain']}"]).exit_code == 0


def test_files_keep_members(fitted, batch, tmp_path):
    model = load_hamiltonian(fitted["metric"])
    save_hamiltonian(model, tmp_path / "again.safetensors")
    again = load_hamiltonian(tmp_path / "again.safetensors")
    assert again.calibration == model.calibration
    for own in WANT:
        np.testing.assert_array_equal(again.evaluate(batch, WANT)[own], model.evaluate(batch, WANT)[own])
    save_hamiltonian(replace(model, calibration=np.inf), tmp_path / "again.safetensors")
    with pytest.raises(BeadwiseError, match="the calibration of the members is inf"):
        load_hamiltonian(tmp_path / "again.safetensors")
    few = {block: replace(own, ours=own.ours[:2]) for block, own in model.hamiltonian.deviations.items()}
    save_hamiltonian(
        replace(model, hamiltonian=replace(model.hamiltonian, deviations=few)), tmp_path / "few.safetensors"
    )
    with pytest.raises(BeadwiseError, match=r"members of block .* have shape"):
        load_hamiltonian(tmp_path / "few.safetensors")


def test_members_in_the_extras(fitted, batch):
    answer = load_hamiltonian(fitted["plain"]).evaluate(batch, WANT[2:])
    for bead, text in enumerate(encode_extras(answer, WANT[2:])):
        said = json.loads(text)
        for own, key in zip(WANT[2:], ("member_orbital_energies", "member_orbital_gap"), strict=True):
            np.testing.assert_allclose(said[key], to_atomic(own, answer[own][bead]).ravel(), rtol=1e-14)


def test_two_files_are_a_committee_too(fitted, batch):
    committee = load_evaluator(f"committee:hamiltonian:{fitted['plain']},hamiltonian:{fitted['metric']}")
    answer = committee.evaluate(batch, WANT)
    both = [load_hamiltonian(own).evaluate(batch, WANT[:2]).orbital_gap for own in fitted.values()]
    np.testing.assert_allclose(answer["committee_orbital_gap"], np.stack(both, axis=1))
    other = "hamiltonian:inputs/ethene_hamiltonian.safetensors"
    with pytest.raises(
        BeadwiseError, match="answer orbital_energies with 12 and 14 numbers; as many of all are needed"
    ):
        load_evaluator(f"committee:hamiltonian:{fitted['plain']},{other}").evaluate(batch, WANT[:1])


@pytest.mark.parametrize(
    ("replaced", "words"),
    [
        ({"a": ("members = 5", "members = 4")}, "members = 4 in [committee]; it must be a whole number of at least 5"),
        ({"a": ("members = 5", "members = 40")}, "18 frames to fit; a committee of 40 members needs at least as many"),
        (
            {"a": ("members = 5", 'kind = "last-layer"')},
            "unknown key 'kind' in [committee]; allowed are ['members', 'fraction', 'seed']",
        ),
        ({"a": ("[output]", "[metadata]\ncalibration = 1\n[output]")}, "calibration in [metadata]"),
    ],
)
def test_refusals(folder, replaced, words):
    result = fit(folder, "refused", **replaced)
    assert result.exit_code == 2 and words in " ".join(result.output.split()), result.output
    assert "Traceback" not in result.output


def test_without_frames_set_aside_members_are_not_calibrated(folder):
    result = fit(folder, "bare", a=("validation = 0.25", "validation = 0"))
    assert result.exit_code == 0 and "members are not calibrated, for want of frames" in result.output
    assert load_hamiltonian(folder / "bare.safetensors").calibration == 1.0
