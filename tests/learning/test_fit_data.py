"""What a fit makes of frames that are weighted, set aside, partly labelled, or single atoms."""

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from beadwise.learning.data import DataError, Frame
from beadwise.learning.fitting.accuracy import evaluate_errors
from beadwise.learning.fitting.configuration import ConfigurationError, read_configuration
from beadwise.learning.fitting.fit import error_reports, fit, with_errors
from beadwise.learning.fitting.fit_data import SET_ASIDE, read_fit_data
from beadwise.model import Batch, load, save
from beadwise.properties.forms import VECTOR
from beadwise.properties.quantities import registered
from beadwise.quantity import Quantity, Unit
from models import labelled, random_model, random_structure

DENSITY = "[density]\ncutoff = 3.0\nradial = 2\nl_max = 2\n"
ISOLATED = {"H": -13.6, "O": -430.0}


def configured(folder, data='train = ["train.xyz"]', energy="", rest=""):
    (folder / "fit.toml").write_text(
        f'[data]\n{data}\n{DENSITY}[energy]\n{energy}\n{rest}\n[output]\nmodel = "model.safetensors"\n'
    )
    return read_configuration(folder / "fit.toml")


def structures(count, heads=("energy",)):
    model = random_model(heads=heads)
    return [labelled(model, random_structure(seed, 2)) for seed in range(count)]


def energy_of(model, atoms):
    return float(model.evaluate(Batch.from_ase(atoms), ("energy",)).energy[0])


def test_a_part_of_the_training_frames_is_set_aside(tmp_path):
    ase.io.write(tmp_path / "train_1.xyz", structures(8), format="extxyz")
    ase.io.write(tmp_path / "train_2.xyz", structures(12), format="extxyz")
    settings = configured(tmp_path, 'train = ["train_*.xyz"]\nvalidation = 0.2')
    data = read_fit_data(settings)
    assert {name: len(frames) for name, frames in data.sets.items()} == {
        SET_ASIDE: 4,
        "train_1.xyz": 8 - sum("train_1" in frame.source for frame in data.sets[SET_ASIDE]),
        "train_2.xyz": 12 - sum("train_2" in frame.source for frame in data.sets[SET_ASIDE]),
    }
    names = {frame.name for frame in data.of("training")}
    assert len(names) == 16 and not names & {frame.name for frame in data.of("validation")}
    assert [f.name for f in read_fit_data(settings).of("validation")] == [f.name for f in data.of("validation")]
    model = fit(settings, data=data)
    errors = with_errors(model, settings, error_reports(model, settings, data=data)).metadata["errors"]
    assert list(errors["validation"]) == [SET_ASIDE] and errors["validation"][SET_ASIDE]["frames"] == 4


def test_frames_without_a_label_that_is_fitted_are_left_out_of_the_errors(tmp_path, caplog):
    frames = structures(4)
    ase.io.write(tmp_path / "train.xyz", frames, format="extxyz")
    for atoms in frames:
        atoms.calc = None
    ase.io.write(tmp_path / "bare.xyz", frames, format="extxyz")
    settings = configured(tmp_path, 'train = ["train.xyz"]\nvalidation = ["bare.xyz"]')
    assert set(error_reports(fit(settings), settings)) == {"train.xyz"}
    assert "bare.xyz: nothing to compare: the 4 frames have no labels" in caplog.text


@pytest.mark.parametrize("rest", ["", "[network]\nhidden = [4]\nepochs = 2\n"])
@pytest.mark.parametrize("is_in_data", [True, False])
def test_energies_of_isolated_atoms_are_kept(tmp_path, rest, is_in_data):
    if rest:
        pytest.importorskip("torch")
    frames = structures(6)
    for atoms in frames:
        shift = sum(ISOLATED[symbol] for symbol in atoms.symbols)
        results = atoms.calc.results | {"energy": atoms.calc.results["energy"] + shift - 3.0 * len(atoms)}
        atoms.calc = SinglePointCalculator(atoms, **results)
    if is_in_data:
        for symbol, energy in ISOLATED.items():
            frames.append(Atoms(symbol, info={"energy": energy, "config_type": "IsolatedAtom"}))
        said = ""
    else:
        said = f"isolated_atoms = {{H = {ISOLATED['H']}, O = {ISOLATED['O']}, C = -1000.0}}"
    ase.io.write(tmp_path / "train.xyz", frames, format="extxyz")
    model = fit(configured(tmp_path, energy=said, rest=rest))
    save(model, tmp_path / "model.safetensors")
    for symbol, energy in ISOLATED.items():
        for one in (model, load(tmp_path / "model.safetensors")):
            assert energy_of(one, Atoms(symbol)) == pytest.approx(energy, abs=1e-9)
    expected = frames[0].calc.results["energy"]
    assert energy_of(model, frames[0]) == pytest.approx(expected, abs=0.5)  # 18 eV of it are cohesion
    assert model.envelope is not None and model.envelope.low[0, 0] > 0  # isolated atoms are not what is known


def test_one_isolated_atom_leaves_the_others_free(tmp_path):
    ase.io.write(tmp_path / "train.xyz", structures(6), format="extxyz")
    model = fit(configured(tmp_path, energy="isolated_atoms = {O = -430.0}"))
    assert energy_of(model, Atoms("O")) == pytest.approx(-430.0, abs=1e-9)
    assert energy_of(model, Atoms("H")) > 50  # three molecules have the energies that they have


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("isolated_atoms = {Xy = 1.0}", "isolated_atoms has Xy = 1.0"),
        ("isolated_atoms = {H = 'low'}", "isolated_atoms has H = 'low'"),
        ("isolated_atoms = {H = nan}", "isolated_atoms has H = nan"),
    ],
)
def test_isolated_atoms_that_are_none(tmp_path, said, message):
    ase.io.write(tmp_path / "train.xyz", structures(3), format="extxyz")
    with pytest.raises(ConfigurationError, match=message):
        fit(configured(tmp_path, energy=said))


def test_two_energies_of_one_isolated_atom(tmp_path):
    atoms = [Atoms("H", info={"energy": energy}) for energy in (-13.6, -12.0)]
    ase.io.write(tmp_path / "train.xyz", [*structures(3), *atoms], format="extxyz")
    with pytest.raises(ConfigurationError, match=r"isolated H has the energy -13.6 eV in frame 3 .* and -12 eV"):
        fit(configured(tmp_path))


def test_a_weight_counts_as_so_many_copies(tmp_path):
    """A frame of weight 2 is that frame twice, one of weight 0 is not there."""
    frames = structures(7, ("energy", "dipole"))
    rest = "[dipole]\nl_max = 2\n"
    ase.io.write(tmp_path / "train.xyz", [*frames[:5], *frames[:2]], format="extxyz")
    twice = fit(configured(tmp_path, rest=rest))
    for index, atoms in enumerate(frames):
        atoms.info["weight"] = 2.0 if index < 2 else 1.0 if index < 5 else 0.0
    ase.io.write(tmp_path / "train.xyz", frames, format="extxyz")
    weighted = fit(configured(tmp_path, rest=rest))
    for atoms in frames:
        atoms.info["config_type"] = {2.0: "heavy", 1.0: "one", 0.0: "left_out"}[atoms.info.pop("weight")]
    ase.io.write(tmp_path / "train.xyz", frames, format="extxyz")
    by_group = fit(
        configured(tmp_path, 'train = ["train.xyz"]\nweights = {heavy = 2, one = 1.0, left_out = 0}', rest=rest)
    )
    batch = Batch.from_ase(frames[6])
    for name in ("energy", "dipole"):
        expected = twice.evaluate(batch, (name,))[name]
        for model in (weighted, by_group):
            np.testing.assert_allclose(model.evaluate(batch, (name,))[name], expected, rtol=1e-4, atol=1e-4)


def test_atoms_without_a_label_do_not_count(tmp_path):
    """Forces and a quantity per atom, half of which are missing."""
    moment = Quantity("moment", VECTOR, Unit(charge=1, length=1), per="atom")
    with registered(moment):
        truth = random_model(heads=("energy", "moment"), radial=2)
        frames = []
        for seed in range(16):
            atoms = labelled(truth, random_structure(seed))
            atoms.arrays["moment"] = truth.evaluate(Batch.from_ase(atoms), ("moment",)).moment[0]
            atoms.arrays["moment"][::2] = np.nan
            atoms.calc.results["forces"] = np.array(atoms.calc.results["forces"])
            atoms.calc.results["forces"][1::2] = np.nan
            frames.append(atoms)
        ase.io.write(tmp_path / "train.xyz", frames, format="extxyz")
        with pytest.raises(DataError, match="all labels must be finite"):
            fit(configured(tmp_path, rest="[moment]\nl_max = 2\n"))
        said = 'train = ["train.xyz"]\nnan_is_missing = true'
        settings = configured(tmp_path, said, rest="[moment]\nl_max = 2\nridge = 1e-8\n")
        model = fit(settings)
        report = error_reports(model, settings)["train.xyz"].properties
        assert report["forces"].count == 16 * 3 * 5 and report["moment"].count == 16 * 3 * 4
        assert report["forces"].percent_error < 5 and report["moment"].percent_error < 5
        atoms = random_structure(50)
        complete = truth.evaluate(Batch.from_ase(atoms), ("forces", "moment"))
        frame = Frame(atoms, {name: complete[name][0] for name in ("forces", "moment")})
        assert max(own.percent_error for own in evaluate_errors(model, [frame]).properties.values()) < 10


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("train = []", "train = [] in [data]; it must be a list of one or more file names"),
        ('train = ["train.xyz"]\nvalidation = 1.5', "validation = 1.5 in [data]"),
        (
            'train = ["train.xyz"]\nvalidation = "valid.xyz"',
            "it must be a list of file names or a number between 0 and 1",
        ),
        ('train = ["none_*.xyz"]', "no data file is called like 'none_*.xyz'"),
        ('train = ["train.xyz"]\nkeys = {enery = "E"}', "did you mean 'energy'"),
        ('train = ["train.xyz"]\nkeys = "REF_energy"', "it must be a table of texts"),
        ('train = ["train.xyz"]\nunits = {dipole = "eV"}', "in [data]"),
        ('train = ["train.xyz"]\nnan_is_missing = 1', "it must be true or false"),
        ('train = ["train.xyz"]\ncharge = "+"', "it must be a finite number in e"),
    ],
)
def test_what_the_configuration_cannot_say(tmp_path, data, said):
    with pytest.raises(ConfigurationError) as caught:
        configured(tmp_path, data)
    assert said in str(caught.value) and "fit.toml" in str(caught.value)


def test_keys_and_units_reach_every_file(tmp_path):
    frames = structures(4)
    for atoms in frames:
        atoms.info["E_of_mine"] = atoms.calc.results["energy"] / 27.211386
        atoms.calc = None
    for name in ("train.xyz", "valid.xyz"):
        ase.io.write(tmp_path / name, frames, format="extxyz")
    said = 'train = ["train.xyz"]\nvalidation = ["valid.xyz"]\nkeys = {energy = "E_of_mine"}\nunits.energy = "hartree"'
    data = read_fit_data(configured(tmp_path, said))
    expected = structures(1)[0].calc.results["energy"]
    for role in ("training", "validation"):
        assert data.of(role)[0].labels["energy"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("role", ["validation", "independent"])
def test_species_that_no_training_frame_has_are_refused_before_the_fit(tmp_path, role):
    ase.io.write(tmp_path / "train.xyz", structures(2))
    ase.io.write(tmp_path / "other.xyz", [Atoms("H2", [[0, 0, 0], [0, 0, 1]]), Atoms("HF", [[0, 0, 0], [0, 0, 1]])])
    steps = []
    with pytest.raises(DataError, match=r"other.xyz.* has F, .*; allowed are the species .*, \['H', 'O'\]"):
        fit(configured(tmp_path, f'train = ["train.xyz"]\n{role} = ["other.xyz"]'), lambda *own: steps.append(own))
    assert not steps
