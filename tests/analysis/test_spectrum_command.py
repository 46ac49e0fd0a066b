"""``beadwise spectrum``: from i-PI's files, extended xyz and arrays to tables and pictures."""

import re
import subprocess
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from beadwise.analysis.spectrum.kinds import FROM_SERIES, KINDS
from beadwise.driver.commands.group import main
from beadwise.runs.output.series_files import find_sources
from beadwise.runs.units import to_atomic
from beadwise.spectra import SeriesError, Window
from beadwise.spectra.recording import RECORDERS
from click.testing import CliRunner

SAMPLES = 1200
GIVEN = ["--timestep", "1", "--temperature", "300", "--volume", "1000", "--window", "100"]
BEADS = [f"run.moments_{bead}" for bead in range(3)]
INPUT = """<simulation>
  <output prefix='run'> </output>
  <system>
    <initialize nbeads='3'> <file mode='ase' units='angstrom'> start.extxyz </file> </initialize>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
    <motion mode='dynamics'> <dynamics mode='nve'> <timestep units='femtosecond'> 0.25 </timestep> </dynamics> </motion>
  </system>
</simulation>"""


def series(beads=1, seed=0):
    """Smooth dipoles in e·Å and polarizabilities in Å³, shapes (samples, beads, 3) and (samples, beads, 3, 3)."""
    noise = np.random.default_rng(seed).normal(size=(SAMPLES + 8, beads, 12))
    smooth = sum(noise[k : SAMPLES + k] for k in range(8))
    tensor = smooth[..., 3:].reshape(SAMPLES, beads, 3, 3)
    return smooth[..., :3], 30 * np.eye(3) + tensor + np.swapaxes(tensor, 2, 3)


def write_beads(folder, beads=3, seed=0, stride=4):
    dipole, polarizability = series(beads, seed)
    rows = np.concatenate(
        [to_atomic("dipole", dipole), to_atomic("polarizability", polarizability).reshape(SAMPLES, beads, 9)], axis=2
    )
    for bead in range(beads):
        with open(folder / f"run.moments_{bead}", "w") as file:
            for sample, row in enumerate(rows[:, bead]):
                file.write(f" #EXTRAS(dipole,polarizability)# Step:  {sample * stride:10d} \n")
                file.write(" ".join(f"{number:22.15e}" for number in row) + "\n")
    return dipole.mean(1), polarizability.mean(1)


def invoke(*arguments):
    result = CliRunner().invoke(main, ["spectrum", *map(str, arguments)])
    return result.exit_code, result.output


def columns(path):
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    names = [re.sub(r" \(.*\)$", "", name) for name in lines[0].split(",")]
    return dict(zip(names, np.array([line.split(",") for line in lines[1:]], dtype=float).T, strict=True))


@pytest.fixture
def run(tmp_path):
    """A finished run of three beads with its input beside it."""
    (tmp_path / "input.xml").write_text(INPUT)
    ase.io.write(tmp_path / "start.extxyz", Atoms("OH2", np.eye(3), cell=np.eye(3) * 10, pbc=True))
    return tmp_path, write_beads(tmp_path)


def test_all_formats_give_the_same(run):
    folder, (dipole, polarizability) = run
    beads = sorted(folder.glob("run.moments_*"))
    np.savez(folder / "arrays.npz", dipole=dipole, polarizability=polarizability)
    frames = []
    for moment, tensor in zip(dipole, polarizability, strict=True):
        frame = Atoms("OH2", np.eye(3), cell=np.eye(3) * 10, pbc=True, info={"polarizability": tensor.ravel()})
        frame.calc = SinglePointCalculator(frame, dipole=moment)
        frames.append(frame)
    ase.io.write(folder / "frames.extxyz", frames)
    for kind in ("ir", "raman"):
        tables = []
        for name, files in (("beads", beads), ("arrays", ["arrays.npz"]), ("frames", ["frames.extxyz"])):
            paths = [folder / file for file in files]
            status, output = invoke(kind, *paths, *GIVEN, "--output", folder / f"{kind}.{name}")
            assert status == 0, output
            assert (folder / f"{kind}.{name}.png").read_bytes().startswith(b"\x89PNG")
            tables.append(columns(folder / f"{kind}.{name}.csv"))
        for name, values in tables[0].items():
            np.testing.assert_allclose(tables[1][name], values, rtol=1e-4)
            np.testing.assert_allclose(tables[2][name], values, rtol=1e-4)


def test_conditions_come_from_the_input_beside_the_files(run):
    folder, _ = run
    status, output = invoke("ir", *folder.glob("run.moments_*"), "--window", 100)
    assert status == 0, output
    assert "dynamics: RPMD, 3 beads, 300 K" in output and "mean over beads" in output
    assert "a sample every 1 fs" in output and (folder / "run.moments.ir.csv").exists()
    given = invoke("ir", *folder.glob("run.moments_*"), *GIVEN, "--output", folder / "given")
    assert given[0] == 0
    for name, values in columns(folder / "run.moments.ir.csv").items():
        np.testing.assert_allclose(columns(folder / "given.csv")[name], values, rtol=1e-5)


def test_trajectories_in_several_folders(run, tmp_path):
    files = []
    for number in range(9):
        folder = tmp_path / f"run_{number}"
        folder.mkdir()
        write_beads(folder, beads=2, seed=number)
        files += folder.glob("run.moments_*")
    status, output = invoke("ir", *files, *GIVEN, "--dynamics", "TRPMD", "--output", tmp_path / "all")
    assert status == 0 and "jackknife over 9 trajectories" in output and "TRPMD, 2 beads, 300 K" in output
    assert np.isfinite(columns(tmp_path / "all.csv")["n_alpha standard error"]).all()


def test_skip_leaves_out_the_beginning(run):
    folder, (dipole, _) = run
    np.savez(folder / "later.npz", dipole=dipole[200:])
    assert invoke("ir", *folder.glob("run.moments_*"), *GIVEN, "--skip", 0.2, "--output", folder / "a")[0] == 0
    assert invoke("ir", folder / "later.npz", *GIVEN, "--skip", 0, "--output", folder / "b")[0] == 0
    np.testing.assert_allclose(columns(folder / "a.csv")["n_alpha"], columns(folder / "b.csv")["n_alpha"], rtol=1e-4)


def test_dielectric_constant(run):
    folder, (dipole, _) = run
    status, output = invoke("dielectric", *folder.glob("run.moments_*"), "--optical-permittivity", 2, "--skip", 0)
    assert status == 0
    found = re.search(r"static dielectric constant ([\d.]+) ± ([\d.]+)", output)
    expected = 2 + np.var(dipole, axis=0).sum() * 14.39964548 * 4 * np.pi / (3 * 1000 * 8.617333e-5 * 300)
    assert float(found[1]) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("prepare", "arguments", "message"),
    [
        (None, ["ir", "run.moments_1", "run.moments_2"], "the files of all beads from 0 are needed"),
        (None, ["ir", "start.extxyz"], "neither dipole nor polarizability"),
        (None, ["ir", "notes"], "allowed are i-PI's extras, extended xyz"),
        (None, ["ir", "input.xml"], "made of dipole of every bead, which 'input.xml' does not write"),
        (None, ["ir", "run.moments_0"], "is of 1 bead, and the run has 3; a mean over beads needs all of them"),
        (None, ["sfg", *BEADS], "holds no molecular_dipole; it holds dipole, polarizability"),
        (None, ["ir", *BEADS, "--window-shape", "square"], "'square' is unknown; allowed are hann"),
        (None, ["ir", *BEADS, "--window", "5000"], "the window needs 5000 fs"),
        (None, ["ir", *BEADS, "--window", "500", "--resolution", "20"], "--resolution 20 exclude each other"),
        (None, ["ir", *BEADS, "--laser", "20000"], "--laser 20000 is for raman, not for ir"),
        (None, ["raman", *BEADS, "--near", "3"], "--near 3 is for sfg, not for raman"),
        (None, ["raman", *BEADS, "--optical-permittivity", "2"], "is for ir and dielectric, not for raman"),
        (None, ["dos", "run.moments_0"], "does not begin with a number of atoms"),
        ("no input", ["ir", "arrays.npz", "--temperature", "300"], "timestep and volume of"),
        ("short", ["ir", "arrays.npz", "--timestep", "1", "--temperature", "300", "--volume", "9"], "too few samples"),
    ],
)
def test_what_is_refused(run, monkeypatch, prepare, arguments, message):
    folder, (dipole, _) = run
    monkeypatch.chdir(folder)
    Path("notes").write_text("no series")
    np.savez("arrays.npz", dipole=dipole[:2] if prepare == "short" else dipole)
    if prepare == "no input":
        (folder / "input.xml").unlink()
    status, output = invoke(*arguments)
    assert status == 2 and message in output and output.count("\n") == 1, output


def test_files_of_beads_are_sorted(tmp_path):
    for number in (10, 2, 0, 1, 3, 4, 5, 6, 7, 8, 9):
        (tmp_path / f"a_{number:02d}").write_text(" #EXTRAS(dipole)# Step:          0 \n 1 2 3\n")
    (source,) = find_sources(list(tmp_path.glob("a_*")))
    assert [path.name for path in source.files] == [f"a_{number:02d}" for number in range(11)]
    with pytest.raises(SeriesError, match="does not exist"):
        find_sources([tmp_path / "b"])


def test_trajectories_must_have_the_same_dynamics_and_beads(run, tmp_path):
    (tmp_path / "other").mkdir()
    for beads, dynamics, message in (
        (2, "nve", "of 'RPMD' with 3 beads and of 'RPMD' with 2 beads"),
        (
            3,
            "nvt",
            "of 'RPMD' with 3 beads and of 'TRPMD with a thermostat on every atom, which broadens bands, λ = 1'",
        ),
    ):
        folder = tmp_path / "other"
        thermostat = "<thermostat mode='pile_l'> <tau units='femtosecond'> 10 </tau> </thermostat> </dynamics>"
        text = INPUT.replace("nbeads='3'", f"nbeads='{beads}'").replace("mode='nve'", f"mode='{dynamics}'")
        text = text.replace("start.extxyz", "../start.extxyz").replace("</dynamics>", thermostat)
        (folder / "input.xml").write_text(text)
        write_beads(folder, beads=beads)
        files = [*run[0].glob("run.moments_*"), *sorted(folder.glob("run.moments_*"))[:beads]]
        status, output = invoke("ir", *files, "--window", 100)
        assert status == 2 and message in output and "they must be the same" in output, output


def test_volume_at_constant_pressure(run):
    folder, _ = run
    (folder / "input.xml").write_text(INPUT.replace("mode='nve'", "mode='npt'"))
    files = [folder / name for name in BEADS]
    label = "dynamics: RPMD at constant pressure (volume of the input), 3 beads, 300 K"
    assert label in invoke("ir", *files, "--window", 100)[1]
    output = invoke("ir", *files, "--window", 100, "--volume", 900)[1]
    assert "dynamics: RPMD at constant pressure, 3 beads, 300 K" in output


def test_resolution_in_place_of_the_window(run):
    folder, _ = run
    files = [folder / name for name in BEADS]
    status, output = invoke("ir", *files, "--resolution", 200, "--window-shape", "blackman")
    assert status == 0 and "full width at half maximum 200.0 cm⁻¹" in output, output
    assert str(Window.of_width(200.0, "blackman")) in output


def test_laser(run):
    folder, _ = run
    files = [folder / name for name in BEADS]
    stokes = []
    for laser in ("", "9398"):
        options = ["--laser", laser] if laser else []
        assert invoke("raman", *files, "--window", 100, *options, "--output", folder / f"laser{laser}")[0] == 0
        table = columns(folder / f"laser{laser}.csv")
        grid = table["wavenumber"]
        stokes.append(next(values for name, values in table.items() if "tokes" in name and "error" not in name))
    ratio = ((1 - grid / 9398) / (1 - grid / (1e7 / 532))) ** 4
    np.testing.assert_allclose(stokes[1][10:], (stokes[0] * ratio)[10:], rtol=1e-4)


def test_one_kind_takes_the_place_of_another_with_a_word(run):
    folder, _ = run
    files = sorted(folder.glob("run.moments_*"))
    said = [invoke(kind, *files, "--window", 100, "--output", folder / "same") for kind in ("ir", "ir", "raman")]
    assert [found[0] for found in said] == [0, 0, 0]
    assert ["replaced" in found[1] for found in said] == [False, False, True]  # the same again is no other
    assert f"replaced: '{folder / 'same.csv'}', which began with '# Infrared absorption'" in said[2][1]


def test_distances_of_a_slab(tmp_path):
    (tmp_path / "input.xml").write_text(INPUT.replace("'3'", "'1'"))
    ase.io.write(tmp_path / "start.extxyz", Atoms("OH2", np.eye(3), cell=np.diag([10, 10, 30]), pbc=True))
    noise = np.random.default_rng(0).normal(size=(SAMPLES, 6, 15))
    noise[..., 12:] += np.linspace(-9, 9, 6)[:, None]
    arrays = {
        "molecular_dipole": noise[..., :3],
        "molecular_polarizability": noise[..., 3:12].reshape(SAMPLES, 6, 3, 3),
        "molecular_position": noise[..., 12:],
    }
    np.savez(tmp_path / "run.slab.npz", **arrays)
    tables = []
    for number, options in enumerate(([], ["--inner", 1, "--outer", 4, "--near", 4], ["--outer", 9], ["--near", 30])):
        arguments = [tmp_path / "run.slab.npz", "--timestep", 1, "--window", 100, *options]
        status, output = invoke("sfg", *arguments, "--output", tmp_path / str(number))
        assert status == 0, output
        tables.append(columns(tmp_path / f"{number}.csv")["near_imaginary"][1:])
    np.testing.assert_array_equal(tables[0], tables[1])
    assert not np.allclose(tables[0], tables[2], rtol=0.01) and not np.allclose(tables[0], tables[3], rtol=0.01)
    status, output = invoke("sfg", tmp_path / "run.slab.npz", "--timestep", 1, "--inner", 5)
    assert status == 2 and "0 <= inner <= outer is needed" in output


def test_kinds_are_those_that_can_be_recorded():
    assert set(FROM_SERIES) < set(RECORDERS) and set(FROM_SERIES) < set(KINDS)


def test_command_line_starts_without_what_takes_time():
    code = (
        "import sys, beadwise.driver.commands.group; "
        "print([name for name in ('beadwise.spectra', 'ipi', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
