"""`beadwise fit` of an electron density: known ones come back, equations are solved, files last, errors are refused."""

import json
from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.units import Bohr
from beadwise.driver.commands.group import main as cli
from beadwise.errors import BeadwiseError
from beadwise.learning.fitting.electron_density import fit as fit_module
from beadwise.learning.fitting.electron_density.basis_file import shells_of_file
from beadwise.learning.fitting.electron_density.errors import density_errors
from beadwise.learning.fitting.electron_density.fit import Equations, components_of, fit_electron_density
from beadwise.learning.fitting.electron_density.labels import Densities, read_densities
from beadwise.learning.fitting.electron_density.sections import read_electron_density_configuration
from beadwise.learning.fitting.orbitals.atoms import density_model, surroundings_of
from beadwise.learning.fitting.orbitals.matrices import set_aside
from beadwise.model import Batch
from beadwise.model.electron_density.basis import Functions
from beadwise.model.electron_density.file import load_density, save_density
from beadwise.model.electron_density.integrals import metric_matrix
from beadwise.model.electron_density.model import solved
from beadwise.model.evaluators import load_evaluator
from click.testing import CliRunner
from density_models import (
    FUNCTIONS,
    WATER,
    in_order_of_labels,
    isolated,
    known_densities,
    random_model,
    shaken,
    small_basis,
)  # fmt: skip
from places import REPOSITORY

DATA = REPOSITORY.parent / "shared" / "data" / "density" / "water_pbe_def2svp" / "water.npz"
CONFIGURATION = """
[data]
train = ["water.xyz"]
densities = ["water.npz"]
validation = 0.2
[density]
cutoff = 4.0
radial = 6
l_max = 2
[electron_density]
basis = "functions.nw"
l_max = 2
channels = 3
products = 3
few = 2
[output]
model = "{model}.safetensors"
report = "report_{model}"
"""
SMALL = """
BASIS "ao basis" SPHERICAL PRINT
#BASIS SET: of no use
O S
  8.0 0.4
  2.0D+00 0.7
O S
  0.7 1.0
O D
  0.9 1.0
O P
  1.1 1.0
H S
  0.6 1.0
H P
  0.8 1.0
C S
  0.5 1.0
END
"""
FRAMES = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Water and its densities, as coefficients, and as projections alone."""
    folder, basis = tmp_path_factory.mktemp("densities"), small_basis()
    positions = shaken(FRAMES)
    ase.io.write(folder / "water.xyz", [Atoms("OHH", own) for own in positions])
    known = known_densities(basis, positions)
    projections = {
        f"{name}_projections": np.einsum("fpq,fq->fp", metric_matrix(basis, WATER, positions / Bohr, name), known)
        for name in ("coulomb", "overlap")
    }
    files = {name: in_order_of_labels(basis, own) for name, own in {"coefficients": known, **projections}.items()}
    np.savez(folder / "water.npz", **files)
    np.savez(folder / "projections.npz", coulomb_projections=files["coulomb_projections"])
    np.savez(folder / "few.npz", coefficients=files["coefficients"][:5])
    np.savez(folder / "narrow.npz", coefficients=files["coefficients"][:, :9])
    np.savez(folder / "wrong.npz", coefficients=1.1 * files["coefficients"])
    np.savez(
        folder / "mixed.npz", coefficients=files["coefficients"], coulomb_projections=projections["coulomb_projections"]
    )
    (folder / "functions.nw").write_text(SMALL)
    (folder / "garbage.npz").write_bytes(b"PK\x03\x04 no archive")
    return folder


def fit(folder, name, *changes, functions=None):
    text = CONFIGURATION.format(model=name)
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    if functions is not None:
        (folder / f"{name}.nw").write_text(functions)
        text = text.replace("functions.nw", f"{name}.nw")
    (folder / f"{name}.toml").write_text(text)
    return CliRunner().invoke(cli, ["fit", str(folder / f"{name}.toml"), "--json", str(folder / f"{name}.json")])


@pytest.fixture(scope="module")
def fitted(folder):
    result = fit(folder, "known")
    assert result.exit_code == 0, result.output
    return folder / "known.safetensors"


def test_known_densities_come_back(folder, fitted):
    errors = json.loads((folder / "known.json").read_text())["errors"]
    assert errors["moved"] < 0.005 and errors["worst_dipole"] < 0.02 and errors["quadrature"] < 1e-5
    positions = shaken(3, seed=9)
    model = load_evaluator(f"density:{fitted}")
    answer = model.evaluate(isolated(WATER, positions), model.properties)
    known = known_densities(small_basis(), positions)
    found = answer.electron_density
    assert np.abs(found - in_order_of_labels(small_basis(), known)).max() < 0.05 * np.abs(known).max()
    assert np.abs(answer.density_charge).max() < 1e-10 and np.abs(answer.density_shift).max() < 0.02
    metrics = metric_matrix(small_basis(), WATER, positions / Bohr, "coulomb")
    energies = 0.5 * np.einsum("fp,fpq,fq->f", known, metrics, known) * 27.211386
    np.testing.assert_allclose(answer.hartree_energy, energies, rtol=2e-3)


def test_projections_are_enough(folder, fitted):
    result = fit(folder, "projected", ("water.npz", "projections.npz"))
    assert result.exit_code == 0, result.output
    batch = isolated(WATER, shaken(2))
    both = [load_density(folder / f"{name}.safetensors").coefficients(batch) for name in ("known", "projected")]
    np.testing.assert_allclose(both[1], both[0], atol=1e-5)
    errors = json.loads((folder / "projected.json").read_text())["errors"]
    assert errors["robust"] < 0.1 * errors["hartree"]  # of second order, where the other one is of first


@pytest.mark.parametrize("metric", ["coulomb", "overlap"])
def test_the_coupled_equations_by_a_dense_twin(folder, fitted, metric):
    """Rows of the slow twin: a column for each weight, times the root of the metric of every frame."""
    configuration = read_electron_density_configuration(folder / "known.toml")
    settings = replace(configuration.electron_density, features=5, ridge=1e-4)
    training = [own.part(np.arange(12)) for own in read_densities(configuration)]
    density = density_model(configuration.density, (1, 8))
    around = surroundings_of(density, (1, 8), [own.batch for own in training], 2, 3, 3)
    components = components_of(density, around, 2, settings.features, training)
    equations = Equations(components, density, around, 2, metric, settings.ridge, training)
    fast = equations.solve()
    names = [(kind, place) for kind, own in equations.zeros().items() for place in np.ndindex(own.shape)]
    matrix, right = np.zeros((len(names), len(names))), np.zeros(len(names))
    for own in equations.frames:
        columns = []
        for kind, place in names:
            one = equations.zeros()
            one[kind][place] = 1
            columns.append(own.predicted(one))
        rows = np.stack(columns)
        with_metric = np.einsum("fpq,wfq->wfp", own.metrics, rows)
        matrix += np.einsum("wfp,vfp->wv", rows, with_metric)
        right += np.einsum("wfp,fp->w", with_metric, own.own.coefficients)
    for row, (kind, place) in enumerate(names):
        for column, (other, there) in enumerate(names):
            if kind == other and place[0] == there[0]:
                matrix[row, column] += equations.penalties[kind][place[0]] * equations.on_site[kind][place[1], there[1]]
    slow = np.linalg.solve(matrix, right)
    ours = np.array([fast[kind][place] for kind, place in names])
    np.testing.assert_allclose(ours, slow, atol=1e-6 * np.abs(slow).max())


def test_what_is_made_small_is_the_metric(folder):
    """A fit in the overlap has the smaller ∫δρ² on its own frames, one in Coulomb the smaller energy."""
    found = {}
    for metric in ("coulomb", "overlap"):
        name = f"in_{metric}"
        result = fit(
            folder, name, ("few = 2", f'few = 1\nridge = 1e-3\nmetric = "{metric}"'), ("radial = 6", "radial = 2")
        )
        assert result.exit_code == 0, result.output
        found[metric] = load_density(folder / f"{name}.safetensors")
    positions = shaken(FRAMES)
    known, batch = known_densities(small_basis(), positions), isolated(WATER, positions)
    for metric, other in (("coulomb", "overlap"), ("overlap", "coulomb")):
        matrices = metric_matrix(small_basis(), WATER, positions / Bohr, metric)
        errors = [
            np.einsum("fp,fpq,fq->", rest := found[own].fitted(batch) - known, matrices, rest)
            for own in (metric, other)
        ]
        assert errors[0] < errors[1]


def test_labels_that_the_constraint_moved_far():
    """M⁻¹q is no sum of features, so labels that it moved by several electrons are learned only apart from it.

    In the metric M − qqᵀ/(qᵀM⁻¹q), for which a shift along M⁻¹q is nothing, the density that is served is exact.
    """
    true, positions = random_model(small_basis()), shaken(FRAMES)
    batch = isolated(WATER, positions)
    label = true.constrained(batch)
    assert np.abs(label.shifts).max() > 5
    training = [Densities(batch, label.functions, label.coefficients, {})]
    density, around = true.density, true.surroundings
    components = components_of(density, around, true.few, 400, training)
    other = isolated(WATER, shaken(5, seed=9))
    expected, errors = true.constrained(other), []
    for is_blind in (False, True):
        equations = Equations(components, density, around, true.few, "coulomb", 1e-11, training)
        for own in equations.frames if is_blind else []:
            charges = label.functions.charges
            directions = solved(own.metrics, np.broadcast_to(charges, own.own.coefficients.shape))
            own.metrics -= np.multiply.outer(1 / (directions @ charges), np.multiply.outer(charges, charges))
        weights = {kind: components[kind].whole(own) for kind, own in equations.solve().items()}
        rest = replace(true, weights=weights).constrained(other).coefficients - expected.coefficients
        squares = [np.einsum("fp,fpq,fq->", own, expected.metrics, own) for own in (rest, expected.coefficients)]
        errors.append(np.sqrt(squares[0] / squares[1]))
    assert errors[1] < 1e-5 and errors[0] > 1e-2


def test_a_fit_that_is_too_large_is_refused(folder, fitted, monkeypatch):
    configuration = read_electron_density_configuration(folder / "known.toml")
    monkeypatch.setattr(fit_module, "available_memory", lambda: 2**12)
    with pytest.raises(
        BeadwiseError, match=r"features = 400 in \[electron_density\] makes .* for 40 frames, and .* are there"
    ):
        fit_electron_density(configuration, read_densities(configuration))


def test_atoms_that_are_always_alone(folder):
    """Their density has no direction: weights of l > 0 have no features."""
    basis, oxygen = small_basis(), np.array([8])
    functions = Functions(basis, oxygen)
    labels = np.zeros((6, functions.count))
    labels[:, 0] = 8 / functions.charges[0]
    ase.io.write(folder / "atoms.xyz", [Atoms("O")] * 6)
    np.savez(folder / "atoms.npz", coefficients=labels)
    result = fit(folder, "alone", ("water.xyz", "atoms.xyz"), ("water.npz", "atoms.npz"))
    assert result.exit_code == 0, result.output
    found = load_density(folder / "alone.safetensors").coefficients(isolated(oxygen, np.ones((1, 3))))
    np.testing.assert_allclose(found, labels[:1], atol=1e-9)


def test_charges_that_contradict_each_other(folder, fitted, tmp_path):
    ion = Atoms("OHH", shaken(1)[0], info={"charge": 1})
    model = load_evaluator(f"density:{fitted}")
    np.testing.assert_allclose(model.constrained(Batch.from_ase(ion)).charges, 1, atol=1e-10)
    with pytest.raises(BeadwiseError, match=r"structures have the charge 1, and the model is asked with charge=-1"):
        load_evaluator(f"density:charge=-1,{fitted}").constrained(Batch.from_ase(ion))
    for text in ("-inf", "nan", "one"):
        with pytest.raises(BeadwiseError, match=f"has the charge '{text}'; a number in e is needed"):
            load_evaluator(f"density:charge={text},{fitted}")
    save_density(replace(model, metadata={"charge": "one"}), tmp_path / "text.safetensors")
    with pytest.raises(BeadwiseError, match="the charge is one; a finite number in e is needed"):
        load_density(tmp_path / "text.safetensors")
    ase.io.write(folder / "ions.xyz", [Atoms("OHH", own, info={"charge": 1}) for own in shaken(FRAMES)])
    result = fit(folder, "ions", ("water.xyz", "ions.xyz"))
    assert "frame 0 has the charge 1; [data] has charge = 0" in " ".join(result.output.split())


def test_files_keep_every_number(tmp_path):
    model, path, batch = random_model(), tmp_path / "random.safetensors", isolated(WATER, shaken(2))
    save_density(replace(model, metadata={"title": "random", "charge": 1.0}), path)
    again = load_density(path)
    assert again.molecular_charge(batch) == 1 and again.metadata["title"] == "random"
    np.testing.assert_allclose(again.fitted(batch), model.fitted(batch), atol=1e-13)
    np.testing.assert_array_equal(
        again.coefficients(batch), load_evaluator(f"density:charge=1,{path}").coefficients(batch)
    )
    listed = CliRunner().invoke(cli, ["inspect", f"density:{path}"])
    assert "An electron density" in listed.output and "ssssssppppdddfg" in listed.output
    path.write_bytes(path.read_bytes()[:-8] + bytes(8))
    with pytest.raises(BeadwiseError, match="is damaged"):
        load_density(path)


@pytest.mark.parametrize(
    ("changes", "functions", "words"),
    [
        ([("water.npz", "few.npz")], None, "has 5 coefficients for 40 structures"),
        ([("water.npz", "narrow.npz")], None, "the functions of its atoms in 'functions.nw' are 18"),
        ([("water.npz", "wrong.npz")], None, "has 11 electrons, and the molecule 10"),
        ([("water.npz", "mixed.npz")], None, "coefficients and coulomb_projections differ by"),
        ([("water.npz", "garbage.npz")], None, "cannot read the densities"),
        ([("water.npz", "water.xyz")], None, "cannot read the densities"),
        ([("functions.nw", "nothing.nw")], None, "cannot read the functions"),
        ([('l_max = 2\nchannels', 'l_max = 1\nchannels')], None, "go up to l = 2, and features must, too"),
        ([("few = 2", 'metric = "kinetic"')], None, "allowed are ['coulomb', 'overlap']"),
        ([("few = 2", "electrons = {Xx = 1}")], None, "'Xx' in [electron_density] is no element"),
        ([("few = 2", "electrons = {N = 5}")], None, "electrons of N in [electron_density]"),
        ([("few = 2", "electrons = {O = 9}")], None, "O brings 9 electrons; allowed is more than 0, at most 8"),
        ([("[output]", "[energy]\n[output]")], None, "beside [electron_density]"),
        ([("[output]", "[metadata]\ncharge = 1\n[output]")], None, "charge in [metadata]; allowed are keys other than"),
        ([], "O S\n  1.0 1.0\n  1.0 -1.0\n", "coefficients whose sum is not 0 everywhere"),
        ([("known.safetensors", "refused.nw"), ], None, "a name ending in .safetensors is needed"),
        ([], "O S\n  1.0 1.0\n", "species H has no functions in this density"),
        ([], "O H\n  1.0 1.0\n", "a shell 'H'; allowed are S, P, D, F, G and SP"),
        ([], "O S\n  1.0\n", "an exponent and coefficients in each are needed"),
        ([], "O S\n  one 1.0\n", "line 2: one 1.0; a basis in the format of NWChem is needed"),
        ([], "O S\n  -1.0 1.0\n", "exponents above 0"),
        ([], "O P\n  1.0 1.0\n", "O has no s shell"),
        ([], "BASIS CARTESIAN\nO S\n  1.0 1.0\n", "Cartesian functions; spherical ones are needed"),
        ([], "# nothing\n", "has no functions"),
    ],
)  # fmt: skip
def test_refusals(folder, changes, functions, words):
    changes = [(before.replace("known", "refused"), after) for before, after in changes]
    result = fit(folder, "refused", *changes, functions=functions)
    assert result.exit_code == 2 and words in " ".join(result.output.split()), result.output
    assert "Traceback" not in result.output


def test_files_of_functions(tmp_path):
    """Shells that share exponents, general contractions and numbers of Fortran; shells stand by angular momentum."""
    (tmp_path / "own.nw").write_text("h sp\n 0.6D0 1.0 0.5\n0.8 0.0 1.0\nH S\n2 1 0\n1 0 1\n")
    (shells,) = shells_of_file(tmp_path / "own.nw").values()
    assert [(own.momentum, own.exponents, own.contraction) for own in shells] == [
        (0, (0.6, 0.8), (1.0, 0.0)), (0, (2.0,), (1.0,)), (0, (1.0,), (1.0,)), (1, (0.6, 0.8), (0.5, 1.0)),
    ]  # fmt: skip


def test_periodic_frames_are_refused(folder):
    ase.io.write(folder / "crystal.xyz", Atoms("OHH", shaken(1)[0], cell=[9] * 3, pbc=True))
    result = fit(folder, "crystal", ("water.xyz", "crystal.xyz"))
    assert "is periodic; densities are fitted to molecules" in " ".join(result.output.split())


@pytest.mark.skipif(not DATA.is_file(), reason=f"{DATA} is not there")
def test_water_of_quantum_chemistry_is_learned(tmp_path):
    """PBE/def2-SVP, 71 functions: ∫|δρ|/N ≤ 0.5 % of the electrons, and dipoles to 0.005 e·bohr, on frames aside."""
    data = np.load(DATA)
    ase.io.write(tmp_path / "water.xyz", [Atoms("OHH", own) for own in data["positions"]])
    np.savez(tmp_path / "water.npz", **{name: data[name] for name in ("coefficients", "coulomb_projections")})
    recipe = (
        (REPOSITORY / "docs" / "how_to" / "electron_density.md").read_text().partition("```toml")[2].partition("```")[0]
    )
    text = recipe.replace("water/water", "water").replace("h_o.nw", str(FUNCTIONS))
    (tmp_path / "water.toml").write_text(text)
    configuration = read_electron_density_configuration(tmp_path / "water.toml")
    training, aside = set_aside(read_densities(configuration), 0.2)
    assert sum(own.batch.beads for own in aside) == 16
    model = fit_electron_density(configuration, training)
    errors = density_errors(model, aside)
    assert errors.moved < 0.002 and errors.worst < 0.005
    assert errors.worst_dipole / Bohr < 0.005
    assert errors.robust < 1e-3 < errors.hartree
