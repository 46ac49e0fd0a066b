"""``beadwise average``: an oscillator whose answer is known through a real i-PI, and files that are written here."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import click
import numpy as np
import pytest
from beadwise.analysis.averages.groups import parse_mask, parse_masks
from beadwise.analysis.averages.live import LiveAverages
from beadwise.analysis.averages.make import make
from beadwise.analysis.averages.molecular_frame import rotation_onto
from beadwise.analysis.averages.request import AverageRequest
from beadwise.driver.commands.average import parse_references
from beadwise.errors import BeadwiseError
from beadwise.properties.shielding import principal_values
from beadwise.runs.input.run_input import RunInput
from beadwise.runs.units import BOHR_PER_ANGSTROM, from_atomic
from oscillators import CONSTANT, LENGTH, MASS, MEMBERS, QUADRATIC, SITES, THERMAL_ENERGY, frequency
from places import HELPERS
from scipy.spatial.transform import Rotation

# (x²/(x² + 4P² sin²(πk/P)) summed over k) at 300 K: what σ₂⟨q²⟩/2 is in units of the classical value
RATIOS = {(1600.0, 16): 3.734698, (1600.0, 32): 3.813064, (3700.0, 16): 7.759304, (3700.0, 32): 8.549903}
WAVENUMBER, BEADS = 1600.0, 16
UNIT = THERMAL_ENERGY / (MASS * frequency(WAVENUMBER) ** 2) / BOHR_PER_ANGSTROM**2  # kT/mω² in Å²
OSCILLATORS = """
<simulation verbosity='low'>
  <output prefix='out'>
    <trajectory filename='shielding' extra_type='shielding'> extras </trajectory>
    <trajectory filename='members' stride='10' extra_type='member_shielding'> extras </trajectory>
  </output>
  <total_steps>80</total_steps>
  <prng><seed>5</seed></prng>
  <ffsocket mode='unix' name='oscillators' pbc='false'>
    <address>ADDRESS</address> <batch_size>16</batch_size>
  </ffsocket>
  <system>
    <initialize nbeads='16'>
      <file mode='xyz' units='angstrom'>beads.xyz</file>
      <velocities mode='thermal' units='kelvin'>300</velocities>
    </initialize>
    <forces><force forcefield='oscillators'/></forces>
    <ensemble><temperature units='kelvin'>300</temperature></ensemble>
    <motion mode='dynamics'>
      <fixcom>False</fixcom>
      <dynamics mode='nvt' splitting='baoab'>
        <timestep units='femtosecond'>0.5</timestep>
        <thermostat mode='pile_l'><tau units='femtosecond'>4</tau></thermostat>
      </dynamics>
    </motion>
  </system>
</simulation>
"""


def ratio(wavenumber: float, beads: int) -> float:
    """Σ_k x²/(x² + 4P² sin²(πk/P)), x = βħω."""
    x = frequency(wavenumber) / THERMAL_ENERGY
    return float((x**2 / (x**2 + 4 * beads**2 * np.sin(np.pi * np.arange(beads) / beads) ** 2)).sum())


def test_table_of_the_oscillator():
    for (wavenumber, beads), expected in RATIOS.items():
        assert ratio(wavenumber, beads) == pytest.approx(expected, rel=2e-6)
    for wavenumber, exact in ((1600.0, 3.840308), (3700.0, 8.872458)):
        half = frequency(wavenumber) / THERMAL_ENERGY / 2
        assert half / np.tanh(half) == pytest.approx(exact, rel=2e-6)
        assert ratio(wavenumber, 1) == 1


def test_oscillator_through_ipi(tmp_path):
    """⟨σ⟩ is the mean over beads of σ of each; that of the centroid would be that of P = 1."""
    neighbours = np.eye(BEADS)
    squares, modes = np.linalg.eigh(2 * neighbours - np.roll(neighbours, 1, 0) - np.roll(neighbours, -1, 0))
    total = frequency(WAVENUMBER) ** 2 + squares * (BEADS * THERMAL_ENERGY) ** 2
    widths = np.sqrt(BEADS * UNIT * frequency(WAVENUMBER) ** 2 / total)  # drawn as in equilibrium
    drawn = np.random.default_rng(3).normal(size=(BEADS, SITES.size)) * widths[:, None]
    with open(tmp_path / "beads.xyz", "w") as file:
        for frame in SITES + (modes @ drawn).reshape(BEADS, *SITES.shape):
            file.write(f"{len(frame)}\n# CELL(abcABC): {LENGTH} {LENGTH} {LENGTH} 90 90 90 cell{{angstrom}}\n")
            file.writelines("H {:.12f} {:.12f} {:.12f}\n".format(*atom) for atom in frame)
    address = f"beadwise-test-{uuid.uuid4().hex[:12]}"
    (tmp_path / "input.xml").write_text(OSCILLATORS.strip().replace("ADDRESS", address))
    command = [sys.executable, "-m", "beadwise.driver", "run", "input.xml", "--model", "oscillators:shielded_at_1600"]
    finished = subprocess.run(
        [*command, "--average", "shielding", "--no-report"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(HELPERS)}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "averages in" in finished.stdout
    outcome, _ = make(AverageRequest((tmp_path,), "shielding"))
    rows = {row.name: row for row in outcome.rows}
    expected = CONSTANT + 0.5 * QUADRATIC * UNIT * RATIOS[WAVENUMBER, BEADS]
    mean = rows["H"]
    assert abs(mean.mean - expected) < 3 * mean.sampling_error
    assert mean.sampling_error < 0.05 * (expected - CONSTANT)
    assert mean.mean - CONSTANT > 2 * 0.5 * QUADRATIC * UNIT  # and not the classical value
    assert mean.model_error == pytest.approx(np.std(MEMBERS, ddof=1) * (expected - CONSTANT), rel=0.1)
    live = (tmp_path / "out.average.shielding.csv").read_text()
    assert f"{mean.mean:.10g}" in next(line for line in live.splitlines() if line.startswith("H,"))


INPUT = """<simulation>
  <output prefix='own'>
    <trajectory filename='nmr' extra_type='shielding'> extras </trajectory>
    <trajectory filename='pos' format='xyz'> positions{angstrom} </trajectory>
  </output>
  <total_steps>60</total_steps>
  <system>
    <initialize nbeads='2'><file mode='xyz' units='angstrom'> start.xyz </file></initialize>
    <forces><force forcefield='f'/></forces>
    <ensemble><temperature units='kelvin'>300</temperature></ensemble>
    <motion mode='dynamics'><dynamics mode='nvt'>
      <timestep units='femtosecond'>1</timestep> <thermostat mode='langevin'/>
    </dynamics></motion>
  </system>
  <ffsocket name='f' mode='unix'><address>a</address></ffsocket>
</simulation>"""
WATER = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
OWN = np.array([[30.0, 4.0, -2.0], [1.0, 60.0, 3.0], [0.0, -5.0, 90.0]])  # of a hydrogen in the frame of the molecule


def samples(seed: int = 0, steps: int = 60, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Tensors (steps, 2 beads, 3 atoms, 3, 3) of a tumbling water, oxygen unknown, and positions."""
    rng = np.random.default_rng(seed)
    turns = Rotation.random(2 * steps, rng=rng).as_matrix().reshape(steps, 2, 3, 3)
    tensors = OWN + shift * np.eye(3) + rng.normal(0, 2.0, (steps, 2, 3, 3, 3))
    tensors = np.einsum("sbij,sbajk,sblk->sbail", turns, tensors, turns)
    tensors[:, :, 0] = np.nan
    return tensors, np.einsum("sbij,aj->sbai", turns, WATER)


def write_run(folder: Path, tensors: np.ndarray, positions: np.ndarray, first: int = 0, also: str = INPUT) -> None:
    """Append the files of a run; `first` is the step of the first sample."""
    folder.mkdir(exist_ok=True)
    (folder / "input.xml").write_text(also)
    lines = [f"{s} {x} {y} {z}" for s, (x, y, z) in zip("OHH", WATER, strict=True)]
    (folder / "start.xyz").write_text("3\n# CELL(abcABC): 20 20 20 90 90 90 cell{angstrom}\n" + "\n".join(lines) + "\n")
    for bead in range(2):
        with open(folder / f"own.nmr_{bead}", "a") as extras, open(folder / f"own.pos_{bead}.xyz", "a") as places:
            for number, (own, place) in enumerate(zip(tensors[:, bead], positions[:, bead], strict=True)):
                step = first + number
                extras.write(f"#EXTRAS(shielding)# Step:  {step:>10}  Bead:   {bead:>5}\n")
                extras.write(" ".join(f"{one:.8e}" for one in own.ravel()) + "\n")
                places.write(
                    f"3\n# CELL(abcABC): 37.8 37.8 37.8 90 90 90  Step: {step:>10}  Bead: {bead:>7} "
                    "positions{angstrom}  cell{atomic_unit}\n"
                )
                places.writelines("{} {:.9f} {:.9f} {:.9f}\n".format(s, *r) for s, r in zip("OHH", place, strict=True))


def test_means_of_groups_and_what_is_unknown(tmp_path):
    tensors, positions = samples()
    write_run(tmp_path, tensors, positions)
    masks = parse_masks(["first=1"])
    request = AverageRequest((tmp_path,), "shielding", skip=0.0, masks=masks, references={"H": 31.5})
    outcome, files = make(request)
    rows = {row.name: row for row in outcome.rows}
    isotropic = np.trace(tensors, axis1=-2, axis2=-1) / 3
    assert rows["first"].mean == pytest.approx(isotropic[:, :, 1].mean())
    assert rows["H like atom 1"].mean == pytest.approx(isotropic[:, :, 1:].mean()) and rows["H like atom 1"].nuclei == 2
    assert rows["shift of H like atom 1"].mean == pytest.approx(31.5 - isotropic[:, :, 1:].mean())
    assert not any(row.name.startswith("O") for row in outcome.rows)
    assert any("knows nothing of O atom 0" in note for note in outcome.notes)
    assert [file.name for file in files] == [f"average.shielding{s}" for s in (".csv", ".distributions.csv", ".png")]
    assert json.dumps(outcome.as_dict()["rows"][0]["model_error"]) == "null"
    own = outcome.distributions["H like atom 1"]
    assert (own.density * np.diff(own.edges)).sum() == pytest.approx(1)


def test_tensors_of_a_tumbling_molecule_need_its_frame(tmp_path):
    write_run(tmp_path, *samples(1))
    in_molecule, _ = make(AverageRequest((tmp_path,), "shielding", skip=0.0, frame="molecule"))
    spans = {row.name: row for row in in_molecule.rows}
    own = spans["H atom 1, span Ω"]
    assert abs(own.mean - principal_values(OWN).span) < 4 * own.sampling_error and own.sampling_error < 0.5
    in_space, _ = make(AverageRequest((tmp_path,), "shielding", skip=0.0, frame="crystal"))
    lost = next(row for row in in_space.rows if row.name == "H atom 1, span Ω")
    assert lost.mean < 0.6 * own.mean  # tumbling averages it away


def write_members(folder: Path, tensors: np.ndarray) -> None:
    """Three members, who say 0.95, 1 and 1.05 times the tensors."""
    for bead in range(2):
        with open(folder / f"own.members_{bead}", "w") as file:
            for step, own in enumerate(tensors[:, bead]):
                file.write(f"#EXTRAS(member_shielding)# Step:  {step:>10}  Bead:   {bead:>5}\n")
                numbers = np.concatenate([factor * own.ravel() for factor in (0.95, 1.0, 1.05)])
                file.write(" ".join(f"{number:.8e}" for number in numbers) + "\n")


MEMBERS_TOO = INPUT.replace(
    "</output>", "<trajectory filename='members' extra_type='member_shielding'> extras </trajectory></output>"
)


def test_members_are_turned_with_the_molecule(tmp_path):
    tensors, positions = samples(1)
    write_run(tmp_path, tensors, positions, also=MEMBERS_TOO)
    write_members(tmp_path, tensors)
    outcome, _ = make(AverageRequest((tmp_path,), "shielding", skip=0.0, frame="molecule"))
    rows = {row.name: row for row in outcome.rows}
    for name in ("H atom 1, xx", "H atom 1, span Ω", "H like atom 1"):
        mean = rows[name].mean
        np.testing.assert_allclose(rows[name].members, [0.95 * mean, mean, 1.05 * mean], rtol=1e-5)


def test_frame_of_two_molecules_is_refused(tmp_path):
    tensors, positions = samples(1, steps=4)
    write_run(tmp_path, tensors, positions + np.array([[0.0], [0.0], [4.0]]))
    with pytest.raises(BeadwiseError, match="holds 2 molecules"):
        make(AverageRequest((tmp_path,), "shielding", skip=0.0, frame="molecule"))


def test_principal_values_are_of_shieldings_alone(tmp_path):
    """Of several molecules there is one mean tensor, and the names are those of magnetic resonance."""
    tensors, positions = samples(1, steps=8)
    write_run(tmp_path, tensors[:, :, 1:], positions, also=INPUT.replace("'shielding'", "'molecular_polarizability'"))
    for bead in range(2):
        file = tmp_path / f"own.nmr_{bead}"
        file.write_text(file.read_text().replace("(shielding)", "(molecular_polarizability)"))
    outcome, _ = make(AverageRequest((tmp_path,), "molecular_polarizability", skip=0.0, frame="crystal"))
    assert len(outcome.rows) == 7 and not any("Ω" in row.name or "Haeberlen" in row.name for row in outcome.rows)


def test_difference_of_two_runs(tmp_path):
    write_run(tmp_path / "quantum", *samples(2))
    write_run(tmp_path / "classical", *samples(3, shift=2.0))
    outcome, _ = make(AverageRequest((tmp_path / "quantum",), "shielding", minus=(tmp_path / "classical",)))
    row = next(row for row in outcome.rows if row.name == "difference of H like atom 1")
    assert abs(row.mean + 2.0) < 4 * row.sampling_error


def test_runs_that_disagree(tmp_path):
    paths = tmp_path / "first", tmp_path / "second"
    for number, path in enumerate(paths):
        write_run(path, *samples(number, shift=20.0 * number))
    outcome, _ = make(AverageRequest(paths, "shielding", skip=0.0))
    assert outcome.rows[0].sampling_error == pytest.approx(10, rel=0.1)
    assert any("differ from it by more than their errors" in warning for warning in outcome.warnings)
    with pytest.raises(BeadwiseError, match="hold the same samples"):
        make(AverageRequest((paths[0], paths[0]), "shielding"))


def test_runs_count_by_their_samples_in_distributions(tmp_path, monkeypatch):
    monkeypatch.setattr("beadwise.analysis.averages.make.MOST_KEPT", 100)
    write_run(tmp_path / "long", *samples(11, steps=60))
    write_run(tmp_path / "short", *samples(12, steps=30, shift=40.0))
    request = AverageRequest((tmp_path / "long", tmp_path / "short"), "shielding", skip=0.0, bins=2)
    own = make(request)[0].distributions["H like atom 1"]
    np.testing.assert_allclose(own.density * np.diff(own.edges), [2 / 3, 1 / 3], atol=0.03)


def test_means_over_beads_have_no_distribution(tmp_path):
    tensors, positions = samples(1, steps=20)
    write_run(tmp_path, tensors, positions, also=INPUT.replace("> extras <", "> extras_component_raw(0) <"))
    with open(tmp_path / "own.nmr", "w") as file:
        for step, own in enumerate(tensors):
            file.write(f"#EXTRAS_COMPONENT_RAW(shielding)# Step:  {step:>10}\n")
            file.writelines(" ".join(f"{number:.8e}" for number in bead.ravel()) + "\n" for bead in own)
    outcome, _ = make(AverageRequest((tmp_path,), "shielding", skip=0.0))
    assert outcome.rows and not outcome.distributions and any("no distributions" in note for note in outcome.notes)


def test_a_number_that_is_none_at_one_step_is_refused(tmp_path):
    tensors, positions = samples(6, steps=10)
    tensors[5, 0, 1] = np.nan
    write_run(tmp_path / "once", tensors, positions)
    with pytest.raises(BeadwiseError, match="of H atom 1 that is no finite number at step 5"):
        make(AverageRequest((tmp_path / "once",), "shielding", skip=0.0))
    tensors[:] = np.nan
    write_run(tmp_path / "always", tensors, positions)
    with pytest.raises(BeadwiseError, match="the model knows nothing of any atom"):
        make(AverageRequest((tmp_path / "always",), "shielding", skip=0.0))


@pytest.mark.parametrize(
    ("name", "count", "rows"),
    [
        ("orbital_gap", 1, ["orbital_gap"]),
        ("orbital_energies", 3, ["orbital_energies, level 0", "orbital_energies, level 2"]),
        ("density_of_states", 4, ["density_of_states, value 0", "density_of_states, value 3"]),
        ("electronic_entropy", 1, ["electronic_entropy"]),
        ("electronic_heat_capacity", 1, ["electronic_heat_capacity"]),
        ("electronic_free_energy", 1, ["electronic_free_energy"]),
        ("fermi_level", 1, ["fermi_level"]),
        ("density_at_fermi_level", 1, ["density_at_fermi_level"]),
    ],
)
def test_quantities_of_electrons(tmp_path, name, count, rows):
    numbers = np.random.default_rng(0).normal(size=(12, 2, count))
    write_run(tmp_path, numbers, samples(0, steps=12)[1], also=INPUT.replace("'shielding'", f"'{name}'"))
    for bead in range(2):
        file = tmp_path / f"own.nmr_{bead}"
        file.write_text(file.read_text().replace("(shielding)", f"({name})"))
    found = {row.name: row for row in make(AverageRequest((tmp_path,), name, skip=0.0))[0].rows}
    assert len(found) == count and set(rows) <= set(found)
    means = from_atomic(name, numbers.mean(axis=(0, 1)))
    np.testing.assert_allclose([row.mean for row in found.values()], means, rtol=1e-6)


def test_killed_and_continued_is_the_identical_table(tmp_path):
    """Records beyond the RESTART are written again, perhaps with other numbers, and the later ones count."""
    tensors, positions = samples(4)
    write_run(tmp_path / "whole", tensors, positions)
    whole = LiveAverages(["shielding"], RunInput.read(tmp_path / "whole" / "input.xml"))
    whole.read()
    broken = tmp_path / "broken"
    write_run(broken, tensors[:31], positions[:31])
    write_run(broken, 7 + tensors[31:40], positions[31:40], first=31)
    with open(broken / "own.nmr_1", "a") as file:
        file.write("#EXTRAS(shielding)# Step:          40  Bead:       1\n 1.0 2.0")
    restart = RunInput.read(broken / "input.xml")
    restart.root.insert(0, restart.root.makeelement("step", {}))
    restart.root[0].text = "30"
    continued = LiveAverages(["shielding"], restart)
    write_run(broken, tensors[31:], positions[31:], first=31)
    continued.read()
    for live in (whole, continued):
        assert live.draw()
    tables = [(tmp_path / name / "own.average.shielding.csv").read_text() for name in ("whole", "broken")]
    assert tables[0].splitlines()[1:] == tables[1].splitlines()[1:] and len(tables[0].splitlines()) > 4


def test_rotation_onto():
    turn = Rotation.from_rotvec([0.3, 2.0, -1.0]).as_matrix()
    found = rotation_onto(WATER, WATER @ turn.T + 3.0, np.array([16.0, 1.0, 1.0]))
    np.testing.assert_allclose(found @ turn, np.eye(3), atol=1e-10)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"of": "energy"}, "averages are made of; allowed are"),
        ({"of": "hamiltonian"}, "averages are made of; allowed are"),
        ({"of": "dipole"}, "writes no dipole of all beads; add <trajectory"),
        ({"of": "shielding", "masks": {"a": (9,)}}, "has atom 9; allowed are atoms 0 to 2"),
        ({"of": "shielding", "masks": {"a": (2, 1), "b": (1, 2)}}, "groups 'a' and 'b' have the same atoms"),
        ({"of": "shielding", "references": {"C": 1.0}}, "a reference of C"),
        ({"of": "shielding", "skip": 1.0}, "no sample of shielding after what is left out"),
    ],
)
def test_refusals(tmp_path, request_, said):
    write_run(tmp_path, *samples(5, steps=6))
    with pytest.raises(BeadwiseError, match=said):
        make(AverageRequest((tmp_path,), **request_))


def test_isotopes_are_not_averaged_together(tmp_path):
    """Path integrals depend on masses; what other isotopes have is taken away, and not mixed in."""
    heavy = INPUT.replace("</file>", "</file><masses mode='manual' units='dalton'> [16, 2.014, 2.014] </masses>")
    write_run(tmp_path / "light", *samples(5))
    write_run(tmp_path / "heavy", *samples(6), also=heavy)
    runs = tmp_path / "light", tmp_path / "heavy"
    with pytest.raises(BeadwiseError, match="path integrals that are averaged together need the same isotopes"):
        make(AverageRequest(runs, "shielding", skip=0.0))
    outcome, _ = make(AverageRequest(runs[:1], "shielding", skip=0.0, minus=runs[1:]))
    assert any(row.name.startswith("difference of H") for row in outcome.rows)


@pytest.mark.parametrize(("mode", "said"), [("sc", "Suzuki-Chin"), ("nvt-cc", "a constrained centroid")])
def test_samples_of_other_ensembles_are_refused(tmp_path, mode, said):
    write_run(tmp_path, *samples(4, steps=6), also=INPUT.replace("mode='nvt'", f"mode='{mode}'"))
    with pytest.raises(BeadwiseError, match=said):
        make(AverageRequest((tmp_path,), "shielding"))


def test_constant_energy_is_warned_of(tmp_path):
    write_run(tmp_path, *samples(4, steps=6), also=INPUT.replace("mode='nvt'", "mode='nve'"))
    assert any("keeps its energy" in warning for warning in make(AverageRequest((tmp_path,), "shielding"))[0].warnings)


@pytest.mark.parametrize(("values", "said"), [(["H=nan"], "is no reference"), (["H=1", "H=2"], "second reference")])
def test_references_that_are_none(values, said):
    with pytest.raises(click.BadParameter, match=said):
        parse_references(None, None, values)


def test_masks_that_are_none():
    for text in ("a=1-2-3", "a=3-1,5"):
        with pytest.raises(BeadwiseError, match="allowed is NAME=0,3,5-8"):
            parse_mask(text)
    with pytest.raises(BeadwiseError, match="two groups are called 'a'"):
        parse_masks(["a=1", "a=2"])
    with pytest.raises(BeadwiseError, match="allowed is NAME=0,3,5-8"):
        parse_mask("3-x")
    assert parse_mask("methyl=5-7,0") == ("methyl", (5, 6, 7, 0))
