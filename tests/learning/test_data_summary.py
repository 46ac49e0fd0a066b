"""What files hold is told, and what is wrong with them."""

import json

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list
from beadwise.driver.commands.group import main
from beadwise.learning.data import Frame, Reading, frame_from_ase
from beadwise.learning.data.distances import shortest_by_species
from beadwise.learning.data.sum_rules import SumRules
from beadwise.learning.data.summary import DataSummary
from beadwise.learning.fitting import memory
from beadwise.learning.fitting.configuration import DensitySettings
from beadwise.model import Batch
from click.testing import CliRunner
from models import labelled, random_model, random_structure

MODEL = random_model(seed=3)
DEBYE = 0.2081943


@pytest.mark.parametrize("pbc", [(True, True, True), (True, False, True), (False, False, False), (False, True, False)])
@pytest.mark.parametrize("seed", range(3))
def test_shortest_distances_are_those_of_a_neighbour_list(pbc, seed):
    atoms = random_structure(seed, 1 + seed)
    atoms.pbc = pbc
    atoms.positions += 20 * np.random.default_rng(seed).normal(size=3)
    first, second, distances = neighbor_list("ijd", atoms, 3.0)
    kinds = np.sort([atoms.numbers[first], atoms.numbers[second]], axis=0).T
    expected = {tuple(kind): distances[(kinds == kind).all(axis=1)].min() for kind in np.unique(kinds, axis=0).tolist()}
    received = shortest_by_species(atoms)
    assert received == pytest.approx(expected, abs=1e-9) and received


def answered(structures, **info):
    """Frames with the dipole, the Born charges and the polarizability of one model: all rules hold."""
    for index, atoms in enumerate(structures):
        response = MODEL.evaluate(Batch.from_ase(atoms), ("dipole", "born_charges", "polarizability"))
        atoms.info |= {"dipole": response.dipole[0], "polarizability": response.polarizability[0].ravel(), **info}
        atoms.arrays["born_effective_charges"] = response.born_charges[0].reshape(len(atoms), 9)
        yield atoms, index


def molecules(count=5, **info):
    structures = [random_structure(seed, 2) for seed in range(count)]
    for atoms in structures:
        atoms.set_cell(None)
        atoms.pbc = False
    return [atoms for atoms, _ in answered(structures, **info)]


def rules_of(structures, reading=None):
    rules = SumRules()
    for index, atoms in enumerate(structures):
        rules.add(frame_from_ase(atoms, "a.xyz", index, reading))
    return rules.findings()


def test_rules_hold_for_a_model():
    found, wrong = rules_of(molecules())
    text = "; ".join(found)
    assert "Born charges add up to the total charge within" in text and "slope 1.0000" in text
    assert not [line for line in wrong if "polarizab" not in line]  # that of the model is that of random weights


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (1 / DEBYE, "say units = {dipole = 'debye'}"),
        (1 / 0.5291772, "say units = {dipole = 'e*bohr'}"),
        (-1.0, "the sign of one of them is reversed"),
        (1.7, "units or labels differ"),
    ],
)
def test_the_rotational_rule_tells_the_unit(factor, said):
    structures = molecules()
    for atoms in structures:
        atoms.info["dipole"] = factor * atoms.info["dipole"]
    _, wrong = rules_of(structures)
    assert any("rotational sum rule" in line and said in line for line in wrong)
    if "units = " in said:
        unit = said.split("'")[1]
        found, wrong = rules_of(structures, Reading(units={"dipole": unit}))
        assert any("slope 1.0000" in line for line in found) and not any("rotational" in line for line in wrong)


def test_the_rotational_rule_tells_exchanged_indices():
    structures = molecules()
    for atoms in structures:
        exchanged = atoms.arrays["born_effective_charges"].reshape(-1, 3, 3).swapaxes(1, 2)
        atoms.arrays["born_effective_charges"] = exchanged.reshape(-1, 9).copy()
    _, wrong = rules_of(structures)
    said = next(line for line in wrong if "exchanged" in line)
    order = said.split("'")[1]
    found, wrong = rules_of(structures, Reading(orders={"born_effective_charges": order}))
    assert any("slope 1.0000" in line for line in found) and not any("rotational" in line for line in wrong)


def test_born_charges_add_up_to_the_charge():
    structures = molecules()
    for atoms in structures:
        atoms.arrays["born_effective_charges"] += np.eye(3).ravel() / len(atoms)
    _, wrong = rules_of(structures)
    assert any("they add up to +1 e, so say charge = 1" in line for line in wrong)
    found, wrong = rules_of(structures, Reading(charge=1.0))
    assert any("5 charged frames depend on their origin" in line for line in found)
    assert not any("acoustic" in line for line in wrong)
    structures[2].arrays["born_effective_charges"][0, 1] += 0.5
    assert any("within 0.5 e (frame 2" in line for line in rules_of(structures, Reading(charge=1.0))[1])


def trajectory(jumps=(), has_charges=True):
    first = random_structure(4, 2)
    steps = []
    for index in range(12):
        atoms = first.copy()
        atoms.positions += 0.02 * index * np.random.default_rng(7).normal(size=atoms.positions.shape)
        steps.append(atoms)
    structures = [atoms for atoms, _ in answered(steps)]
    for index in jumps:
        for atoms in structures[index:]:
            atoms.info["dipole"] = atoms.info["dipole"] + atoms.cell.array[1]
    for atoms in structures if not has_charges else ():
        del atoms.arrays["born_effective_charges"]
    return structures


@pytest.mark.parametrize("has_charges", [True, False])
def test_jumps_of_a_berry_phase(has_charges):
    found, wrong = rules_of(trajectory(has_charges=has_charges))
    assert not any("jumps" in line for line in wrong)
    assert any("agree with slope 1.0" in line for line in found) == has_charges
    found, wrong = rules_of(trajectory((3, 8), has_charges))
    said = found if has_charges else wrong
    assert any("jumps by e times a lattice vector in 2 of 11 steps" in line for line in said)
    assert any("agree with slope 1.0" in line for line in found) == has_charges


def test_jumps_of_dipoles_that_are_said_to_have_no_branches():
    found, wrong = rules_of(trajectory((3, 8)), Reading(dipole_quantum="none"))
    assert any("in 2 of 11 steps" in line and "say dipole_quantum = 'lattice'" in line for line in wrong)
    assert any("agree with slope 1.0" in line for line in found) and not any("jumps" in line for line in found)
    twice = trajectory((3, 8))
    for atoms in twice:
        atoms.info["dipole_quantum"] = (0.5 * atoms.cell.array).ravel()
    found, wrong = rules_of(twice)
    assert any("in 2 of 11 steps" in line for line in found) and not any("jumps" in line for line in wrong)


def test_polarizabilities_of_molecules():
    tensor = np.diag([1.4, 1.45, 1.5])
    atoms = random_structure(0, 1)
    atoms.pbc = False

    def said(tensor):
        return rules_of([Atoms(atoms, info={"polarizability": tensor.ravel()})])

    assert any("polarizabilities are 0.68" in line for line in said(tensor)[0]) and not said(tensor)[1]
    assert any("'bohr^3'" in line for line in said(tensor / 0.1481847)[1])
    assert any("not positive" in line for line in said(-tensor)[1])
    assert any("not symmetric" in line for line in said(tensor + np.triu(np.full((3, 3), 0.1), 1))[1])


def frames(count, first=0):
    return [frame_from_ase(labelled(MODEL, random_structure(first + i, 2)), "a.xyz", i) for i in range(count)]


def test_repetitions_outliers_and_distances():
    train, valid = frames(12), frames(3, first=5)
    train[4].labels["energy"] = train[4].labels["energy"] + 3.0
    summary = DataSummary.of({"train": train, "valid": valid})
    text = "\n".join(summary.lines())
    assert "3 frames repeat others: frame 0 is frame 5 of 'a.xyz'" in text
    assert "energies of 1 frame are far from those of the others, in eV per atom: frame 4 of 'a.xyz' by +0.5" in text
    assert "H, O; periodic in all directions 12" in text and "shortest distances in Å: H–O" in text
    assert summary.files["train"].labels["forces"].frames == 12 and summary.species == (1, 8)
    assert not list(DataSummary.of({"train": frames(12)}).energy_problems())
    other = frames(10, first=40)
    for own in other:
        own.labels["energy"] = own.labels["energy"] + 5.0 * len(own.atoms)
    (line,) = DataSummary.of({"train": frames(12), "other": other}).energy_problems()
    assert "energies of other have another zero, or are of another method: +5" in line


def test_forces_that_are_none():
    others = [
        Frame(own.atoms, {"forces": np.random.default_rng(7).normal(size=own.labels["forces"].shape) + 1.0})
        for own in frames(4)
    ]
    assert "forces do not add up to zero" in "\n".join(DataSummary.of({"a": others}).lines())
    assert "forces do not add up" not in "\n".join(DataSummary.of({"a": frames(4)}).lines())


def test_overlapping_atoms_are_named():
    frame = frame_from_ase(Atoms("OH", [[0, 0, 0], [0, 0, 0.2]]), "a.xyz", 7)
    assert "H–O are 0.200 Å apart in frame 7" in "\n".join(DataSummary.of({"a": [frame]}).lines())


def run(*arguments):
    return CliRunner().invoke(main, ["check-data", *map(str, arguments)], catch_exceptions=False)


def test_the_command(tmp_path):
    structures = [labelled(MODEL, random_structure(seed, 2)) for seed in range(4)]
    for atoms in structures:
        atoms.info |= {"REF_energy": atoms.calc.results["energy"], "gap": 1.5}
        atoms.calc = None
    for name in ("a_1.xyz", "a_2.xyz"):
        ase.io.write(tmp_path / name, structures, format="extxyz")
    done = run(tmp_path / "a_*.xyz", "--json", tmp_path / "numbers.json")
    assert done.exit_code == 0, done.output
    assert "energy from 'REF_energy': 4 frames" in done.output and "not used: 'gap' (4)" in done.output
    assert "warning: 4 frames repeat others" in done.output and "memory of a fit: the" in done.output
    numbers = json.loads((tmp_path / "numbers.json").read_text())["files"]
    assert [own["frames"] for own in numbers.values()] == [4, 4]
    done = run(tmp_path / "a_1.xyz", "--every", 2, "--key", "energy=gap", "--unit", "energy=hartree")
    assert done.exit_code == 0 and "energy from 'gap' in hartree: 2 frames" in done.output
    done = run(tmp_path / "a_1.xyz", "--key", "dipole=moment")
    assert "warning: 'moment', which keys says is the dipole, is in no frame" in done.output
    (tmp_path / "bad.xyz").write_text("3\n\nH 0 0 0\n")
    done = run(tmp_path / "bad.xyz", tmp_path / "a_1.xyz")
    assert done.exit_code == 2 and "3 atoms are announced" in done.output and "energy 4" in done.output
    for wrong in (["--key", "energy"], ["--unit", "dipole=eV"], ["--key", "enery=E"], [tmp_path / "none.xyz"]):
        done = run(tmp_path / "a_1.xyz", *wrong)
        assert done.exit_code == 2 and "Traceback" not in done.output


def test_the_command_takes_the_configuration_of_a_fit(tmp_path):
    structures = [labelled(MODEL, random_structure(seed, 2)) for seed in range(4)]
    ase.io.write(tmp_path / "train.xyz", structures, format="extxyz")
    text = '[data]\ntrain = ["train.xyz"]\nunits = {dipole = "debye"}\n[density]\nradial = 2\n[dipole]\n[output]\n'
    (tmp_path / "fit.toml").write_text(text + 'model = "m.safetensors"\n')
    done = run(tmp_path / "fit.toml")
    assert done.exit_code == 0 and "dipole in debye: 4 frames" in done.output
    assert "the dipole head has" in done.output and "2 radial functions" in done.output


def test_a_fit_that_needs_more_memory_than_there_is(tmp_path, monkeypatch):
    structures = [labelled(MODEL, random_structure(seed, 2)) for seed in range(2)]
    ase.io.write(tmp_path / "train.xyz", structures, format="extxyz")
    text = '[data]\ntrain = ["train.xyz"]\n[dipole]\n[output]\nmodel = "m.safetensors"\n'
    (tmp_path / "fit.toml").write_text(text)
    monkeypatch.setattr(memory, "available_memory", lambda: 2**25)
    done = CliRunner().invoke(main, ["fit", str(tmp_path / "fit.toml")])
    assert done.exit_code == 2 and "Traceback" not in done.output
    (need,) = memory.needs(DensitySettings(), {"dipole": memory.quantities()["dipole"].settings()}, 2, 6)
    assert f"the dipole head has {need.features} weights for 2 species" in done.output
    assert "32 MiB are there; use chemical_channels in [density]" in done.output


def test_memory_of_six_species():
    (need,) = memory.needs(DensitySettings(), {"dipole": memory.quantities()["dipole"].settings()}, 6, 5)
    assert need.features == 41760 and need.matrix == 8 * 41760**2 and memory.size(need.matrix) == "13 GiB"
    there = memory.available_memory()
    assert there is None or there > 0


def test_a_section_without_labels_names_what_is_there(tmp_path):
    atoms = random_structure(0, 2)
    atoms.info["my_moment"] = np.arange(3.0)
    ase.io.write(tmp_path / "train.xyz", atoms, format="extxyz")
    text = '[data]\ntrain = ["train.xyz"]\n[dipole]\n[output]\nmodel = "m.safetensors"\n'
    (tmp_path / "fit.toml").write_text(text)
    done = CliRunner().invoke(main, ["fit", str(tmp_path / "fit.toml")])
    assert done.exit_code == 2
    wanted = "(dipole, born_effective_charges, molecular_dipole, atomic_dipole)"
    assert f"labels for the dipole head {wanted}; they have 'my_moment': say which" in done.output


def test_labels_without_a_section_are_named(tmp_path):
    structures = [labelled(MODEL, random_structure(seed, 2)) for seed in range(8)]
    ase.io.write(tmp_path / "train.xyz", structures, format="extxyz")
    text = '[data]\ntrain = ["train.xyz"]\n[density]\ncutoff = 3.0\nradial = 2\nl_max = 2\n[dipole]\nl_max = 2\n'
    (tmp_path / "fit.toml").write_text(text + '[output]\nmodel = "m.safetensors"\n')
    done = CliRunner().invoke(main, ["fit", str(tmp_path / "fit.toml")])
    assert done.exit_code == 0, done.output
    assert "not fitted, for want of a section: energy, forces, stress, polarizability" in done.output


def test_a_folder_holds_no_frame(tmp_path):
    result = CliRunner().invoke(main, ["check-data", str(tmp_path)])
    assert result.exit_code == 2 and "is a folder; a file is needed" in result.stderr
    assert "  no frame could be read\n" in result.stdout
