"""What spectra take from i-PI inputs and RESTARTs, beside what i-PI itself makes of them."""

import subprocess
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from beadwise.analysis.spectrum.conditions import read_run_conditions
from beadwise.analysis.spectrum.live import possible_kinds
from beadwise.runs.input.elements import InputError
from beadwise.runs.input.run_input import RunInput
from beadwise.runs.units import BOHR_PER_ANGSTROM
from beadwise.spectra.experiment import marks

TEMPLATE = """<simulation verbosity='quiet'>
  <output prefix='run'> {outputs} </output>
  <ffsocket mode='unix' name='model'> <address> unused </address> </ffsocket>
  <system>
    {system}
    <forces> <force forcefield='model'/> </forces>
    <ensemble> {ensemble} </ensemble>
    <motion mode='dynamics'> {dynamics} </motion>
  </system>
</simulation>"""
NVE = "<dynamics mode='nve'> <timestep units='femtosecond'> 0.5 </timestep> </dynamics>"
AT_300_K = "<temperature units='kelvin'> 300 </temperature>"
XYZ = "<file mode='xyz' units='angstrom'> {} </file>"

# run in a process of its own: i-PI holds global settings, and prints
BY_IPI = """
import sys
import numpy as np
from ipi.inputs.simulation import InputSimulation
from ipi.utils.io.inputs.io_xml import xml_parse_file
for path in sys.argv[1:]:
    parsed = InputSimulation()
    parsed.parse(xml_parse_file(open(path)).fields[0][1])
    system = parsed.fetch().syslist[0]
    system.init.init_stage1(system)
    print("RESULT", path, system.motion.dt, system.ensemble.temp, system.beads.nbeads, *system.cell.h.ravel())
"""


def initialize(*elements, beads=4):
    return f"<initialize nbeads='{beads}'> {' '.join(elements)} </initialize>"


def cell(numbers, **attributes):
    text = " ".join(f"{name}='{value}'" for name, value in attributes.items())
    return f"<cell {text}> [{', '.join(map(str, numbers))}] </cell>"


def beads_and_cell(matrix, units=""):
    beads = (
        "<beads natoms='3' nbeads='2'> <q shape='(2, 9)'> [ 0,0,0,1,1,0,1,-1,0, 0,0,0,1,1,0,1,-1,0 ] </q> "
        "<m shape='(3)'> [ 29156.9, 1837.4, 1837.4 ] </m> <names shape='(3)'> [ O, H, H ] </names> </beads>"
    )
    return f"{beads} <cell shape='(3, 3)' {units}> [{', '.join(map(str, matrix))}] </cell>"


SYSTEMS = {
    "xyz with a cell": initialize(XYZ.format("with_cell.xyz")),
    "last frame": initialize(XYZ.format("frames.xyz")),
    "cell units of the file": initialize("<file mode='xyz' cell_units='angstrom'> plain_cell.xyz </file>"),
    "automatic cell units": initialize("<file mode='xyz'> plain_cell.xyz </file>"),
    "abc after a file": initialize(XYZ.format("with_cell.xyz"), cell([12, 12, 12], mode="abc", units="angstrom")),
    "abc before a file": initialize(cell([12, 12, 12], mode="abc"), XYZ.format("with_cell.xyz")),
    "abc in bohr": initialize(XYZ.format("with_cell.xyz"), cell([20, 21, 22], mode="abc")),
    "abcABC": initialize(XYZ.format("no_cell.xyz"), cell([10, 11, 12, 80, 95, 100], mode="abcABC", units="nanometer")),
    "manual": initialize(XYZ.format("with_cell.xyz"), cell([20, 1, 2, 0, 21, 3, 0, 0, 22])),
    "manual, lower part": initialize(XYZ.format("with_cell.xyz"), cell([20, 1, 2, 5, 21, 3, 0, 7, 22], mode="manual")),
    "no cell, then abc": initialize(XYZ.format("no_cell.xyz"), cell([12, 12, 12], mode="abc", units="angstrom")),
    "abc, then no cell": initialize(cell([12, 12, 12], mode="abc", units="angstrom"), XYZ.format("no_cell.xyz")),
    "the last cell": initialize(XYZ.format("no_cell.xyz"), cell([9, 9, 9], mode="abc"), cell([8, 8, 8], mode="abc")),
    "ase": initialize("<file mode='ase'> start.extxyz </file>"),
    "pdb": initialize("<file mode='pdb'> start.pdb </file>"),
    "cell of a pdb": initialize(XYZ.format("with_cell.xyz"), "<cell mode='pdb'> start.pdb </cell>"),
    "checkpoint": initialize("<file mode='chk'> RESTART </file>"),
    "beads and cell": beads_and_cell([20, 1, 2, 0, 21, 3, 0, 0, 22]),
    "beads and cell in Å": beads_and_cell([10, 1, 2, 0, 11, 3, 0, 0, 12], "units='angstrom'"),
    "initialized again": beads_and_cell([20, 0, 0, 0, 21, 0, 0, 0, 22]) + initialize(cell([9, 9, 9], mode="abc")),
}
DYNAMICS = {
    "automatic timestep": (AT_300_K, "<dynamics mode='nve'> <timestep> 12.5 </timestep> </dynamics>"),
    "picoseconds": (AT_300_K, "<dynamics mode='nve'> <timestep units='picosecond'> 2.5e-4 </timestep> </dynamics>"),
    "automatic temperature": ("<temperature> 9.5e-4 </temperature>", NVE),
    "temperature in eV": ("<temperature units='ase'> 300 </temperature>", NVE),
    "constant pressure": (
        AT_300_K + " <pressure units='megapascal'> 0.1 </pressure>",
        "<dynamics mode='npt'> <timestep units='femtosecond'> 0.25 </timestep> "
        "<thermostat mode='pile_l'> <tau units='femtosecond'> 100 </tau> </thermostat> <barostat mode='isotropic'> "
        "<tau units='femtosecond'> 200 </tau> <thermostat mode='langevin'> <tau units='femtosecond'> 100 </tau> "
        "</thermostat> </barostat> </dynamics>",
    ),
}


def write_input(path: Path, system, ensemble=AT_300_K, dynamics=NVE, outputs="") -> Path:
    path.write_text(TEMPLATE.format(system=system, ensemble=ensemble, dynamics=dynamics, outputs=outputs))
    return path


def write_xyz(path: Path, comment: str, frames=1, labels="OHH") -> None:
    atoms = "".join(f"{label} {place} 0 {place}\n" for place, label in enumerate(labels))
    path.write_text("".join(f"3\n{comment.format(10 + frame)}\n{atoms}" for frame in range(frames)))


@pytest.fixture
def folder(tmp_path):
    write_xyz(tmp_path / "with_cell.xyz", "# CELL(abcABC): {} 11 12 90 80 70 positions{{angstrom}} cell{{angstrom}}")
    write_xyz(tmp_path / "frames.xyz", "# CELL(abcABC): {} 11 12 90 90 90 cell{{angstrom}}", frames=3)
    write_xyz(tmp_path / "plain_cell.xyz", "# CELL(abcABC): {} 11 12 90 90 90")
    write_xyz(tmp_path / "no_cell.xyz", "# nothing")
    atoms = Atoms("OH2", np.diag([1.0, 2.0, 3.0]), cell=[[10, 0, 0], [2, 11, 0], [1, 3, 12]], pbc=True)
    ase.io.write(tmp_path / "start.extxyz", atoms)
    (tmp_path / "start.pdb").write_text(
        "TITLE   positions{angstrom} cell{angstrom}\n"
        "CRYST1   10.500   11.000   12.000  90.00  95.00  90.00 P 1             1\n"
        "ATOM      1    O   1     1       0.000   0.000   0.000  0.00  0.00             0\n"
        "ATOM      2    H   1     1       1.000   0.000   0.000  0.00  0.00             0\nEND\n"
    )
    write_input(tmp_path / "RESTART", beads_and_cell([19, 1, 2, 0, 21, 3, 0, 0, 23]))
    return tmp_path


def test_what_ipi_makes_of_the_same_inputs(folder):
    paths = [write_input(folder / f"system_{k}.xml", system) for k, system in enumerate(SYSTEMS.values())]
    own_system = SYSTEMS["xyz with a cell"]
    paths += [write_input(folder / f"dynamics_{k}.xml", own_system, *one) for k, one in enumerate(DYNAMICS.values())]
    script = folder / "by_ipi.py"
    script.write_text(BY_IPI)
    names = [path.name for path in paths] + ["RESTART"]
    done = subprocess.run([sys.executable, script, *names], cwd=folder, capture_output=True, text=True, timeout=120)
    rows = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("RESULT")]
    assert [row[0] for row in rows] == names, done.stderr
    for (name, timestep, temperature, beads, *numbers), case in zip(
        rows, [*SYSTEMS, *DYNAMICS, "RESTART"], strict=True
    ):
        own = read_run_conditions(RunInput.read(folder / name))
        by_ipi = np.array(numbers, dtype=float).reshape(3, 3).T / BOHR_PER_ANGSTROM
        np.testing.assert_allclose(own.cell, by_ipi, rtol=1e-12, atol=1e-12, err_msg=case)
        assert own.beads == int(beads), case
        assert own.timestep == pytest.approx(float(timestep) / 41.341373, rel=1e-7), case
        assert own.temperature == pytest.approx(float(temperature) / 3.1668152e-06, rel=1e-7), case


def named(folder, mode, thermostat="", beads=4, system=""):
    dynamics = f"<dynamics mode='{mode}'> <timestep> 10 </timestep> {thermostat} </dynamics>"
    start = initialize(XYZ.format("with_cell.xyz"), beads=beads)
    return read_run_conditions(RunInput.read(write_input(folder / "input.xml", system + start, dynamics=dynamics)))


def thermostat(mode, tau=20000, damping="<pile_lambda> 0.5 </pile_lambda>"):
    return f"<thermostat mode='{mode}'> <tau units='femtosecond'> {tau} </tau> {damping} </thermostat>"


ON_EVERY_ATOM = " with a thermostat on every atom, which broadens bands"
CMD = "<normal_modes> <frequencies style='pa-cmd'> [100] </frequencies> </normal_modes>"


@pytest.mark.parametrize(
    ("mode", "text", "beads", "name"),
    [
        ("nve", "", 4, "RPMD"),
        ("nve", "", 1, "classical"),
        ("nvt", thermostat("pile_l"), 4, "TRPMD"),
        ("nvt", thermostat("pile_l", 100), 4, "TRPMD" + ON_EVERY_ATOM),
        ("nvt", thermostat("pile_g", 100), 4, "TRPMD with a global thermostat"),
        ("nvt", thermostat("pile_l", damping="<pile_lambda> 0.1 </pile_lambda>"), 4, "TRPMD, λ = 0.1"),
        ("nvt", thermostat("pile_l", damping=""), 4, "TRPMD, λ = 1"),
        ("nvt", thermostat("pile_l", damping=""), 1, "classical"),
        ("npt", thermostat("pile_l"), 4, "TRPMD at constant pressure"),
        ("npt", thermostat("svr", 100), 1, "classical at constant pressure with a global thermostat"),
        ("nst", thermostat("pile_l"), 4, "TRPMD at constant stress"),
        ("sc", thermostat("pile_l"), 4, "Suzuki–Chin path integrals"),
        ("scnpt", thermostat("pile_l"), 4, "Suzuki–Chin path integrals at constant pressure"),
        ("nvt-cc", thermostat("pile_l", 10), 4, "path integrals with constrained centroid (CMD-like)"),
        ("nvt", thermostat("gle", 100), 4, "path integrals with the thermostat gle" + ON_EVERY_ATOM),
    ],
)
def test_name_of_the_dynamics(folder, mode, text, beads, name):
    assert named(folder, mode, text, beads).dynamics == name


def test_normal_modes_of_centroid_molecular_dynamics(folder):
    found = named(folder, "nvt", thermostat("pile_l"), system=CMD)
    assert found.dynamics == "PA-CMD, internal modes at 2.195e+07 cm⁻¹"  # 100 atomic units


def test_volume_of_a_run_at_constant_pressure_is_that_of_the_input(folder):
    free = named(folder, "npt", thermostat("pile_l"))
    assert not free.has_constant_volume
    assert free.of_samples(2).label == "TRPMD at constant pressure (volume of the input), 4 beads, 300 K"
    assert named(folder, "nvt", thermostat("pile_l")).of_samples(2).label == "TRPMD, 4 beads, 300 K"


@pytest.mark.parametrize(
    ("labels", "names", "is_water"), [("OHH", {"O", "H"}, True), ("ODD", {"O", "D"}, False), ("ODH", {*"ODH"}, False)]
)
def test_other_isotopes_get_no_marks_of_water(folder, labels, names, is_water):
    write_xyz(folder / "isotopes.xyz", "# CELL(abcABC): {} 11 12 90 90 90 cell{{angstrom}}", labels=labels)
    path = write_input(folder / "input.xml", initialize(XYZ.format("isotopes.xyz")))
    found = read_run_conditions(RunInput.read(path))
    assert found.symbols == names
    assert bool(marks("ir", set(found.symbols))) == is_water


FILE = XYZ.format("with_cell.xyz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dynamics": NVE.replace("femtosecond", "foo")}, "<timestep> in '.*' has units='foo'; allowed are automatic"),
        ({"dynamics": NVE.replace("0.5", "half")}, "no number in <timestep>"),
        ({"ensemble": AT_300_K.replace("kelvin", "degrees")}, "<temperature> in '.*' has units='degrees'"),
        ({"system": initialize(FILE, cell([9, 9, 9], mode="abc", units="foo"))}, "<cell> in '.*' has units='foo'"),
        ({"system": initialize(FILE, cell([9, 9], mode="abc"))}, "mode='abc' in '.*' is '.9, 9.'; allowed are 3"),
        ({"system": initialize(FILE, "<cell> 12 </cell>")}, "mode='manual' in '.*' is '12'; allowed are 9 numbers"),
        ({"system": initialize(FILE, cell([9, 9, 0], mode="abc"))}, "which spans no volume"),
        ({"system": initialize(XYZ.format("no_cell.xyz"))}, "gives no cell"),
        ({"system": initialize("<file mode='xyz'> gone.xyz </file>")}, "'.*gone.xyz' does not exist"),
        ({"system": initialize(FILE.replace(" units", " cell_units='foo' units"))}, "with mode='xyz', units 'foo'"),
        (
            {"system": initialize("<file mode='pdb'> no_cell.xyz </file>")},
            "no_cell.xyz' cannot be read with mode='pdb'",
        ),
        ({"system": initialize(FILE, beads="four")}, "nbeads of <initialize> is 'four'; an integer is needed"),
        (
            {"dynamics": NVE.replace("nve", "nvt").replace("</d", thermostat("svr").replace("femto", "foo") + "</d")},
            "<tau> in '.*' has units='foosecond'",
        ),
    ],
)
def test_bad_inputs(folder, capsys, changes, message):
    arguments = {"system": initialize(FILE), **changes}
    with pytest.raises(InputError, match=message) as caught:
        read_run_conditions(RunInput.read(write_input(folder / "input.xml", **arguments)))
    assert "\n" not in str(caught.value) and capsys.readouterr().out == ""


@pytest.mark.parametrize("exchange", ["<smotion mode='remd'/>", "<smotion mode='multi'>{}</smotion>"])
def test_exchanged_replicas_have_no_temperature(folder, exchange):
    source = write_input(folder / "input.xml", initialize(FILE))
    exchange = exchange.format("<smotion mode='metad'/><smotion mode='remd'><remd/></smotion>")
    source.write_text(source.read_text().replace("<system>", f"{exchange}<system>", 1))
    with pytest.raises(InputError, match="exchanges replicas, so that a system has no temperature"):
        read_run_conditions(RunInput.read(source))


OUTPUT = "<trajectory filename='moments' {} extra_type='dipole'> extras </trajectory>"


@pytest.mark.parametrize(
    ("attributes", "beads", "files", "holds_all"),
    [
        ("", 3, ["0", "1", "2"], True),
        ("bead='-1'", 3, ["0", "1", "2"], True),
        ("bead='-2'", 3, ["0", "2"], False),
        ("bead='-2'", 1, ["0"], True),
        ("bead='1'", 3, ["1"], False),
        ("bead=' 0 '", 1, ["0"], True),
        ("bead='1'", 1, ["1"], False),
        ("", 12, [f"{bead:02d}" for bead in range(12)], True),
    ],
)
def test_beads_of_an_output(folder, attributes, beads, files, holds_all):
    path = write_input(folder / "input.xml", initialize(FILE), outputs=OUTPUT.format(attributes))
    (output,) = RunInput.read(path).extras_outputs
    assert output.files(beads) == [f"run.moments_{number}" for number in files]
    assert output.holds_all(beads) == holds_all


@pytest.mark.parametrize(("attributes", "kinds"), [("bead='-1'", ("ir",)), ("bead='-2'", ()), ("bead='0'", ())])
def test_live_spectra_need_all_beads(folder, attributes, kinds):
    path = write_input(folder / "input.xml", initialize(FILE), outputs=OUTPUT.format(attributes))
    assert possible_kinds(("ir", "raman"), RunInput.read(path)) == kinds


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ("stride='often'", "stride of <trajectory> is 'often'; an integer is needed"),
        ("stride='0'", "stride of <trajectory> is 0; it must be at least 1"),
        ("bead='all'", "bead of <trajectory> is 'all'; an integer is needed"),
    ],
)
def test_bad_outputs(folder, attributes, message):
    path = write_input(folder / "input.xml", initialize(FILE), outputs=OUTPUT.format(attributes))
    with pytest.raises(InputError, match=message):
        RunInput.read(path).checked()
