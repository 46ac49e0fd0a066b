"""An i-PI input is read by one reader, and each XML file is parsed once, whatever is asked of a run."""

import os
import re
from collections import Counter
from xml.etree import ElementTree

import numpy as np
import pytest
from beadwise.driver.launch.plan import Plan
from beadwise.runs.input import elements
from beadwise.runs.input.elements import InputError, parse, words
from beadwise.runs.input.run_input import RunInput
from beadwise.runs.source import RunsOfFiles, find_run
from beadwise.runs.units import BOHR_PER_ANGSTROM
from committee_runs import MEMBERS, POSITIONS, SYSTEM, TEMPERATURE, particle
from every_command import COMMANDS, promotion, run_command
from places import HELPERS
from rings import drawn_rings
from rings import write_run as write_rings
from test_mass_command import write_input as write_trap
from test_profile_command import CENTRES, RESTRAINT, restrained
from test_profile_command import write_run as write_biased
from test_reweight_biased import VARIABLES, biased_particle
from test_run import Folder as IpiFolder
from test_velocity_spectra import write as write_velocities
from test_velocity_spectra import write_input as write_velocity_input


@pytest.fixture
def parsed(monkeypatch):
    """How often each file was parsed; whole inputs that were parsed as text count under their beginning."""
    counts = Counter()
    of_files, of_text, of_either = ElementTree.parse, ElementTree.fromstring, elements.read_xml

    def parse_file(source, *arguments):
        counts[os.path.realpath(source if isinstance(source, str | os.PathLike) else source.name)] += 1
        return of_files(source, *arguments)

    def parse_text(text, *arguments):
        if "<simulation" in str(text):
            counts[str(text)[:40]] += 1
        return of_text(text, *arguments)

    def read_xml(source, *arguments, **options):
        counts[os.path.realpath(source) if isinstance(source, os.PathLike) else source[:40]] += 1
        return of_either(source, *arguments, **options)

    monkeypatch.setattr(elements, "read_xml", read_xml)
    monkeypatch.setattr(ElementTree, "parse", parse_file)
    monkeypatch.setattr(ElementTree, "fromstring", parse_text)
    monkeypatch.setattr(ElementTree, "XML", parse_text)
    return counts


def assert_parsed_once(parsed, *sources):
    assert set(map(os.path.realpath, sources)) <= set(parsed)
    assert set(parsed.values()) == {1}, parsed


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_parses_the_input_once(tmp_path, parsed, command):
    sources, arguments = COMMANDS[command](tmp_path / "run")
    parsed.clear()
    result = run_command(*arguments)
    assert result.exit_code == 0, result.output
    assert_parsed_once(parsed, *sources)


@pytest.mark.parametrize("structures", [False, True])
def test_a_promotion_with_a_run_of_the_reference(tmp_path, parsed, structures):
    runs = [promotion(tmp_path / "model")[0][0].parent, tmp_path / "reference"]
    write_rings(runs[1], drawn_rings(40, 2, 4, 24.0, np.random.default_rng(3)), 24.0)
    options = ["--structures", tmp_path / "s.xyz"] if structures else ["--reference-run", runs[1]]
    models = ("--model", "harmonic:k=20", "--reference", "harmonic:k=24")
    result = run_command("promote", runs[0], *models, *options, "--workers", "1")
    assert result.exit_code == 0, result.output
    assert_parsed_once(parsed, *(run / "input.xml" for run in (runs[:1] if structures else runs)))


def test_inputs_of_other_masses_keep_their_comments(tmp_path, parsed):
    source = write_trap(tmp_path)
    source.write_text(source.read_text().replace("<system>", "<system> <!-- kept -->").replace("300", "300 <!-- K -->"))
    prepared = run_command("mass-integration", "--prepare", source, "--ratios", 4).output.split()
    assert_parsed_once(parsed, source)
    assert all((tmp_path / one).read_text().count("<!-- kept -->") == 1 for one in prepared)
    assert {RunInput.read(tmp_path / one).only_system().temperature for one in prepared} == {TEMPERATURE}


@pytest.mark.parametrize("options", [["--profile", "--range=-0.08,0.08"], ["--observable", "square"]])
def test_a_biased_average(tmp_path, parsed, options):
    folder = biased_particle(tmp_path / "run", 4000)
    result = run_command("reweight", folder.path, *options, "--skip", "0", "--output", tmp_path / "p")
    assert result.exit_code == 0, result.output
    assert_parsed_once(parsed, folder.path / "input.xml")


def test_distances(tmp_path, parsed):
    folder, places, steps = particle(tmp_path / "run", 400, outputs=MEMBERS + POSITIONS)
    positions = np.stack([np.full_like(places, 5.0), places + 5.0], axis=2)
    folder.write_positions(positions, "OH", steps)
    result = run_command("reweight", folder.path, "--distance", "O,H", "--range", "0.1,2")
    assert result.exit_code == 0, result.output
    assert_parsed_once(parsed, folder.path / "input.xml")


def test_windows_of_a_folder_without_a_restart(tmp_path, parsed):
    """Whatever else lies there is looked at once, too."""
    pytest.importorskip("pymbar")
    paths = []
    for number, centre in enumerate(CENTRES):
        columns = restrained(np.random.default_rng(number), centre)
        paths.append(write_biased(tmp_path / str(number), [RESTRAINT.format(centre)], [columns]))
        (paths[-1] / "other.xml").write_text("<other/>")
    result = run_command("profile", *paths, "--output", tmp_path / "p")
    assert result.exit_code == 0, result.output
    assert_parsed_once(parsed, *(path / name for path in paths for name in ("input.xml", "other.xml")))


def test_spectrum_of_many_files_of_one_run(tmp_path, parsed):
    """Also of a start from a checkpoint, whose labels and cell are read from another XML file."""
    write_velocity_input(tmp_path)
    checkpoint = (
        "<simulation><system> <beads natoms='3' nbeads='1'> <names shape='(3)'> [ O, H, O ] </names> </beads> "
        "<cell shape='(3, 3)'> [ 20, 0, 0, 0, 20, 0, 0, 0, 20 ] </cell> </system></simulation>"
    )
    (tmp_path / "old.chk").write_text(checkpoint)
    text = (tmp_path / "input.xml").read_text()
    (tmp_path / "input.xml").write_text(text.replace("<file mode='xyz'> start.xyz", "<file mode='chk'> old.chk"))
    (tmp_path / "another.xml").write_text(text.replace("prefix='run'", "prefix='another'"))
    for number in range(3):
        write_velocities(tmp_path / f"run.vc{number}.xyz", frames=600, seed=number)
    files = sorted(tmp_path.glob("run.vc*"))
    for more in ([], ["--input", tmp_path / "input.xml"]):
        parsed.clear()
        result = run_command("spectrum", "dos", *files, "--window", 100, "--output", tmp_path / "dos", *more)
        assert result.exit_code == 0, result.output
        found = [tmp_path / "input.xml", tmp_path / "old.chk"] + ([] if more else [tmp_path / "another.xml"])
        # each file is a trajectory of its own run here, all of which have one input
        assert_parsed_once(parsed, *found)


@pytest.fixture
def ipi(tmp_path, monkeypatch):
    folder = IpiFolder(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(HELPERS))
    monkeypatch.setenv("BEADWISE_TEST", folder.mark)
    monkeypatch.delenv("BEADWISE_PICTURES")  # the report reads the input, too
    yield folder
    folder.kill_all()


@pytest.mark.parametrize("spectra", ["none", "ir,raman"])
def test_a_run_parses_its_input_once(ipi, parsed, spectra):
    """With a real i-PI, also when it goes on from RESTART, which i-PI writes anew in the meantime."""
    ipi.write_input(steps=8)
    options = ("--model", "springs:springs", "--spectrum", spectra)
    result = run_command("run", "input.xml", *options)
    assert result.exit_code == 0, result.output
    assert "finished at step 8" in result.output
    # at the end the step of the RESTART is read
    assert_parsed_once(parsed, "input.xml", "RESTART")
    restart = ipi.path / "RESTART"
    restart.write_text(re.sub(r"<total_steps>.*?</total_steps>", "<total_steps>12</total_steps>", restart.read_text()))
    parsed.clear()
    result = run_command("run", "RESTART", *options)
    assert result.exit_code == 0, result.output
    # that it began with, the one that it left, and the input that its report shows
    assert parsed == {os.path.realpath("RESTART"): 2, os.path.realpath("input.xml"): 1}


TEMPLATES = """<simulation> {}
<system_template> <template> {} </template> <labels> [ T ] </labels> {} </system_template>
</simulation>"""


def test_systems_and_templates(tmp_path):
    system = SYSTEM.format(beads=4, bias="", labels="O, H")
    template = system.replace("> 300 <", "> T <").replace("<system>", "<system prefix='T'>")
    instances = "<instance> [ 310 ] </instance> <instance> [ 320 ] </instance>"
    (tmp_path / "in.xml").write_text(TEMPLATES.format(system, template, instances))
    run = RunInput.read(tmp_path / "in.xml")
    assert [one.temperature for one in run.systems] == [TEMPERATURE, 310.0, 320.0]
    assert [one.number for one in run.systems] == [0, 1, 2]
    assert (run.labels, run.numbers.tolist()) == (("O", "H"), [8, 1])
    assert {one.beads for one in run.systems} == {4} and {one.timestep for one in run.systems} == {0.5}
    with pytest.raises(InputError, match=r"in\.xml' has 3 systems; a run of one is needed"):
        run.only_system()


def test_outputs_have_the_prefix_of_their_system(tmp_path):
    system = SYSTEM.format(beads=2, bias="", labels="O, H")
    properties = "<properties> [ step, potential{electronvolt} ] </properties>"
    output = f"<output prefix='run'> {MEMBERS} {POSITIONS} {VARIABLES} {properties} </output>"
    other = system.replace("<system>", "<system prefix='b'>")
    (tmp_path / "in.xml").write_text(f"<simulation> {output} {system} {other} </simulation>")
    run = RunInput.read(tmp_path / "in.xml").checked()
    first, second = run.systems
    assert (run.property_files, [one.name for one in second.properties_outputs]) == (("run.out",), ["b_run.out"])
    assert first.properties_outputs[0].properties == ("step", "potential")
    assert run.extras_outputs == first.extras_outputs
    assert [one.name for one in first.extras_outputs] == ["run.members"]
    assert [one.name for one in second.extras_outputs] == ["b_run.members"]
    assert [one.extras for one in second.bias_outputs] == [("x", "wall.bias")]
    assert [(one.keyword, one.form, one.written.name) for one in second.trajectory_outputs] == [
        ("positions", "xyz", "b_run.pos")
    ]


COMMENTED = """<!-- in front --><simulation><!-- one -->
  <total_steps> 1<!-- ten -->0 </total_steps>
  <ffsocket name='a'><!-- nothing --></ffsocket> <!-- between -->
  <system> <initialize nbeads='4'><labels mode='manual'> [ O,<!-- water --> H ] </labels><!-- end --></initialize>
    <ensemble> <temperature units='kelvin'> <!-- 300 --> 310 <!-- K --> </temperature> </ensemble> </system>
</simulation>"""


def test_comments_change_nothing(tmp_path):
    (tmp_path / "with.xml").write_text(COMMENTED)
    (tmp_path / "without.xml").write_text(re.sub("<!--.*?-->", "", COMMENTED))
    run = RunInput.read(tmp_path / "with.xml")
    assert (run.total_steps, run.labels, run.systems[0].temperature) == (10, ("O", "H"), 310.0)
    texts = [ElementTree.tostring(parse(tmp_path / name), encoding="unicode") for name in ("with.xml", "without.xml")]
    assert texts[0] == texts[1]
    assert ElementTree.tostring(run.document, encoding="unicode").count("<!--") == 9 - 1  # without the one in front


def test_what_there_is_not(tmp_path):
    (tmp_path / "in.xml").write_text("<simulation><system/></simulation>")
    run = RunInput.read(tmp_path / "in.xml")
    assert (run.step, run.total_steps, run.prefix, run.sockets, run.others) == (0, 1000, "i-pi", (), ())
    system = run.only_system()
    assert (system.timestep, system.name_of_dynamics, system.biases, system.beads) == (None, "", (), 1)
    with pytest.raises(InputError, match=r"holds no <dynamics>; a clock needs one"):
        system.timestep_for("a clock needs one")
    with pytest.raises(InputError, match="holds no number in <temperature>"):
        _ = system.ensemble
    with pytest.raises(InputError, match="names no atoms"):
        _ = run.labels
    with pytest.raises(InputError, match="gives no cell"):
        _ = system.cell
    assert RunsOfFiles().run_of(tmp_path / "run.out") is None
    assert words(None) == []


def test_files_are_found_where_ipi_runs(tmp_path, monkeypatch):
    """Names in an input are relative to the folder where i-PI runs, and not to its own."""
    write_velocity_input(tmp_path / "inputs")
    (tmp_path / "inputs" / "start.xyz").rename(tmp_path / "start.xyz")
    monkeypatch.chdir(tmp_path)
    run = RunInput.read(tmp_path / "inputs" / "input.xml", tmp_path)
    assert run.labels == ("O", "H", "O")
    np.testing.assert_allclose(run.only_system().cell, 10 * np.eye(3) / BOHR_PER_ANGSTROM, rtol=1e-12, atol=1e-12)
    assert str(Plan(run, {}).source) == "inputs/input.xml"
    assert find_run(tmp_path / "inputs").folder == tmp_path / "inputs"


def test_the_system_that_wrote_a_file(tmp_path):
    """Systems have prefixes, by which their files are told apart; conditions of another one are never taken."""
    start = "3\n# CELL(abcABC): 20 20 20 90 90 90\nO 0 0 0\nH 1 0 0\nH 0 1 0\n"
    (tmp_path / "start.xyz").write_text(start)
    system = (
        "<system prefix='{}'><initialize nbeads='1'><file mode='xyz'> start.xyz </file></initialize><ensemble>"
        "<temperature units='kelvin'> {} </temperature></ensemble><motion mode='dynamics'><dynamics mode='nve'>"
        "<timestep units='femtosecond'> 0.5 </timestep></dynamics></motion></system>"
    )
    text = "<simulation><output prefix='run'/>{}</simulation>".format
    both = [system.format("cold", 200), system.format("hot", 400)]
    (tmp_path / "input.xml").write_text(text("".join(both)))
    run = RunsOfFiles().run_of(tmp_path / "hot_run.dipole_0")
    assert run.system_of_file("hot_run.dipole_0").temperature == 400
    assert run.system_of_file("cold_run.dipole_0").temperature == 200
    with pytest.raises(InputError, match=r"is of none of the 2 systems of .* begin with cold_run\., hot_run\."):
        run.system_of_file("run.dipole_0")
    (tmp_path / "input.xml").write_text(text(both[0]))
    assert RunInput.read(tmp_path / "input.xml").system_of_file("renamed").temperature == 200
