"""`beadwise fit` of a Hamiltonian: known matrices come back, files keep them, and what is wrong is refused."""

import json
from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from beadwise.driver.commands.group import main as cli
from beadwise.errors import BeadwiseError
from beadwise.model import Batch
from beadwise.model.evaluators import load_evaluator
from beadwise.model.orbitals.file import load_hamiltonian, save_hamiltonian
from beadwise.model.orbitals.model import HamiltonianModel
from click.testing import CliRunner
from orbital_models import benzene, isolated, random_model, shaken, tight_binding_matrices, with_random_weights
from scipy.linalg import eigvalsh
from scipy.spatial.transform import Rotation

CONFIGURATION = """
[data]
train = ["methane.xyz", "ethene.xyz"]
matrices = ["methane.npy", "ethene.npz"]
validation = 0.2
unit = "{unit}"
[density]
cutoff = 4.0
radial = 3
l_max = 2
[hamiltonian]
shells = {{H = "s", C = "sp"}}
electrons = {{H = 1, C = 4}}
overlap = {overlap}
l_max = 2
channels = 3
products = 3
few = 2
pair_radial = 8
pair_l_max = 2
overlap_radial = 8
{more}
[output]
model = "{model}.safetensors"
report = "report_{model}"
"""
FIRST = 12  # frames of each molecule


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Structures and matrices of two molecules as a program might leave them: whole ones, and upper triangles."""
    folder = tmp_path_factory.mktemp("orbitals")
    for name, formula in (("methane", "CH4"), ("ethene", "C2H4")):
        own = molecule(formula)
        frames = shaken(own.positions, FIRST, 0.04)
        ase.io.write(folder / f"{name}.xyz", [Atoms(own.numbers, positions) for positions in frames])
        matrices = tight_binding_matrices(own.numbers, frames)
        if name == "methane":
            np.save(folder / "methane.npy", matrices)
        else:
            rows, columns = np.triu_indices(matrices.shape[1])
            np.savez(folder / "ethene.npz", fock_upper=matrices[:, rows, columns], rows=rows, cols=columns)
    np.savez(folder / "twice.npz", fock_upper=np.ones((FIRST, 3)), rows=[1, 1, 1], cols=[1, 1, 1])
    np.savez(folder / "halves.npz", fock_upper=np.ones((FIRST, 1)), rows=[0.5], cols=[0])
    (folder / "garbage.npz").write_bytes(b"PK\x03\x04 no archive")
    return folder


def fit(folder, name, unit="eV", overlap="false", more="", **replaced):
    text = CONFIGURATION.format(unit=unit, overlap=overlap, more=more, model=name)
    for before, after in replaced.items():
        text = text.replace(*after) if isinstance(after, tuple) else text.replace(before, after)
    (folder / f"{name}.toml").write_text(text)
    return CliRunner().invoke(cli, ["fit", str(folder / f"{name}.toml"), "--json", str(folder / f"{name}.json")])


@pytest.fixture(scope="module")
def fitted(folder):
    result = fit(folder, "known")
    assert result.exit_code == 0, result.output
    return folder / "known.safetensors"


def test_known_matrices_come_back(folder, fitted):
    errors = json.loads((folder / "known.json").read_text())["errors"]
    assert errors["element"] < 0.02 and errors["filled_levels"] < 0.02 and errors["gap"] < 0.04
    own = molecule("C2H4")
    frames = shaken(own.positions, 3, 0.03, seed=7)
    labels = tight_binding_matrices(own.numbers, frames)
    evaluator = load_evaluator(f"hamiltonian:{fitted}")
    answer = evaluator.evaluate(isolated(own.numbers, frames), ("orbital_energies", "orbital_gap", "hamiltonian"))
    assert np.sqrt(((evaluator.matrices(isolated(own.numbers, frames)) - labels) ** 2).mean()) < 0.02
    np.testing.assert_allclose(answer.orbital_energies, np.linalg.eigvalsh(labels), atol=0.1)
    np.testing.assert_allclose(answer.orbital_gap, answer.orbital_energies[:, 6] - answer.orbital_energies[:, 5])
    assert answer.hamiltonian.shape == (3, 12 * 13 // 2)


def test_the_alarm_outside_of_the_training(folder, fitted):
    """Zero on frames of the fit, more than a range where all bonds are shorter; a mixture has the larger of both."""
    model = load_evaluator(f"hamiltonian:{fitted}")
    frames = ase.io.read(folder / "ethene.xyz", ":")
    distances = [
        float(model.evaluate(Batch.from_ase(own), ("envelope_distance",)).envelope_distance[0]) for own in frames
    ]
    pressed = isolated(frames[0].numbers, frames[0].positions * 0.7)
    outside = model.evaluate(pressed, ("orbital_gap", "envelope_distance")).envelope_distance[0]
    assert distances.count(0.0) >= 0.8 * len(frames)  # of those that were set aside one may be outside
    assert max(distances) < 1.0 < outside
    (folder / "both.toml").write_text(f'[energy]\nmodel = "ethene"\n[hamiltonian]\nmodel = "hamiltonian:{fitted}"\n')
    both = load_evaluator(str(folder / "both.toml"))
    assert both.evaluate(pressed, ("envelope_distance",)).envelope_distance[0] >= outside


def test_charged_molecules(fitted):
    own = molecule("C2H4")
    batch = isolated(own.numbers, own.positions)
    levels = load_evaluator(f"hamiltonian:charge=2,{fitted}").levels(batch)
    assert levels.electrons == 10
    with pytest.raises(BeadwiseError, match="11 electrons"):
        load_evaluator(f"hamiltonian:charge=1,{fitted}").evaluate(batch, ("orbital_gap",))
    own.info["charge"] = 2.0
    said = load_evaluator(f"hamiltonian:{fitted}").evaluate(Batch.from_ase(own), ("orbital_gap",))
    np.testing.assert_array_equal(said.orbital_gap, levels.gap)
    with pytest.raises(BeadwiseError, match="structures have the charge 2, and the model is asked with charge=1"):
        load_evaluator(f"hamiltonian:charge=1,{fitted}").levels(Batch.from_ase(own))
    with pytest.raises(BeadwiseError, match="has the charge 'inf'; a number in e is needed"):
        load_evaluator(f"hamiltonian:charge=inf,{fitted}")


def test_no_atom_is_outside_of_the_training(fitted):
    nothing = isolated(np.zeros(0, np.int32), np.zeros((1, 0, 3)))
    answer = load_evaluator(f"hamiltonian:{fitted}").evaluate(nothing, ("envelope_distance",))
    assert answer.envelope_distance.tolist() == [0.0]


def test_frames_of_another_charge_are_refused(folder):
    frames = ase.io.read(folder / "ethene.xyz", ":")
    for own in frames:
        own.info["charge"] = 1
    ase.io.write(folder / "ions.xyz", frames)
    result = fit(folder, "ions", a=('"ethene.xyz"', '"ions.xyz"'))
    assert result.exit_code == 2 and "frame 0 has the charge 1; [data] has charge = 0" in " ".join(
        result.output.split()
    )


def test_pairs_that_were_not_seen_are_refused(folder):
    result = fit(folder, "alone", more="", ethene=('"methane.xyz", "ethene.xyz"', '"methane.xyz"'))
    assert "1 files of structures and 2 of matrices" in result.output
    result = fit(
        folder,
        "alone",
        a=('"methane.xyz", "ethene.xyz"', '"methane.xyz"'),
        b=('"methane.npy", "ethene.npz"', '"methane.npy"'),
    )
    assert result.exit_code == 0, result.output
    own = molecule("C2H4")
    with pytest.raises(BeadwiseError, match="seen no pair C–C"):
        load_hamiltonian(folder / "alone.safetensors").levels(isolated(own.numbers, own.positions))


def test_files_keep_every_number(tmp_path):
    model, path, batch = random_model(), tmp_path / "random.safetensors", isolated(*benzene())
    overlap = with_random_weights(replace(model, surroundings={}, few=0), batch)
    save_hamiltonian(HamiltonianModel(model, overlap, {"title": "random"}), path)
    again = load_hamiltonian(path)
    np.testing.assert_allclose(again.hamiltonian.matrices(batch), model.matrices(batch), atol=1e-13)
    np.testing.assert_allclose(again.overlap.matrices(batch), overlap.matrices(batch), atol=1e-13)
    assert again.metadata == {"title": "random"}
    path.write_bytes(path.read_bytes()[:-8] + bytes(8))
    with pytest.raises(BeadwiseError, match="is damaged"):
        load_hamiltonian(path)


@pytest.mark.parametrize(
    ("replaced", "words"),
    [
        ({"a": ('C = "sp"', 'C = "ss"')}, "the shells of its atoms make 6 orbitals"),
        ({"a": ('C = "sp"', 'C = "sx"')}, "shells of C are 'sx'"),
        ({"a": ('H = "s", C', 'Hx = "s", C')}, "'Hx' in [hamiltonian] is no element"),
        ({"a": ("C = 4", "C = 9")}, "C brings 9 electrons; its orbitals hold 0 to 8"),
        ({"overlap": "true"}, "has no overlap; overlap = true"),
        ({"unit": "furlong"}, "furlong"),
        ({"a": ("ethene.npz", "methane.npy")}, "the shells of its atoms make 12 orbitals"),
        ({"a": ("channels = 3", "channels = 0")}, "channels = 0 in [hamiltonian]"),
        ({"a": ("[output]", "[energy]\n[output]")}, "beside [hamiltonian]"),
        ({"a": ("[output]", "[metadata]\ncharge = 1\n[output]")}, "charge in [metadata]; allowed are keys other"),
        ({"a": ("l_max = 2\nchannels", "l_max = 0\nchannels")}, "l_max = 0 in [hamiltonian] makes no λ = 2"),
        ({"a": ("pair_l_max = 2", "pair_l_max = 1"), "overlap": "true"}, "pair_l_max = 1 in [hamiltonian] makes no λ"),
        (
            {"a": ('"refused.safetensors"', '"methane.npy"')},
            "model = 'methane.npy' in [output] is a file that the fit reads",
        ),
        ({"a": ('"refused.safetensors"', '"methane.bin"')}, "a name ending in .safetensors is needed"),
        ({"a": ("ethene.npz", "twice.npz")}, "rows and cols of fock_upper name some elements twice"),
        ({"a": ("ethene.npz", "halves.npz")}, "rows has 0.5 to 0.5; whole numbers from 0 are needed"),
        ({"a": ("ethene.npz", "garbage.npz")}, "cannot read the matrices"),
    ],
)
def test_refusals(folder, replaced, words):
    unit, overlap = replaced.pop("unit", "eV"), replaced.pop("overlap", "false")
    result = fit(folder, "refused", unit, overlap, **replaced)
    assert result.exit_code == 2 and words in " ".join(result.output.split()), result.output
    assert "Traceback" not in result.output


def test_orders_of_p_orbitals(folder):
    """m = −1, 0, 1 where a file has it; taken for x, y, z, the errors say that something is wrong."""
    own = molecule("C2H4")
    matrices = tight_binding_matrices(own.numbers, shaken(own.positions, FIRST, 0.04))
    order = np.array([0, 2, 3, 1, 4, 6, 7, 5, 8, 9, 10, 11])
    np.save(folder / "turned.npy", matrices[:, order][:, :, order])
    files = {"a": ('"methane.xyz", ', ""), "b": ('"methane.npy", "ethene.npz"', '"turned.npy"')}
    right = fit(folder, "yzx", c=('unit = "eV"', 'unit = "eV"\np_order = "yzx"'), **files)
    assert right.exit_code == 0 and "warning" not in right.output, right.output
    model = load_hamiltonian(folder / "yzx.safetensors")
    batch = isolated(own.numbers, own.positions)
    expected = np.linalg.eigvalsh(tight_binding_matrices(own.numbers, own.positions[None]))
    np.testing.assert_allclose(model.levels(batch).energies, expected, atol=0.1)
    wrong = fit(folder, "xyz", **files)
    assert "are unit, shells, their order and p_order those of the matrices?" in wrong.output


def test_what_does_not_vary_is_no_feature(folder):
    """Turned copies of one molecule: nothing is made of rounding noise; another shape has levels of their size."""
    own = molecule("CH4")
    turns = Rotation.random(8, random_state=1)
    frames = np.array([turn.apply(own.positions) for turn in turns])
    ase.io.write(folder / "one.xyz", [Atoms(own.numbers, positions) for positions in frames])
    np.save(folder / "one.npy", tight_binding_matrices(own.numbers, frames))
    files = {"a": ('"methane.xyz", "ethene.xyz"', '"one.xyz"'), "b": ('"methane.npy", "ethene.npz"', '"one.npy"')}
    result = fit(folder, "one", **files)
    assert result.exit_code == 0, result.output
    other = isolated(own.numbers, shaken(own.positions, 1, 0.001))
    levels = load_hamiltonian(folder / "one.safetensors").levels(other).energies
    np.testing.assert_allclose(levels, np.linalg.eigvalsh(tight_binding_matrices(own.numbers, frames[:1])), atol=0.5)


def test_other_refusals(fitted):
    own = molecule("C2H4")
    model = load_hamiltonian(fitted)
    periodic = np.ones(3, dtype=bool)
    with pytest.raises(BeadwiseError, match="Hamiltonians are of molecules"):
        model.levels(Batch(own.numbers, own.positions[None], 9 * np.eye(3)[None], periodic))
    in_a_box = model.levels(Batch(own.numbers, own.positions[None], 12 * np.eye(3)[None], periodic))
    assert np.array_equal(in_a_box.energies, model.levels(isolated(own.numbers, own.positions)).energies)
    with pytest.raises(BeadwiseError, match="species O has no orbitals"):
        model.levels(isolated([8], np.zeros((1, 3))))
    with pytest.raises(BeadwiseError, match="no file 'nothing'"):
        load_evaluator("hamiltonian:nothing")
    with pytest.raises(BeadwiseError, match="is no file of a Hamiltonian"):
        load_evaluator("hamiltonian:inputs/water.safetensors")
    result = CliRunner().invoke(cli, ["inspect", f"hamiltonian:{fitted}"])
    assert result.exit_code == 0 and "orthogonal" in result.output


def test_overlap_gives_the_same_levels(folder):
    """H and S in orbitals that overlap, and S^(−1/2) H S^(−1/2): the same levels from both fits."""
    own = molecule("CH4")
    frames = shaken(own.positions, FIRST, 0.04)
    ase.io.write(folder / "mixed.xyz", [Atoms(own.numbers, positions) for positions in frames])
    matrices = tight_binding_matrices(own.numbers, frames)
    metric = np.eye(8) + 0.02 * (matrices - matrices * np.eye(8))
    np.savez(folder / "mixed.npz", fock=matrices, overlap=metric)
    files = {"a": ('"methane.xyz", "ethene.xyz"', '"mixed.xyz"'), "b": ('"methane.npy", "ethene.npz"', '"mixed.npz"')}
    batch = isolated(own.numbers, frames[:2])
    for name, overlap in (("with", "true"), ("without", "false")):
        result = fit(folder, name, overlap=overlap, **files)
        assert result.exit_code == 0, result.output
        model = load_hamiltonian(folder / f"{name}.safetensors")
        expected = [eigvalsh(*pair) for pair in zip(matrices[:2], metric[:2], strict=True)]
        np.testing.assert_allclose(model.levels(batch).energies, expected, atol=0.1)
        gradient = model.free_energy_gradient(batch, 4000.0)[0, 1, 0]
        moved = [frames[:1] + step * np.eye(15)[3].reshape(5, 3) for step in (-1e-4, 1e-4)]
        energies = [model.levels(isolated(own.numbers, one)).free_energy(4000.0)[0] for one in moved]
        assert (energies[1] - energies[0]) / 2e-4 == pytest.approx(gradient, abs=1e-5)
