"""A linear energy that reads long-range potentials: ions beyond the cutoff, files, derivatives, refusals, i-PI."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from beadwise.learning.fitting.configuration import ConfigurationError, read_configuration
from beadwise.learning.fitting.fit import fit
from beadwise.model import Batch, ModelFileError, StructureError
from beadwise.model.description import describe_model, listing
from beadwise.model.electrostatics import Electrostatics
from beadwise.model.files import load_model, read, save
from ipi_pair import Side, properties, run_together
from ipi_pair import beadwise as served
from rich.console import Console
from safetensors.numpy import save as serialise

SIDE = 16.0
NEAR, FAR = np.arange(2.4, 5.6, 0.4), np.array([6.0, 6.7, 7.4, 8.0])
FIT = """
[data]
train = ["train.xyz"]
[density]
cutoff = 4.0
radial = 3
l_max = 2
{lode}
[energy]
energy_error = 0.0003
ridge = 1e-10
[output]
model = "fitted.safetensors"
"""
LODE = "[lode]\nsmearing = 0.9\nradius = 1.5\nneighbours = 2\n"


def ions(distance: float, seed: int = 0) -> Atoms:
    """A pair of ions, turned at random, with a neutral neighbour; energies are Ewald's."""
    generator = np.random.default_rng(seed)
    direction = generator.normal(size=3)
    direction /= np.linalg.norm(direction)
    places = np.array([[0.0, 0, 0], distance * direction])
    atoms = Atoms("NaCl", positions=places + generator.uniform(0, SIDE, 3), cell=np.eye(3) * SIDE, pbc=True)
    sums = Electrostatics(atoms.positions[None], atoms.cell.array[None], periodic=(True, True, True))
    found = sums.energy(np.array([[1.0, -1.0]]))
    energy, forces = float(np.ravel(found.energy)[0]), found.forces.reshape(2, 3)
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    return atoms


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("lode")
    write(place / "train.xyz", [ions(distance, seed) for seed, distance in enumerate(NEAR)], format="extxyz")
    return place


def fitted(folder, lode=LODE):
    (folder / "fit.toml").write_text(FIT.format(lode=lode))
    return fit(read_configuration(folder / "fit.toml"))


@pytest.fixture(scope="module")
def model(folder):
    made = fitted(folder)
    save(made, folder / "fitted.safetensors")
    return load_model(folder / "fitted.safetensors")


def far_error(model) -> float:
    frames = [ions(distance, 100 + seed) for seed, distance in enumerate(FAR)]
    found = model.evaluate(Batch.from_ase(frames), ("energy",)).energy
    return float(np.sqrt(np.mean((found - [frame.get_potential_energy() for frame in frames]) ** 2)))


def test_ions_farther_apart_than_any_in_the_training(folder, model):
    """Trained from 2.4 to 5.2 Å: at 6 to 8 Å a cutoff model is wrong by half an eV, this one by a few meV."""
    assert far_error(fitted(folder, "")) > 0.2
    assert far_error(model) < 0.005


def test_the_file_keeps_it(folder, model):
    again = fitted(folder)
    np.testing.assert_array_equal(again.long_range.weights, model.long_range.weights)
    description, _ = read(folder / "fitted.safetensors")
    assert description["format_version"] == 7 and description["long_range"]["exponents"] == [1]
    shown = io.StringIO()
    Console(file=shown, width=200).print(listing(describe_model(folder / "fitted.safetensors")))
    assert "potentials 1/r^1, smooth within 0.9 Å" in shown.getvalue()
    without = fitted(folder, "")
    save(without, folder / "local.safetensors")
    assert read(folder / "local.safetensors")[0]["format_version"] < 7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"exponents": [2]}, r"exponents of long-range potentials are \[2\]; allowed are \[1, 3, 6\]"),
        ({"exponents": [1.5]}, r"exponents of long-range potentials are \[1.5\]; allowed are"),
        ({"radius": 40.0}, "the radius of long-range potentials is 40.0 Å; allowed is at most 4 times the smearing"),
        ({"smearing": float("nan")}, "lengths of long-range potentials are"),
        ({"l_max": 9}, "sizes of long-range potentials are"),
        ({"neighbours": 3}, r"long-range weights of shape .* is needed"),
    ],
)
def test_damaged_files(folder, model, change, message):
    description, arrays = read(folder / "fitted.safetensors")
    description["long_range"] |= change
    (folder / "damaged.safetensors").write_bytes(serialise(arrays, metadata={"beadwise": json.dumps(description)}))
    with pytest.raises(ModelFileError, match=message):
        load_model(folder / "damaged.safetensors")


@pytest.mark.parametrize("periodic", [True, False], ids=["periodic", "isolated"])
def test_forces_and_virial_are_derivatives(model, periodic):
    atoms = ions(3.3, 5) + Atoms("Na", [[1.0, 2.0, 9.0]])
    atoms.calc = None
    atoms.set_cell([[9.0, 0, 0], [1.0, 8.0, 0], [-0.5, 0.7, 9.5]])
    atoms.pbc = periodic
    found = model.evaluate(Batch.from_ase(atoms), ("energy", "forces", "virial"))

    def energy(trial):
        return model.evaluate(Batch.from_ase(trial), ("energy",)).energy[0]

    for atom, axis in [(0, 0), (2, 1)]:
        ends = [atoms.copy(), atoms.copy()]
        for sign, trial in zip((1, -1), ends, strict=True):
            trial.positions[atom, axis] += sign * 1e-4
        difference = -(energy(ends[0]) - energy(ends[1])) / 2e-4
        assert found.forces[0, atom, axis] == pytest.approx(difference, abs=1e-6)
    for i, j in [(0, 0), (1, 0), (2, 1)]:
        energies = []
        for sign in (1, -1):
            deformed = np.eye(3)
            deformed[i, j] += sign * 2e-5
            trial = atoms.copy()
            trial.set_cell(atoms.cell.array @ deformed.T)
            trial.positions = atoms.positions @ deformed.T
            energies.append(energy(trial))
        assert found.virial[0, i, j] == pytest.approx(-(energies[0] - energies[1]) / 4e-5, abs=2e-6)


def test_beads_and_parts(model):
    """Beads of a batch are apart, and what processes that share atoms answer adds up."""
    frames = [ions(distance, seed) for seed, distance in enumerate((3.0, 4.0, 6.0))]
    want = ("energy", "forces", "virial")
    batch = Batch.from_ase(frames)
    together = model.evaluate(batch, want)
    shared = [model.evaluate_part(batch, want, part, 2) for part in range(2)]
    summed = model.assemble(batch, want, [sum(own) for own in zip(*shared, strict=True)])
    for name in want:
        np.testing.assert_allclose(summed[name], together[name], atol=1e-12)
        for place, frame in enumerate(frames):
            alone = model.evaluate(Batch.from_ase(frame), want)[name][0]
            np.testing.assert_allclose(together[name][place], alone, atol=1e-12)


def test_some_directions_only_are_refused(model):
    atoms = ions(3.0)
    atoms.pbc = [True, True, False]
    with pytest.raises(StructureError, match=r"periodic directions are .* all three, or none"):
        model.evaluate(Batch.from_ase(atoms), ("energy",))


def test_a_frame_periodic_in_some_directions_is_named_in_a_fit(folder, tmp_path):
    frames = [ions(distance, seed) for seed, distance in enumerate(NEAR)]
    frames[2].pbc = [True, True, False]
    write(tmp_path / "train.xyz", frames, format="extxyz")
    with pytest.raises(
        StructureError, match=r"frame 2 of .*train.xyz.*: periodic directions are .* all three, or none"
    ):
        fitted(tmp_path)


@pytest.mark.parametrize(
    ("lode", "message"),
    [
        ("[lode]\nexponents = [2]\n", r"exponents = \[2\] in \[lode\]; allowed are one or more of \[1, 3, 6\]"),
        ("[lode]\nexponents = [1, 1]\n", "each once"),
        ("[lode]\nsmearing = 0.5\nradius = 4.0\n", r"radius = 4.0 and smearing = 0.5 in \[lode\]"),
        ("[lode]\n[network]\nhidden = [4]\n", r"\[lode\] and \[network\]; only a linear energy alone"),
        ("[lode]\n[equivariant]\n", r"\[lode\] and \[equivariant\]"),
        ("[lode]\n[charges]\n", r"\[lode\] and \[charges\]"),
        ("[lode]\n[committee]\n", r"\[lode\] and \[committee\]"),
        ("[lode]\nsmear = 1.0\n", "smear"),
    ],
)
def test_sections_that_are_refused(folder, lode, message):
    with pytest.raises(ConfigurationError, match=message) as refusal:
        fitted(folder, lode)
    assert "\n" not in str(refusal.value)


def test_a_section_of_the_energy_alone(folder):
    text = FIT.format(lode=LODE).replace("[energy]\nenergy_error = 0.0003\nridge = 1e-10", "[dipole]")
    (folder / "dipole.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=r"\[lode\] is read by the energy; it needs a section \[energy\]"):
        read_configuration(folder / "dipole.toml")


def test_members_for_such_a_model_are_refused(folder, model):
    text = FIT.format(lode='[committee]\nmodel = "fitted.safetensors"\n')
    (folder / "members.toml").write_text(text)
    with pytest.raises(ConfigurationError, match="the model that gets members reads long-range potentials"):
        fit(read_configuration(folder / "members.toml"))


INPUT = """
<simulation verbosity='low'>
  <output prefix='out'>
    <properties filename='properties' stride='1'>
      [step, potential{electronvolt}, conserved{electronvolt}]
    </properties>
  </output>
  <total_steps>20</total_steps>
  <prng><seed>3</seed></prng>
  <ffsocket mode='unix' name='driver' pbc='false'><address>@0</address></ffsocket>
  <system>
    <initialize nbeads='2'>
      <file mode='ase'>start.xyz</file><velocities mode='thermal' units='kelvin'>300</velocities>
    </initialize>
    <forces><force forcefield='driver'/></forces>
    <motion mode='dynamics'><dynamics mode='nve'><timestep units='femtosecond'>1</timestep></dynamics></motion>
    <ensemble><temperature units='kelvin'>300</temperature></ensemble>
  </system>
</simulation>
"""


def test_beads_of_ions_in_the_real_ipi(folder, model, tmp_path):
    """Ions 6.5 Å apart, beyond the cutoff of 4 Å, attract each other, and what is conserved is."""
    text, atoms = io.StringIO(), ions(6.5, 1)
    atoms.calc = None
    write(text, atoms, format="extxyz")
    side = Side(INPUT.strip(), [served(str(folder / "fitted.safetensors"))])
    steps, potential, conserved = properties(run_together(tmp_path, text.getvalue(), {"ions": side})["ions"]).T
    assert len(steps) == 21
    assert np.ptp(potential) > 1e-3
    assert np.ptp(conserved) < 2e-5
