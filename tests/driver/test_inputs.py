"""What is read from i-PI's inputs, and that the shipped ones run."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from beadwise.driver.doors import shim
from beadwise.driver.launch.energy_plot import plot_energies
from beadwise.driver.launch.progress import Rate, Tail, describe, duration
from beadwise.driver.launch.shipped_inputs import (
    EXAMPLES,
    copy_shipped_input,
    example_for,
    example_of,
    is_shipped_input,
    shipped_inputs,
)
from beadwise.model import StructureError
from beadwise.runs.input.elements import InputError
from beadwise.runs.input.force_fields import ForceSocket
from beadwise.runs.input.run_input import RunInput, species_of_run
from beadwise.runs.output.properties import read_property_table
from beadwise.runs.units import BOHR_PER_ANGSTROM
from ipi.utils.io import read_file
from test_run import Folder

INPUTS = Path(str(files("beadwise.inputs")))
NAMES = [
    "classical_nvt",
    "driven_nve",
    "driven_nvt",
    "ethanol_pimd",
    "ethene_classical",
    "ethene_pimd",
    "in_process",
    "pa_cmd",
    "piglet",
    "pimd_npt",
    "pimd_nvt",
    "slab",
    "static_field",
    "suzuki_chin",
    "trpmd",
    "water",
    "water_committee",
]
LEARNING = ["water_learn_300", "water_learn_400"]  # what beadwise learn explores
MULTIPLE_TIME_STEPS = ["mts_nvt", "mts_pimd", "mts_short_range", "mts_trpmd"]  # run in their own tests
BIASED = [  # likewise
    "committee_wall",
    "proton_restraint",
    "proton_sharing",
    "torsion_metadynamics",
    "torsion_opes",
    "torsion_umbrella",
]
ALWAYS = ("energy", "forces", "virial")


def write(path: Path, text: str, root: str = "simulation") -> Path:
    path.write_text(f"<{root}>{text}</{root}>")
    return path


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def test_all_shipped_inputs_are_known():
    assert shipped_inputs() == sorted(NAMES + MULTIPLE_TIME_STEPS + BIASED + LEARNING)


@pytest.fixture(scope="module")
def shipped_runs(tmp_path_factory, drawn):
    """All shipped inputs for two steps, side by side: most of the time goes into starting up."""
    runs = {}
    for name in NAMES:
        folder = Folder(tmp_path_factory.mktemp(name))
        copy = copy_shipped_input(name, folder.path)
        text = re.sub("<total_steps>[^<]*", "<total_steps> 2 ", copy.read_text())
        copy.write_text(re.sub(r"stride='\d+'", "stride='1'", text))
        folder.path = copy.parent
        sockets = RunInput.read(copy).sockets
        if sockets:
            folder.socket = sockets[0].path
        model = example_of(name).model if name in EXAMPLES else "springs:springs"  # which knows water alone
        runs[name] = folder, folder.start(copy.name, "--no-report", model=model if sockets else None)
    yield runs
    for folder, _ in runs.values():
        folder.kill_all()


@pytest.mark.parametrize("name", NAMES)
def test_shipped_input_runs(shipped_runs, name):
    folder, process = shipped_runs[name]
    _, errors = process.communicate(timeout=300)
    assert (process.returncode, errors) == (0, "")
    folder.assert_clean()
    columns = read_property_table(folder.path / f"{name}.out").by_name
    assert columns["step"].tolist() == [0, 1, 2]
    assert all(np.isfinite(values).all() for values in columns.values())
    assert (folder.path / f"{name}.energies.png").exists()
    if name == "in_process" or "polarizability" in RunInput.read(folder.path / f"{name}.xml").want:
        rows = np.loadtxt(next(folder.path.glob(f"{name}.moments_*0")))
        assert rows.shape == (3, 3 + 9)


def test_field_of_an_example_and_of_its_restart(tmp_path):
    copy = copy_shipped_input("static_field", tmp_path)
    assert example_for(RunInput.read(copy)).electric_field == (0.0, 0.0, 0.1)
    assert example_for(RunInput.read(copy.rename(copy.with_name("RESTART")))).electric_field == (0.0, 0.0, 0.1)
    assert example_of("water").electric_field is None
    assert RunInput.read(INPUTS / "driven_nvt.xml").want == (*ALWAYS, "dipole", "born_charges")


def test_molecules_of_the_shipped_slab(shipped_runs):
    folder, process = shipped_runs["slab"]
    process.wait(timeout=300)
    rows = np.loadtxt(folder.path / "slab.molecules_0")
    assert rows.shape == (3, (3 + 9 + 3) * 128)
    dipoles, polarizabilities, positions = np.split(rows, [3 * 128, 12 * 128], axis=1)
    polarizabilities = polarizabilities.reshape(3, 128, 3, 3)
    np.testing.assert_array_equal(polarizabilities, np.swapaxes(polarizabilities, 2, 3))
    isotropic = np.trace(polarizabilities, axis1=2, axis2=3) / 3 / BOHR_PER_ANGSTROM**3
    assert isotropic.min() > 1.0 and isotropic.max() < 2.0  # Å³
    sizes = np.linalg.norm(dipoles.reshape(3, 128, 3), axis=2) / BOHR_PER_ANGSTROM
    assert sizes.max() < 1.0  # e·Å
    heights = positions.reshape(3, 128, 3)[..., 2] / BOHR_PER_ANGSTROM
    assert heights.mean() == pytest.approx(45 / 2, abs=0.01)


def test_model_of_a_copy_and_its_restart(tmp_path):
    copy = copy_shipped_input("ethanol_pimd", tmp_path)
    assert example_for(RunInput.read(copy)).model == "ethanol"
    restart = copy.with_name("RESTART")
    copy.rename(restart)
    assert example_for(RunInput.read(restart)).model == "ethanol"
    assert example_for(RunInput.read(copy_shipped_input("slab", tmp_path))).model == "water"
    assert example_for(RunInput.read(copy_shipped_input("water", tmp_path))).model == "water"
    (tmp_path / "ethanol_pimd.xml").write_text("<simulation/>")
    assert example_for(RunInput.read(tmp_path / "ethanol_pimd.xml")).model == "water"


def test_shipped_structure():
    species = species_of_run(INPUTS / "water_64.xyz")
    assert species.dtype == np.int32
    assert species.tolist() == [8, 1, 1] * 64
    assert species_of_run(INPUTS / "water.xml", INPUTS).tolist() == species.tolist()


def test_shipped_slab():
    assert species_of_run(INPUTS / "slab.xml", INPUTS).tolist() == [8, 1, 1] * 128
    with open(INPUTS / "water_slab_128.xyz") as file:
        frame = read_file("xyz", file)
    cell = frame["cell"].h / BOHR_PER_ANGSTROM
    np.testing.assert_allclose(cell, np.diag([12.42, 12.42, 45.0]), atol=1e-9)
    molecules = frame["atoms"].q.reshape(-1, 3, 3) / BOHR_PER_ANGSTROM
    assert np.linalg.norm(molecules[:, 1:] - molecules[:, :1], axis=2).max() < 1.15  # Å: whole
    heights = np.average(molecules[..., 2], axis=1, weights=[15.999, 1.008, 1.008])
    assert heights.mean() == pytest.approx(45 / 2, abs=1e-3)
    assert heights.min() > 5 and heights.max() < 40


def test_copies_do_not_collide(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_shipped_input(Path("water")) and not is_shipped_input(Path("./folder/water"))
    copies = [copy_shipped_input("water", Path()) for _ in range(2)]
    assert [copy.parent.name for copy in copies] == ["beadwise-water", "beadwise-water-2"]
    assert len({RunInput.read(copy).sockets[0].address for copy in copies}) == 2
    Path("water").write_text("an input of the user's")
    assert not is_shipped_input(Path("water"))


def test_copy_that_is_evaluated_in_ipis_process(tmp_path):
    """It names the file that i-PI loads and the threads; and is otherwise the run with a socket."""
    copy = copy_shipped_input("in_process", tmp_path, threads=3)
    simulation = RunInput.read(copy)
    assert simulation.sockets == ()
    (force_field,) = simulation.others
    assert (force_field.tag, force_field.name) == ("ffdirect", "beadwise")
    assert Path(force_field.python_file).samefile(shim.__file__)
    assert re.findall(r"threads: (\d+)", copy.read_text()) == ["3"]
    assert example_for(RunInput.read(copy)).spectra == ("ir", "raman")

    def run(name):
        text = re.sub(r"<!--.*?-->|prefix='\w+'", "", (INPUTS / f"{name}.xml").read_text(), flags=re.DOTALL)
        return re.sub(r"<(ffdirect|ffsocket).*?</\1>", "", text, flags=re.DOTALL)

    assert run("in_process") == run("water")


def test_force_fields_of_other_doors(tmp_path):
    text = (
        "<ffcommittee><fflj name='a'/><ffdirect name='b'><pes>custom</pes></ffdirect></ffcommittee>"
        "<ffdirect name='c'><pes> harmonic </pes></ffdirect><ffmpi name='d'/><ffsocket name='e'/>"
    )
    others = RunInput.read(write(tmp_path / "in.xml", text)).others
    found = [(force_field.tag, force_field.name, force_field.python_file) for force_field in others]
    assert found == [("fflj", "a", None), ("ffdirect", "b", ""), ("ffdirect", "c", None), ("ffmpi", "d", None)]


def test_shipped_example_asks_for_dipole_and_polarizability():
    simulation = RunInput.read(INPUTS / "water.xml")
    assert simulation.want == (*ALWAYS, "dipole", "polarizability")
    assert (simulation.step, simulation.prefix, simulation.property_files) == (0, "water", ("water.out",))
    assert simulation.sockets == (
        ForceSocket("beadwise", "unix", "beadwise-water", 65535, want=simulation.want, owner="beadwise"),
    )


@pytest.mark.parametrize(
    ("output", "extra"),
    [
        ("<trajectory> positions </trajectory>", ()),
        ("<trajectory extra_type='polarizability'> extras_component_raw(0) </trajectory>", ("polarizability",)),
        ("<trajectory extra_type='dipole,metad.bias'> extras_bias </trajectory>", ()),
        (
            "<trajectory extra_type='dipole, molecular_position'> extras </trajectory>"
            "<trajectory extra_type='molecular_dipole'> extras </trajectory>",
            ("dipole", "molecular_dipole", "molecular_position"),
        ),
    ],
)
def test_properties_follow_from_the_input(tmp_path, output, extra):
    rest = "<ffsocket name='a'/><system><forces><force forcefield='a'/></forces></system>"
    assert RunInput.read(write(tmp_path / "in.xml", f"<output>{output}</output>{rest}")).want == (*ALWAYS, *extra)


def test_sockets(tmp_path):
    simulation = RunInput.read(
        write(
            tmp_path / "in.xml",
            "<ffcommittee><ffsocket name='a' mode='unix'><address> one </address></ffsocket></ffcommittee>"
            "<ffsocket name='b'><address>here</address><port> 31415 </port></ffsocket><step>4</step>",
        )
    )
    assert [str(address) for address in simulation.sockets] == ["/tmp/ipi_one", "here:31415"]
    assert (simulation.step, simulation.total_steps, simulation.prefix) == (4, 1000, "i-pi")


def test_species_of_restart_labels_and_templates(tmp_path):
    restart = "<system><beads natoms='3'><names shape='(3)'> [ O, D, H2 ] </names></beads></system>"
    write(tmp_path / "RESTART", restart)
    assert species_of_run(tmp_path / "RESTART").tolist() == [8, 1, 1]
    chk = "<system><initialize nbeads='2'><file mode='chk'> RESTART </file></initialize></system>"
    assert species_of_run(write(tmp_path / "in.xml", chk), tmp_path).tolist() == [8, 1, 1]
    labels = "<system><initialize nbeads='2'><labels mode='manual'> [O18, H] </labels></initialize></system>"
    assert species_of_run(write(tmp_path / "in.xml", labels)).tolist() == [8, 1]
    template = (
        "<system_template><labels>[ FILE, TEMP ]</labels><instance>[ RESTART, 300 ]</instance>"
        "<instance>[ RESTART, 400 ]</instance><template><system><initialize nbeads='2'>"
        "<file mode='chk'> FILE </file></initialize></system></template></system_template>"
    )
    assert species_of_run(write(tmp_path / "in.xml", template), tmp_path).tolist() == [8, 1, 1]
    with pytest.raises(InputError, match=r"the systems in .* have different atoms"):
        species_of_run(write(tmp_path / "in.xml", restart + restart.replace("D,", "O,")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<system><initialize nbeads='1'/></system>", "names no atoms; i-PI never sends them"),
        ("<system><beads><names>[ O, Xx ]</names></beads></system>", "atom 1 in .* is labelled 'Xx'; allowed are"),
        ("<prng/>", "holds no <system>"),
    ],
)
def test_species_that_cannot_be_known(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        species_of_run(write(tmp_path / "in.xml", text))


def test_missing_structure(tmp_path):
    text = "<system><initialize nbeads='1'><file mode='xyz'> none.xyz </file></initialize></system>"
    with pytest.raises(StructureError, match="does not exist"):
        species_of_run(write(tmp_path / "in.xml", text), tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<simulation>", "is not well-formed XML"),
        ("<system/>", "starts with <system>; an i-PI input starts with <simulation>"),
        ("<simulation><total_steps> many </total_steps></simulation>", "<total_steps> of <simulation> is 'many'"),
        (
            "<simulation><output><trajectory extra_type='dipole,BEC'> extras </trajectory></output></simulation>",
            "give BEC a <trajectory> of its own",
        ),
    ],
)
def test_inputs_that_are_none(tmp_path, text, message):
    (tmp_path / "in.xml").write_text(text)
    with pytest.raises(InputError, match=message):
        RunInput.read(tmp_path / "in.xml").checked()


def test_plot_of_an_output_that_still_grows(tmp_path):
    output = tmp_path / "a.out"
    assert not plot_energies(output, tmp_path / "a.png")
    output.write_text(
        "# column   1     --> step : The current simulation time step.\n"
        "# column   2     --> potential{electronvolt} : The physical system potential energy.\n"
        "# column   3     --> temperature(H){kelvin} : The current temperature.\n"
        "# cols.    4-6   --> dipole : The dipole.\n"
        "  0 -1.0 300 1 2 3\n  1 -1.5 310 4 5 6\n  2 -1"
    )
    table = read_property_table(output)
    assert [(one.name, one.argument, one.unit) for one in table.properties] == [
        ("step", "", ""),
        ("potential", "", "electronvolt"),
        ("temperature", "H", "kelvin"),
        ("dipole", "", ""),
    ]
    assert list(table.by_name) == ["step", "potential", "temperature(H)", "dipole"]
    assert table.by_name["potential"].tolist() == [-1.0, -1.5]
    assert table.by_name["dipole"].tolist() == [1, 4]
    assert plot_energies(output, tmp_path / "a.png")
    assert [path.name for path in tmp_path.glob("*a.png")] == ["a.png"]


def test_tail_follows_a_file_that_is_replaced(tmp_path):
    path = tmp_path / "log"
    path.write_text("old\n")
    tail = Tail(path)
    assert tail.new_lines() == []
    path.rename(tmp_path / "backup")
    assert tail.new_lines() == []
    with open(path, "w") as file:
        file.write("one\ntw")
        file.flush()
        assert tail.new_lines() == ["one"]
        file.write("o\n")
    assert tail.new_lines() == ["two"]


def test_rate_forgets_the_start():
    rate = Rate()
    assert rate.update(0, 0.0) == 0.0
    assert rate.update(10, 1.0) == 10.0
    for second in range(2, 100):
        latest = rate.update(10 + 20 * second, float(second))
    assert latest == pytest.approx(20.0)
    assert describe(50, 100, 10.0) == "step 50/100  10 steps/s  5 s left"
    assert describe(0, 100, 0.0) == "step 0/100"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(7.6, "8 s"), (125, "2 min 05 s"), (12000, "3 h 20 min"), (187200, "2 d 4 h")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text
