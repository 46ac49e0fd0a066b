"""What is read of PLUMED's inputs and tables."""

import numpy as np
import pytest
from ase import units
from beadwise.analysis.profile.hills import hills_of
from beadwise.runs.input.elements import InputError
from beadwise.runs.plumed.input import plumed_number, read_plumed_input
from beadwise.runs.plumed.tables import is_plumed_table, read_plumed_table

TEXT = """# a comment
UNITS LENGTH=A ENERGY=kcal/mol   # another
phi: TORSION ATOMS=1,2,3,4
metad: METAD ...
  ARG=phi SIGMA=0.2 # within
  PACE=100 HEIGHT=1 CALC_RCT
... METAD
RESTRAINT ARG=d,phi AT=1.0,-pi KAPPA={10 2*pi} LABEL=window
INCLUDE FILE=more.dat
ENDPLUMED
PRINT ARG=phi FILE=NEVER
"""


@pytest.fixture
def plumed(tmp_path):
    (tmp_path / "plumed.dat").write_text(TEXT)
    (tmp_path / "more.dat").write_text("PRINT ARG=* FILE=COLVAR STRIDE=10\n")
    return read_plumed_input(tmp_path / "plumed.dat")


def test_actions_of_all_kinds_of_lines(plumed):
    assert [action.name for action in plumed.actions] == ["UNITS", "TORSION", "METAD", "RESTRAINT", "PRINT"]
    assert [action.label for action in plumed.actions] == ["", "phi", "metad", "window", ""]
    metad = plumed.named("METAD")[0]
    assert metad.keywords == {"ARG": "phi", "SIGMA": "0.2", "PACE": "100", "HEIGHT": "1"}
    assert metad.flags == {"CALC_RCT"}
    assert [action.name for action in plumed.biases] == ["METAD", "RESTRAINT"]


def test_lists_and_numbers(plumed):
    restraint = plumed.named("RESTRAINT")[0]
    assert restraint.arguments == ("d", "phi")
    assert restraint.numbers("AT") == [1.0, -np.pi]
    assert restraint.numbers("KAPPA") == [10.0, 2 * np.pi]
    assert restraint.numbers("SLOPE", "0 0") == [0.0, 0.0]
    assert [plumed_number(text) for text in ("+pi", "-5*pi/6", "1e-3", "2+1")] == [np.pi, -5 * np.pi / 6, 1e-3, 3]
    for text in ("", "one", "1/0", "pi()", "True if 1 else 2", "nan"):
        with pytest.raises(ValueError, match="is no number"):
            plumed_number(text)
    with pytest.raises(InputError, match="ARG of RESTRAINT is 'd,phi'; numbers are needed"):
        restraint.numbers("ARG")


def test_units_of_energy(plumed, tmp_path):
    assert plumed.energy_unit == pytest.approx(units.kcal / units.mol)
    for text, unit in (
        ("", units.kJ / units.mol),
        ("UNITS ENERGY=eV", 1.0),
        ("UNITS ENERGY=2", 2 * units.kJ / units.mol),
    ):
        (tmp_path / "plumed.dat").write_text(text)
        assert read_plumed_input(tmp_path / "plumed.dat").energy_unit == pytest.approx(unit)
    (tmp_path / "plumed.dat").write_text("UNITS ENERGY=cal")
    with pytest.raises(InputError, match=r"ENERGY=cal in '.*' is unknown; allowed are kj/mol, "):
        _ = read_plumed_input(tmp_path / "plumed.dat").energy_unit


def test_included_files_are_in_the_folder_of_the_run(tmp_path):
    (tmp_path / "bias").mkdir()
    (tmp_path / "bias" / "plumed.dat").write_text("INCLUDE FILE=bias/more.dat\n")
    (tmp_path / "bias" / "more.dat").write_text("PRINT ARG=*\n")
    plumed = read_plumed_input(tmp_path / "bias" / "plumed.dat", tmp_path)
    assert [action.name for action in plumed.actions] == ["PRINT"]


def test_input_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match=r"cannot read the PLUMED input '.*absent.dat': No such file"):
        read_plumed_input(tmp_path / "absent.dat")
    (tmp_path / "loop.dat").write_text("FLUSH STRIDE=1\nINCLUDE FILE=loop.dat\n")
    with pytest.raises(InputError, match="includes itself"):
        read_plumed_input(tmp_path / "loop.dat")


COLVAR = """#! FIELDS time phi metad.bias
#! SET min_phi -pi
#! SET max_phi pi
 0 0.1 0.0
 10 0.2 1.0
 20 0.3 2.0
 30 0.4
#! FIELDS time phi metad.bias
 20 0.5 2.5
 30 0.6 3.5
 40 0.7"""


def test_table_of_a_run_that_was_killed_and_continued(tmp_path):
    (tmp_path / "COLVAR").write_text(COLVAR)
    table = read_plumed_table(tmp_path / "COLVAR")
    assert is_plumed_table(tmp_path / "COLVAR")
    assert table.column("time").tolist() == [0, 10, 20, 30]
    assert table.column("phi").tolist() == [0.1, 0.2, 0.5, 0.6]
    assert table.period_of("phi") == (-np.pi, np.pi)
    assert table.period_of("metad.bias") is None
    assert not table.holds_hills
    with pytest.raises(InputError, match=r"has no column 'psi'; it has phi, metad\.bias"):
        table.column("psi")


def test_table_of_hills(tmp_path):
    (tmp_path / "HILLS").write_text(
        "#! FIELDS time phi sigma_phi height biasf\n#! SET multivariate false\n#! SET kerneltype gaussian\n"
        "#! SET min_phi -pi\n#! SET max_phi pi\n 10 0.5 0.2 1.2 6\n 20 -0.5 0.2 1.1 6\n"
    )
    table = read_plumed_table(tmp_path / "HILLS")
    assert table.holds_hills
    hills = hills_of(table, 300.0, 0.5)
    assert hills.centres.tolist() == [[0.5], [-0.5]]
    assert hills.heights.tolist() == [0.6, 0.55]
    assert (hills.bias_factor, hills.kernel) == (6.0, "gaussian")
    assert hills.periods.tolist() == [2 * np.pi]


def test_what_is_no_table(tmp_path):
    (tmp_path / "input.xml").write_text("<simulation/>")
    assert not is_plumed_table(tmp_path / "input.xml")
    assert not is_plumed_table(tmp_path)
    with pytest.raises(InputError, match="does not begin with '#! FIELDS'"):
        read_plumed_table(tmp_path / "input.xml")
    (tmp_path / "COLVAR").write_text("#! FIELDS time d\n 0 one\n")
    with pytest.raises(InputError, match="holds a line that is not 2 numbers"):
        read_plumed_table(tmp_path / "COLVAR")
