"""``beadwise spectrum dos``: densities of states from velocities that i-PI wrote."""

import re

import numpy as np
import pytest
from beadwise.driver.commands.group import main
from beadwise.runs.output.velocities import FRAMES_AT_ONCE, VelocityFile
from beadwise.spectra import SeriesError
from beadwise.spectra.units import SPEED_OF_LIGHT
from click.testing import CliRunner
from scipy.integrate import trapezoid

INPUT = """<simulation>
  <output prefix='run'> </output>
  <system>
    <initialize nbeads='{beads}'> <file mode='xyz'> start.xyz </file> </initialize>
    <ensemble> <temperature units='kelvin'> {temperature} </temperature> </ensemble>
    <motion mode='dynamics'> <dynamics mode='nve'> <timestep units='femtosecond'> 0.25 </timestep> </dynamics> </motion>
  </system>
</simulation>"""


def write(path, frames=4000, stride=4, quantity="v_centroid{atomic_unit}", labels="OHO", seed=1, steps=None):
    """Oxygens at 800 cm⁻¹ and hydrogens at 3000, a frame every fs."""
    turns = 2 * np.pi * SPEED_OF_LIGHT
    phases = np.random.default_rng(seed).uniform(0, 6, (len(labels), 3))
    with open(path, "w") as file:
        for now in range(frames):
            step = now * stride if steps is None else steps[now]
            file.write(f"{len(labels)}\n# CELL(abcABC): 10 10 10 90 90 90 Step: {step} Bead: 0 {quantity} cell{{}}\n")
            for label, phase in zip(labels, phases, strict=True):
                numbers = np.cos(turns * {"O": 800, "H": 3000}[label] * now + phase)
                file.write(f"{label} {numbers[0]:.8e} {numbers[1]:.8e} {numbers[2]:.8e}\n")


def write_input(folder, beads=1, temperature=300):
    folder.mkdir(exist_ok=True)
    (folder / "input.xml").write_text(INPUT.format(beads=beads, temperature=temperature))
    (folder / "start.xyz").write_text("3\n# CELL(abcABC): 10 10 10 90 90 90\nO 0 0 0\nH 0 0 1\nO 2 2 2\n")


def invoke(*arguments):
    result = CliRunner().invoke(main, ["spectrum", "dos", *map(str, arguments)])
    return result.exit_code, result.output


def columns(path):
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    names = [re.sub(r" \(.*\)$", "", name) for name in lines[0].split(",")]
    return dict(zip(names, np.array([line.split(",") for line in lines[1:]], dtype=float).T, strict=True))


@pytest.mark.parametrize("quantity", ["velocities{atomic_unit}", "v_centroid{angstrom/fs}", ""])
def test_each_species_has_its_band_and_three_modes_for_each_atom(tmp_path, quantity):
    write(tmp_path / "run.vel_0.xyz", quantity=quantity)
    status, output = invoke(tmp_path / "run.vel_0.xyz", "--timestep", 1, "--window", 500)
    assert status == 0, output
    assert "dynamics: dynamics not named\n" in output and " K" not in output
    table = columns(tmp_path / "run.vel.dos.csv")
    grid = table["wavenumber"]
    for name, place, modes in (("O", 800, 6), ("H", 3000, 3)):
        assert grid[np.argmax(table[name])] == pytest.approx(place, abs=2)
        assert trapezoid(table[name], grid) == pytest.approx(modes, rel=0.01)
    np.testing.assert_allclose(table["total"], table["O"] + table["H"], atol=1e-6)


def test_skip_leaves_out_the_beginning(tmp_path):
    write(tmp_path / "long.xyz", frames=2000)
    lines = (tmp_path / "long.xyz").read_text().splitlines(keepends=True)
    (tmp_path / "short.xyz").write_text("".join(lines[700 * 5 :]))
    tables = []
    for name, options in (("long", ["--skip", 0.7]), ("short", ["--skip", 0])):
        arguments = (tmp_path / f"{name}.xyz", "--timestep", 1, "--window", 200, *options, "--output", tmp_path / name)
        assert invoke(*arguments)[0] == 0
        tables.append((tmp_path / f"{name}.csv").read_text())
    assert tables[0] == tables[1]
    status, output = invoke(tmp_path / "long.xyz", "--timestep", 1, "--skip", 3)
    assert status == 2 and "no velocities after 3 ps" in output


def test_conditions_of_the_input(tmp_path):
    write_input(tmp_path / "a", beads=3)
    write(tmp_path / "a" / "run.vc.xyz")
    status, output = invoke(tmp_path / "a" / "run.vc.xyz", "--window", 500)
    assert status == 0, output
    assert "dynamics: RPMD, 3 beads\n" in output and "estimator: velocities of the centroids" in output
    assert "a sample every 1 fs" in output


def test_beads_are_no_trajectories(tmp_path):
    for bead in range(2):
        write(tmp_path / f"run.vel_{bead}.xyz", frames=10, quantity="velocities{atomic_unit}")
    status, output = invoke(*tmp_path.glob("*.xyz"), "--timestep", 1)
    assert status == 2 and "are beads of one run; give the centroid's velocities (v_centroid)" in output
    write_input(tmp_path, beads=2)
    status, output = invoke(tmp_path / "run.vel_0.xyz")
    assert status == 2 and "is of one bead, and the run has 2; give the centroid's" in output


def test_trajectories_must_be_of_one_system(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, temperature in zip(folders, (300, 350), strict=True):
        write_input(folder, temperature=temperature)
        write(folder / "run.vel_0.xyz", frames=400, quantity="velocities{atomic_unit}", seed=temperature)
    files = [folder / "run.vel_0.xyz" for folder in folders]
    status, output = invoke(*files, "--window", 100)
    assert status == 2 and "is at 300 K and" in output and "at 350 K; they must be the same" in output
    assert invoke(*files, "--window", 100, "--temperature", 300)[0] == 0
    write_input(folders[1])
    write(files[1], frames=400, labels="OOO")
    status, output = invoke(*files, "--window", 100)
    assert status == 2 and "has the atoms O2 H1 and" in output and "O3; they must be the same" in output


@pytest.mark.parametrize(
    ("quantity", "name"), [("positions{angstrom}", "positions"), ("x_centroid{atomic_unit}", "x_centroid")]
)
def test_files_of_something_else(tmp_path, quantity, name):
    write(tmp_path / "run.xyz", frames=10, quantity=quantity)
    status, output = invoke(tmp_path / "run.xyz", "--timestep", 1)
    assert status == 2 and f"holds {name}; allowed are v_centroid and velocities" in output


@pytest.mark.parametrize("place", [100, FRAMES_AT_ONCE, 2 * FRAMES_AT_ONCE])
def test_a_gap_is_found_also_between_pieces(tmp_path, place):
    steps = 4 * np.arange(3 * FRAMES_AT_ONCE)
    steps[place:] += 4
    write(tmp_path / "run.xyz", frames=len(steps), steps=steps)
    with pytest.raises(SeriesError, match=r"are \[4, 8\] steps apart"):
        list(VelocityFile(tmp_path / "run.xyz").pieces())


@pytest.mark.parametrize("removed", [1, 5, 20, 60, 150])
def test_last_frame_that_is_not_whole_is_left_out(tmp_path, removed):
    write(tmp_path / "run.xyz", frames=5)
    text = (tmp_path / "run.xyz").read_text()
    (tmp_path / "run.xyz").write_text(text[:-removed])
    ((labels, velocities),) = VelocityFile(tmp_path / "run.xyz").pieces()
    assert labels.tolist() == list("OHO") and velocities.shape == (4, 3, 3)


def test_line_that_is_no_atom(tmp_path):
    write(tmp_path / "run.xyz", frames=5)
    text = (tmp_path / "run.xyz").read_text()
    for line in ("O 1.0 2.0", "O 1.0 2.0 x", ""):
        lines = text.splitlines()
        lines[7] = line
        (tmp_path / "run.xyz").write_text("\n".join(lines) + "\n")
        with pytest.raises(SeriesError, match="a line that is no atom"):
            list(VelocityFile(tmp_path / "run.xyz").pieces())
