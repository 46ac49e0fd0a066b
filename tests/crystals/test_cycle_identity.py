"""Cycles are of one crystal and one potential: inputs of all sections are prepared so, and others are refused."""

import ase.io
import pytest
from beadwise.analysis.crystals.cycle_runs import make_harmonic, planned_runs
from beadwise.analysis.crystals.cycle_settings import read_cycle
from beadwise.driver.commands.crystals.free_energy import free_energy
from beadwise.driver.commands.group import OneLineErrors
from beadwise.driver.launch.cycles.one_run import _last_words
from beadwise.inputs.quartic_crystal import structure
from beadwise.runs.input.run_input import RunInput
from click.testing import CliRunner
from test_whole_cycle import CYCLE, INPUT, MODEL

BEADS = INPUT.replace("nbeads='1'", "nbeads='4'").replace("electronvolt} ]", "electronvolt}, kinetic_cv ]")
POSITIONS = INPUT.replace("</output>", "<trajectory filename='pos' stride='10'> positions </trajectory></output>")
NPT = (
    INPUT.replace("mode='nvt' splitting='baoab'", "mode='npt'")
    .replace("electronvolt} ]", "electronvolt}, volume{angstrom3} ]")
    .replace("300 </temperature>", "300 </temperature> <pressure units='megapascal'> 100 </pressure>")
    .replace("</dynamics>", "<barostat mode='isotropic'> <tau units='femtosecond'> 100 </tau> </barostat></dynamics>")
)
SECTIONS = """[run.quantum]
input = "beads.xml"
ratios = 2
[run.pressure]
input = "npt.xml"
[run.reference]
input = "positions.xml"
name = "qtip4pf"
samples = 9
"""
NAMES = 'quantum = "a_mass.json"\npressure = "a_gibbs.json"\nreference = "a_promote.json"\n[run]'
WHOLE = CYCLE.replace("[run]", NAMES, 1) + SECTIONS
INPUTS = {"crystal": INPUT, "beads": BEADS, "npt": NPT, "positions": POSITIONS}
main = OneLineErrors(commands={"free-energy": free_energy})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("BEADWISE_TRUST", MODEL)
    ase.io.write(tmp_path / "a.xyz", structure(8), format="extxyz")
    for name, text in INPUTS.items():
        (tmp_path / f"{name}.xml").write_text(text)
    (tmp_path / "a.toml").write_text(WHOLE)
    make_harmonic(read_cycle(tmp_path / "a.toml"))
    return tmp_path


def test_inputs_of_all_sections(folder):
    cycle = read_cycle(folder / "a.toml")
    runs = {key: planned_runs(cycle, key) for key in cycle.steps}
    assert {key: len(own) for key, own in runs.items()} == {
        "anharmonic": 1, "quantum": 2, "pressure": 1, "reference": 1,
    }  # fmt: skip
    sources = {run.path: RunInput.read(run.path) for own in runs.values() for run in own}
    addresses = {str(source.sockets[0]) for source in sources.values()}
    assert len(addresses) == len(sources)  # several go on at a time, each with a socket of its own
    for key, own in runs.items():
        for run in own:
            system = sources[run.path].only_system()
            assert run.model == (f"switch:lambda=0.5,../../../a.harmonic.npz,{MODEL}" if key == "anharmonic" else MODEL)
            assert system.beads == (4 if key == "quantum" else 1)
            assert system.has_constant_volume == (key != "pressure")
            assert list(run.folder.glob("*.xyz")) == [run.folder / "a.minimum.xyz"]
            assert sources[run.path].root.find("output/checkpoint") is not None
    masses = [sources[run.path].only_system().atoms.masses[0] for run in runs["quantum"]]
    assert masses[0] != pytest.approx(masses[1], rel=0.1)
    seeds = [sources[run.path].root.findtext("prng/seed").strip() for run in runs["quantum"]]
    assert seeds == ["7", "8"]
    (folder / "b.toml").write_text(WHOLE.replace("ratios = 2", "ratios = 1\ncontrol_variate = true"))
    (run,) = planned_runs(read_cycle(folder / "b.toml"), "quantum")
    written = [text.strip() for text in RunInput.read(run.path).root.itertext() if "{ase}" in text]
    assert written == ["positions{ase}", "forces{ase}"]


def said(folder, *others):
    files = [str(folder / name) for name in ("a.toml", *others)]
    result = CliRunner().invoke(main, ["free-energy", "--run", *files])
    assert result.exit_code == 2 and result.stderr.count("\n") == 1, result.output
    return result.stderr


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("beads", "a.minimum.xyz", "wide.xyz", "but the harmonic crystal has"),
        ("beads", "a.minimum.xyz", "heavy.xyz", "times the mass that it has"),
        ("beads", "a.minimum.xyz", "more.xyz", "27 atoms; the harmonic crystal has 8"),
        ("beads", "verbosity='low'>", "><!-- beadwise model: qtip4pf -->", "names the potential qtip4pf, and"),
        ("beads", "<forces>", "<forces> <force forcefield='crystal'/>", "has 2 forces"),
        ("beads", "<force forcefield", "<force weight='0.5' forcefield", "has the weight 0.5"),
        ("npt", "isotropic", "anisotropic", "has the barostat 'anisotropic'"),
        ("positions", "a.minimum.xyz", "wide.xyz", "but the harmonic crystal has"),
    ],
)
def test_inputs_of_another_crystal_or_potential_are_refused(folder, name, old, new, message):
    atoms = structure(8)
    atoms.set_cell(1.05 * atoms.cell[:])
    ase.io.write(folder / "wide.xyz", atoms, format="extxyz")
    ase.io.write(folder / "more.xyz", structure(27), format="extxyz")
    atoms = structure(8)
    atoms.set_masses([2.014] * 8)
    ase.io.write(folder / "heavy.xyz", atoms, format="extxyz", columns=["symbols", "positions", "masses"])
    assert old in INPUTS[name]
    (folder / f"{name}.xml").write_text(INPUTS[name].replace(old, new, 1))
    assert message in said(folder)


def test_harmonic_crystals_of_another_structure_are_refused(folder):
    (folder / "a.toml").write_text(WHOLE.replace("held = true", "held = false"))
    assert "is held from outside, and" in said(folder)
    (folder / "a.toml").write_text(WHOLE)
    (folder / "b.toml").write_text(WHOLE.replace("a.xyz", "b.xyz"))
    ase.io.write(folder / "b.xyz", structure(8), format="extxyz")
    assert "are of two crystals, and name one file for the key harmonic" in said(folder, "b.toml")
    atoms = structure(8)
    atoms.set_cell(1.05 * atoms.cell[:])
    ase.io.write(folder / "a.xyz", atoms, format="extxyz")
    assert "is not of" in said(folder)
    ase.io.write(folder / "a.xyz", structure(27), format="extxyz")
    assert "27 atoms; the harmonic crystal has 8; remove it" in said(folder)


def test_a_run_that_is_refused_ends_the_cycle_in_one_line(folder, monkeypatch):
    """What `beadwise run` says, though another one that goes on in the same folder writes into the log, too."""
    monkeypatch.setenv("BEADWISE_PROGRESS", "none")
    (folder / "a.toml").write_text(CYCLE)
    (run,) = planned_runs(read_cycle(folder / "a.toml"), "anharmonic")
    (run.folder / "run.log").write_text("Error: another run is going on\nstep 10/300\n")
    assert _last_words(run.folder / "run.log", 0) == "another run is going on"
    (run.folder / "run.log").unlink()
    (run.folder / "run.log").mkdir()
    assert "run.log': Is a directory" in said(folder)
    (run.folder / "run.log").rmdir()
    (run.folder / "a.minimum.xyz").unlink()
    result = CliRunner().invoke(main, ["free-energy", "--run", str(folder / "a.toml")])
    assert result.exit_code == 1 and result.stderr.count("\n") == 1, result.output
    assert "1 of 1 runs did not reach their last step" in result.stderr and "go on with `beadwise" in result.stderr
    assert "a.minimum.xyz" in result.stderr and not (folder / "a_lambda.json").exists()
