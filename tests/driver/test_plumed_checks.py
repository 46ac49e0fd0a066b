"""What is refused of a run with PLUMED before anything starts, and what is only told."""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

import pytest
from beadwise.driver.launch.plumed import ask as ask_plumed
from beadwise.driver.launch.plumed import checks as plumed_checks
from beadwise.driver.launch.plumed.ask import plumed_problem
from beadwise.driver.launch.plumed.checks import check_plumed, written_files
from beadwise.model import BeadwiseError
from beadwise.runs.input.run_input import RunInput
from beadwise.runs.plumed.input import Action
from plumed_here import needs_plumed

METAD = "metad: METAD ARG=x.x SIGMA=0.01 HEIGHT=1 PACE=20"
BIAS = f"x: POSITION ATOM=1 NOPBC\n{METAD}\nPRINT ARG=x.x FILE=COLVAR\nFLUSH STRIDE=1\n"
BEADS = "b: POSITION ATOM=1 NOPBC\n"
STRUCTURE = """2
# CELL(abcABC): 100 100 100 90 90 90 cell{angstrom} positions{angstrom}
H 0.5 0 0
H -0.5 0 0
"""
PLUMED = "<ffplumed name='plumed'><file mode='xyz'>start.xyz</file><plumed_extras>[ x.x ]</plumed_extras></ffplumed>"
OF_BEADS = (
    "<ffplumed name='beads'><file mode='xyz'>start.xyz</file><plumed_dat>beads.dat</plumed_dat>"
    "<plumed_extras>[ b.x ]</plumed_extras></ffplumed>"
)
CENTROID = "<force forcefield='plumed' nbeads='1'><interpolate_extras>[ x.x ]</interpolate_extras></force>"
ENSEMBLE = f"<ensemble><bias>{CENTROID}<force forcefield='beads'/></bias></ensemble>"
SMOTION = "<smotion mode='metad'><metad><metaff>[ plumed ]</metaff></metad></smotion>"
INPUT = f"""<simulation>
  <output><trajectory filename='v' extra_type='x.x,b.x'> extras_bias </trajectory></output>
  <ffdirect name='trap'/>
  {PLUMED}
  {OF_BEADS}
  <system>
    <initialize nbeads='4'><file mode='xyz'>start.xyz</file></initialize>
    <forces><force forcefield='trap'/></forces>
    {ENSEMBLE}
  </system>
  {SMOTION}
</simulation>
"""


@pytest.fixture
def check(tmp_path):
    """Check an input in which some text has been replaced, with PLUMED inputs; the lines that are shown."""

    def check(old: str = "", new: str = "", bias: str = BIAS, beads: str = BEADS) -> list[str]:
        assert old in INPUT
        (tmp_path / "input.xml").write_text(INPUT.replace(old, new) if old else INPUT)
        (tmp_path / "start.xyz").write_text(STRUCTURE)
        (tmp_path / "plumed.dat").write_text(bias)
        (tmp_path / "beads.dat").write_text(beads)
        return check_plumed(RunInput.read(tmp_path / "input.xml"))

    return check


@pytest.fixture
def without_plumed(monkeypatch):
    """Whatever PLUMED would say."""
    monkeypatch.setattr(plumed_checks, "check_with_plumed", lambda trials, folder: None)


@pytest.mark.usefixtures("without_plumed")
def test_nothing_to_tell(check):
    assert check() == []


@pytest.mark.usefixtures("without_plumed")
def test_remarks(check):
    [line] = check(bias=BIAS.replace("FLUSH STRIDE=1", ""))
    assert line.startswith("PLUMED keeps its latest hills in memory")
    restraint = BIAS.replace(METAD, "RESTRAINT ARG=x.x AT=0 KAPPA=1")
    [line] = check(SMOTION, "", bias=restraint)
    assert line.startswith("'COLVAR' of <ffplumed> 'plumed' will stay empty")


@pytest.mark.usefixtures("without_plumed")
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (SMOTION, "", "METAD of <ffplumed> 'plumed' would never deposit a hill; add <smotion mode='metad'>"),
        (" nbeads='1'", "", "acts on 4 beads, but i-PI deposits at the centroid; allowed is <force"),
        (" nbeads='1'", " nbeads='2'", "acts on 2 beads"),
        (CENTROID, "", "METAD of <ffplumed> 'plumed' acts on nothing"),
        ("<force forcefield='trap'/>", "<force forcefield='plumed'/>", "stands in <forces>"),
        ("<plumed_extras>[ b.x ]", "<plumed_extras>[ b.y ]", "'b.x', which is in no <plumed_extras>"),
        ("<interpolate_extras>[ x.x ]</interpolate_extras>", "", "writes 'x.x', which i-PI drops"),
        ("<interpolate_extras>[ x.x ]", "<interpolate_extras>[ x.x, x.y ]", "<interpolate_extras> names 'x.y'"),
        ("<plumed_extras>[ b.x ]", "<plumed_extras>[ b.x, x.x ]", "both name 'x.x', which i-PI would add up"),
        ("<plumed_dat>beads.dat", "<plumed_dat>plumed.dat", "'beads' would never deposit"),
        ("<plumed_dat>beads.dat", "<plumed_dat>nowhere.dat", "cannot read the PLUMED input"),
        (
            "<plumed_dat>beads.dat</plumed_dat>",
            "<plumeddat>beads.dat</plumeddat>",
            "<plumeddat> is no tag of <ffplumed> 'beads'; allowed are file, plumed_dat, plumed_step",
        ),
        (
            "ffplumed name='beads'><file mode='xyz'>start",
            "ffplumed name='beads'><file mode='xyz'>nowhere",
            "nowhere.xyz",
        ),
    ],
)
def test_what_is_refused(old, new, message, check):
    with pytest.raises(BeadwiseError) as refused:
        check(old, new)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("without_plumed")
def test_one_file_of_two(check):
    with pytest.raises(BeadwiseError, match="'plumed' and 'beads' both write 'COLVAR'"):
        check(beads=f"{BEADS}PRINT ARG=b.x FILE=COLVAR\n")


@pytest.mark.usefixtures("without_plumed")
def test_the_structure_is_read_by_its_mode(check, tmp_path):
    (tmp_path / "start.dat").write_text(STRUCTURE)
    assert check(PLUMED, PLUMED.replace("start.xyz", "start.dat")) == []
    with pytest.raises(BeadwiseError, match="<file> of <ffplumed> 'plumed' has mode='chk'; allowed are xyz, pdb, ase"):
        check(PLUMED, PLUMED.replace("mode='xyz'", "mode='chk'"))


@pytest.mark.usefixtures("without_plumed")
def test_atoms_of_another_structure(check, tmp_path):
    (tmp_path / "other.xyz").write_text(STRUCTURE.replace("2\n", "3\n", 1) + "H 2 0 0\n")
    with pytest.raises(BeadwiseError, match="<file> of <ffplumed> 'plumed' has 3 atoms; the system has 2"):
        check(PLUMED, PLUMED.replace("start", "other"))


@pytest.mark.usefixtures("without_plumed")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("nbeads='4'", "nbeads='1'"),  # a classical run needs neither nbeads='1' nor <interpolate_extras>
        (
            "  <system>",
            f"  <system><ensemble><bias>{CENTROID}<force forcefield='beads'/></bias></ensemble></system><system>",
        ),
        ("  <system>", "  <system><ensemble/></system><system>"),
    ],
)
def test_what_is_allowed(old, new, check):
    assert check(old, new) == []


@pytest.mark.usefixtures("without_plumed")
@pytest.mark.parametrize(("contracted", "message"), [("1", ""), ("0", "acts on 4 beads")])
def test_templates(contracted, message, check):
    start, end = INPUT.index("  <system>"), INPUT.index("</system>") + len("</system>")
    template = INPUT[start:end].replace("'plumed'", "'BIAS'").replace("'4'", "'MANY'").replace("'1'", "'FEW'")
    filled = f"<labels>[ BIAS, MANY, FEW ]</labels><instance>[ plumed, 4, {contracted} ]</instance>"
    whole = f"<system_template><template>{template}</template>{filled}</system_template>"
    if not message:
        assert check(INPUT[start:end], whole) == []
        return
    with pytest.raises(BeadwiseError, match=message):
        check(INPUT[start:end], whole)


def test_without_plumed_nothing_is_asked(tmp_path):
    (tmp_path / "input.xml").write_text("<simulation><system/></simulation>")
    assert check_plumed(RunInput.read(tmp_path / "input.xml")) == []


def test_written_files():
    assert written_files(Action("METAD")) == ["HILLS"]
    assert written_files(Action("OPES_METAD_EXPLORE", keywords={"FILE": "K"})) == ["K"]
    assert written_files(Action("PBMETAD", keywords={"ARG": "a,b"})) == ["HILLS.a", "HILLS.b"]
    assert written_files(Action("METAD", keywords={"WALKERS_N": "2"})) == []
    assert written_files(Action("PRINT")) == written_files(Action("EXTERNAL", keywords={"FILE": "grid"})) == []


@pytest.mark.parametrize(
    ("module", "what"),
    [
        ("raise ImportError('no such module')", "whose Python module plumed is missing (no such module)"),
        ("", "whose Python module plumed is missing (module 'plumed' has no attribute 'Plumed')"),
        (
            "def Plumed(): raise RuntimeError('not available')",
            "whose kernel cannot be loaded (PLUMED_KERNEL names '/k.so')",
        ),
    ],
)
def test_plumed_is_missing(module, what, tmp_path, monkeypatch):
    (tmp_path / "plumed.py").write_text(module)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PLUMED_KERNEL", "/k.so")
    problem = plumed_problem()
    assert problem is not None
    assert what in problem
    assert "pip install --no-deps hillclimber==0.1.8" in problem


def test_the_interpreter_of_ipi(tmp_path, monkeypatch):
    script = tmp_path / "i-pi"
    script.write_text("#!/opt/python -s\n")
    monkeypatch.setattr(ask_plumed, "ipi_command", lambda: [str(script)])
    assert ask_plumed._interpreter() == "/opt/python"
    monkeypatch.setattr(ask_plumed, "ipi_command", lambda: [sys.executable, str(script)])
    assert ask_plumed._interpreter() == sys.executable


@needs_plumed
@pytest.mark.parametrize(
    ("bias", "complaint"),
    [
        (BIAS.replace("HEIGHT", "HIGHT"), "METAD with label metad : At least one between HEIGHT and TAU"),
        (BIAS.replace("ATOM=1", "ATOM=7"), "with label x : atom 7 out of range"),
        (BIAS.replace("POSITION", "POSITON"), 'Action "POSITON" is not known.'),
        (BIAS.replace("ARG=x.x", "ARG=y.x"), "METAD with label metad : cannot find action named y"),
        (BIAS + "EXTERNAL ARG=x.x FILE=nowhere LABEL=e\n", "file nowhere cannot be found"),
        (BIAS.replace("x:", "z:").replace("x.x", "z.x"), "'x.x' of <plumed_extras>: cannot find action named x"),
    ],
)
def test_plumed_refuses_its_input(bias, complaint, check, tmp_path):
    before = {"input.xml", "start.xyz", "plumed.dat", "beads.dat"}
    with pytest.raises(BeadwiseError) as refused:
        check(bias=bias)
    assert str(refused.value).startswith("PLUMED refuses 'plumed.dat': ")
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)
    assert {path.name for path in tmp_path.iterdir()} == before


@needs_plumed
def test_plumed_leaves_the_folder_as_it_is(check, tmp_path):
    """It finds what its input reads, and neither renames nor writes what the run has written."""
    grid = "".join(f"{x:.2f} 0.0 0.0\n" for x in (-1, 0, 1))
    head = {"min_x.x": "-1", "max_x.x": "1", "nbins_x.x": "2", "periodic_x.x": "false"}
    grid = "#! FIELDS x.x e.bias der_x.x\n" + "".join(f"#! SET {name} {head[name]}\n" for name in head) + grid
    kept = {"HILLS": "#! FIELDS time\n 20\n", "COLVAR": "#! FIELDS time\n 10\n", "grid": grid}
    for name, text in kept.items():
        (tmp_path / name).write_text(text)
    assert check(bias=BIAS + "EXTERNAL ARG=x.x FILE=grid LABEL=e\n") == []
    assert {name: (tmp_path / name).read_text() for name in kept} == kept
    assert len(list(tmp_path.iterdir())) == 4 + len(kept)


@needs_plumed
def test_an_input_in_another_folder(check, tmp_path, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "bias.dat"
    elsewhere.write_text(BIAS)
    old, new = "<plumed_extras>[ x.x ]", "<plumed_dat>{}</plumed_dat><plumed_extras>[ x.x ]"
    assert check(old, new.format(elsewhere)) == []
    (tmp_path / "bias").mkdir()
    (tmp_path / "bias" / "bias.dat").write_text(BIAS.replace("POSITION", "POSITON"))
    with pytest.raises(BeadwiseError, match=r"PLUMED refuses 'bias\.dat': Action"):
        check(old, new.format("bias/bias.dat"))


@needs_plumed
def test_python_variables_that_cannot_be_imported(check):
    """PLUMED's plugin kills the process then, with a riddle."""
    python = "LOAD FILE=PythonCVInterface.so\np: PYCVINTERFACE ATOMS=1 IMPORT=no_such_module CALCULATE=value\n"
    with pytest.raises(BeadwiseError, match=r"PLUMED refuses 'plumed\.dat': "):
        check(bias=python + BIAS)


@pytest.mark.parametrize(
    "line", ["PRINT ARG=x.x FILE=/elsewhere/C", "PRINT ARG=x.x FILE=out/C", "INCLUDE FILE=../more"]
)
def test_what_plumed_cannot_be_asked_of(line, check, tmp_path, monkeypatch):
    """What would not work in another folder, or write outside of it."""
    asked = []
    monkeypatch.setattr(plumed_checks, "check_with_plumed", lambda trials, folder: asked.extend(trials))
    (tmp_path.parent / "more").write_text("")
    check(bias=f"{BIAS}{line}\n")
    assert [trial.force_field for trial in asked] == ["beads"]


@needs_plumed
@pytest.mark.parametrize("name", ["torsion_metadynamics", "torsion_opes"])
def test_shipped_inputs(name):
    inputs = Path(str(files("beadwise.inputs")))
    assert all("FLUSH" in line for line in check_plumed(RunInput.read(inputs / f"{name}.xml")))
