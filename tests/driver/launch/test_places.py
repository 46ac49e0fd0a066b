"""An input that is named from another folder: i-PI runs in the current one."""

from beadwise.driver.commands.group import OneLineErrors
from beadwise.driver.commands.run import run
from beadwise.driver.launch.plan import Plan
from beadwise.driver.launch.run import _remarks_about_folder, _remarks_about_systems
from beadwise.runs.input.run_input import RunInput
from click.testing import CliRunner

INPUT = """<simulation>
  <output prefix='out'/> <total_steps> 10 </total_steps>
  <ffsocket mode='unix' name='a'> <address> a </address> </ffsocket>
  <system>
    <initialize nbeads='1'> <file mode='xyz'> start.xyz </file> </initialize>
    <forces> <force forcefield='a'/> </forces>
    <motion mode='dynamics'> <dynamics mode='nve'> <timestep> 20 </timestep> </dynamics> </motion>
  </system>
</simulation>"""


def test_a_structure_beside_an_input_of_another_folder(tmp_path, monkeypatch):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "in.xml").write_text(INPUT)
    (tmp_path / "one" / "start.xyz").write_text("1\n# CELL(abcABC): 9 9 9 90 90 90\nO 0 0 0\n")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(OneLineErrors(commands={"run": run}), ["run", "one/in.xml"])
    words = "'start.xyz' is beside 'one/in.xml', and i-PI runs in the current folder: cd one && beadwise run in.xml"
    assert result.exit_code == 2 and words in result.stderr


def test_a_run_that_goes_on_in_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("one/RESTART", "RESTART"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(INPUT.replace("<total_steps>", "<step> 3 </step> <total_steps>"))
    here, there = (
        _remarks_about_folder(Plan(RunInput.read(tmp_path / name, tmp_path), {})) for name in ("RESTART", "one/RESTART")
    )
    assert here == []
    assert there == [
        "i-PI writes into this folder, not beside 'one/RESTART', whose files are not continued; for that: "
        "cd one && beadwise run RESTART"
    ]


def test_spectra_of_several_systems(tmp_path):
    system = INPUT[INPUT.index("  <system>") : INPUT.index("</simulation>")]
    (tmp_path / "one.xml").write_text(INPUT)
    (tmp_path / "two.xml").write_text(INPUT.replace(system, system * 2))
    one, two = (RunInput.read(tmp_path / name, tmp_path) for name in ("one.xml", "two.xml"))
    assert _remarks_about_systems(Plan(one, {}, spectra=("ir",))) == _remarks_about_systems(Plan(two, {})) == []
    assert _remarks_about_systems(Plan(two, {}, spectra=("ir",)))[0].startswith("spectra are those of the first of 2")
