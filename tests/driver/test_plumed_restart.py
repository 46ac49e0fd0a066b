"""The files of PLUMED are cut to the step of a RESTART, and a run that was killed goes on as if it had not been."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from beadwise.analysis.profile.live import LiveProfile
from beadwise.analysis.profile.samples import ProfileOptions
from beadwise.driver.launch.plumed.restart import prepare_restart
from beadwise.driver.launch.supervision import ipi_command
from beadwise.runs.input.elements import InputError
from beadwise.runs.input.run_input import RunInput
from beadwise.runs.plumed.force_fields import PlumedForceField
from ipi_pair import final_state
from places import HELPERS
from plumed_here import needs_plumed
from test_profile_command import table_of

SHIM = Path(str(files("beadwise.driver"))) / "shim.py"
HILLS = "#! FIELDS time x sigma_x height biasf\n#! SET multivariate false\n"
KERNELS = "#! FIELDS time x sigma_x height logweight\n#! SET action OPES_METAD_kernels\n"
METAD = "METAD ARG=x SIGMA=0.1 HEIGHT=1 PACE=10 LABEL=m"
OPES = "OPES_METAD ARG=x SIGMA=0.1 BARRIER=10 PACE=10 LABEL=o"


def rows(*steps: float) -> str:
    return "".join(f"  {step:.16e} 0.5 0.1 1.0 8.0\n" for step in steps)


@pytest.fixture
def prepare(tmp_path):
    """Prepare a restart in a folder, of a PLUMED input, from a step; the lines that it shows."""

    def prepare(text: str, step: int = 25) -> list[str]:
        (tmp_path / "plumed.dat").write_text(text + "\n")
        return prepare_restart([PlumedForceField("p", tmp_path, tmp_path / "plumed.dat", step, (), True, ())], tmp_path)

    return prepare


def test_hills_and_prints_are_cut(tmp_path, prepare):
    (tmp_path / "HILLS").write_text(HILLS + rows(10, 19.999999999999996, 30, 40))
    (tmp_path / "COLVAR").write_text("#! FIELDS time x\n" + "".join(f" {step}.000000 0.5\n" for step in (1, 21, 26)))
    shown = prepare(f"{METAD}\nPRINT ARG=x FILE=COLVAR\nPRINT ARG=x")
    assert (tmp_path / "HILLS").read_text() == HILLS + rows(10, 19.999999999999996)
    assert (tmp_path / "HILLS.after_step_25").read_text() == rows(30, 40)
    assert (tmp_path / "COLVAR").read_text().splitlines()[-1] == " 21.000000 0.5"
    assert (tmp_path / "COLVAR.after_step_25").read_text() == " 26.000000 0.5\n"
    assert [line.split(" from")[0] for line in shown] == [f"'{name}' cut to step 25," for name in ("HILLS", "COLVAR")]
    assert prepare(METAD) == []


def test_nothing_is_overwritten(tmp_path, prepare):
    for number in range(3):
        (tmp_path / "HILLS").write_text(HILLS + rows(10, 20, 30 + number))
        prepare(METAD)
    beside = {path.name: path.read_text() for path in tmp_path.glob("HILLS.*")}
    names = ("HILLS.after_step_25", "HILLS.after_step_25.1", "HILLS.after_step_25.2")
    assert beside == {name: rows(30 + number) for number, name in enumerate(names)}


def test_half_a_line(tmp_path, prepare):
    (tmp_path / "HILLS").write_text(HILLS + rows(10, 20) + "  2.1")
    prepare(METAD)
    assert (tmp_path / "HILLS").read_text() == HILLS + rows(10, 20)
    assert (tmp_path / "HILLS.after_step_25").read_text() == "  2.1"


def test_headers_stay(tmp_path, prepare):
    """METAD continues from a file without hills."""
    (tmp_path / "HILLS").write_text(HILLS + rows(10))
    assert len(prepare(METAD, step=5)) == 1
    assert (tmp_path / "HILLS").read_text() == HILLS


def test_hills_of_a_doubled_past_stay(tmp_path, prepare):
    """They were in the bias when the later ones were deposited."""
    text = HILLS + rows(10, 20, 30, 40, 20)
    (tmp_path / "HILLS").write_text(text + HILLS + rows(30))
    prepare(METAD)
    assert (tmp_path / "HILLS").read_text() == text


@pytest.mark.parametrize(("unit", "factor"), [("fs", 1e3), ("ps", 1), ("ns", 1e-3), ("0.5", 2)])
def test_time_units(unit, factor, tmp_path, prepare):
    (tmp_path / "HILLS").write_text(HILLS + rows(10 * factor, 20 * factor, 30 * factor))
    prepare(f"UNITS TIME={unit}\n{METAD}")
    assert (tmp_path / "HILLS").read_text() == HILLS + rows(10 * factor, 20 * factor)


@pytest.mark.parametrize("half", ["#! FIE", HILLS + "#! SET mul", HILLS + "  1.0"])
def test_half_a_header(half, tmp_path, prepare):
    (tmp_path / "HILLS").write_text(half)
    prepare(METAD, step=5)
    assert (tmp_path / "HILLS").read_text() == half[: half.rfind("\n") + 1]


def test_what_restarts_with_nothing_is_left_alone(tmp_path, prepare):
    """PLUMED keeps the file of an action that shall not restart, as it does for a fresh run."""
    (tmp_path / "HILLS").write_text(HILLS + rows(30))
    assert prepare(f"{METAD} RESTART=NO") == []
    assert (tmp_path / "HILLS").read_text() == HILLS + rows(30)


def test_a_fresh_run_is_left_alone(tmp_path, prepare):
    (tmp_path / "HILLS").write_text(HILLS + rows(10))
    assert prepare(METAD, step=0) == []
    assert (tmp_path / "HILLS").read_text() == HILLS + rows(10)


@pytest.mark.parametrize(
    ("text", "kernels", "step", "line"),
    [
        (OPES, (10, 20), 29, "the hill of step 30 will be missing"),
        (OPES, (10,), 25, "'KERNELS' ends with step 10, but hills up to step 20 are missing"),
        (OPES.replace("SIGMA=0.1", ""), (10, 20), 25, "measures the widths of its hills anew"),
        (f"{OPES} STATE_RFILE=STATE", (10, 20), 45, "'STATE' is of step 30, and lacks the kernels up to step 40"),
        (f"{METAD} GRID_RFILE=G", (), 25, "METAD has GRID_RFILE: what it continues from cannot be cut"),
    ],
)
def test_what_is_told(text, kernels, step, line, tmp_path, prepare):
    (tmp_path / "KERNELS").write_text(KERNELS + rows(*kernels))
    (tmp_path / "STATE").write_text("#! FIELDS time x sigma_x height\n" + rows(30, 30))
    assert any(line in shown for shown in prepare(text, step))


@pytest.mark.parametrize(
    ("text", "file", "message"),
    [
        (METAD, "", "'HILLS' does not exist, from which METAD would continue"),
        (OPES, KERNELS + rows(30), "'KERNELS' holds no kernel up to step 25"),
        (f"{OPES} STATE_RFILE=S", KERNELS + rows(10, 20), "STATE_RFILE 'S' of OPES_METAD does not exist"),
        (f"{OPES} STATE_RFILE=KERNELS", KERNELS + rows(40), "'KERNELS' is of step 40, and the RESTART of 25"),
        (f"UNITS TIME=days\n{METAD}", "", "UNITS TIME=days; allowed are fs, ps"),
        (METAD.replace("10", "ten"), HILLS, "PACE of METAD is 'ten'"),
    ],
)
def test_what_is_refused(text, file, message, tmp_path, prepare):
    """Nothing is changed then, of other files neither."""
    (tmp_path / "KERNELS").write_text(file)
    if file.startswith(HILLS):
        (tmp_path / "HILLS").write_text(file)
    (tmp_path / "COLVAR").write_text("#! FIELDS time x\n 30 0.5\n")
    with pytest.raises(InputError) as refused:
        prepare(f"PRINT ARG=x FILE=COLVAR\n{text}")
    assert message in str(refused.value)
    assert (tmp_path / "COLVAR").read_text().endswith(" 30 0.5\n")
    assert (tmp_path / "KERNELS").read_text() == file


STEPS = 240
CHECKPOINT = 110  # no multiple of PACE: a kernel of OPES changes the force where it is put, which i-PI sees a step late
EXTRAS = "x1.x,x2.x,metad.rbias,opes.bias"
PLUMED = """
x1: POSITION ATOM=1 NOPBC
x2: POSITION ATOM=2 NOPBC
METAD ARG=x1.x SIGMA=0.005 HEIGHT=1.0 PACE=20 BIASFACTOR=8 TEMP=300 LABEL=metad CALC_RCT FMT=%24.16e \
GRID_MIN=-0.2 GRID_MAX=0.2 GRID_BIN=400
OPES_METAD ARG=x2.x SIGMA=0.01 BARRIER=20 PACE=20 TEMP=300 LABEL=opes FMT=%24.16e
PRINT ARG=x1.x,x2.x,metad.*,opes.* STRIDE=10 FILE=COLVAR FMT=%24.16e
FLUSH STRIDE=1
"""
INPUT = f"""
<simulation verbosity='low' floatformat='%.17e'>
  <output prefix='out'>
    <checkpoint stride='{CHECKPOINT}' filename='checkpoint' overwrite='false'/>
    <trajectory filename='variables' stride='2' extra_type='{EXTRAS}'> extras_bias </trajectory>
  </output>
  <total_steps>{STEPS}</total_steps>
  <prng><seed>3</seed></prng>
  <ffdirect name='trap'>
    <pes>custom</pes><pes_path>{SHIM}</pes_path><parameters>{{model: killed:Trap, structure: start.xyz}}</parameters>
  </ffdirect>
  <ffplumed name='plumed'>
    <file mode='xyz'>start.xyz</file><plumed_extras>[{EXTRAS}]</plumed_extras>
  </ffplumed>
  <system>
    <initialize nbeads='2'>
      <file mode='xyz'>start.xyz</file><velocities mode='thermal' units='kelvin'>300</velocities>
    </initialize>
    <forces><force forcefield='trap'/></forces>
    <ensemble>
      <temperature units='kelvin'>300</temperature>
      <bias>
        <force forcefield='plumed' nbeads='1'><interpolate_extras>[{EXTRAS}]</interpolate_extras></force>
      </bias>
    </ensemble>
    <motion mode='dynamics'>
      <fixcom>False</fixcom>
      <dynamics mode='nvt'>
        <timestep units='femtosecond'>0.5</timestep>
        <thermostat mode='pile_l'><tau units='femtosecond'>100</tau></thermostat>
      </dynamics>
    </motion>
  </system>
  <smotion mode='metad'><metad><metaff>[ plumed ]</metaff></metad></smotion>
</simulation>
""".lstrip()
STRUCTURE = """2
# CELL(abcABC): 100 100 100 90 90 90 cell{angstrom} positions{angstrom}
H 0.3 0 0
H -0.3 0 0
"""


def start(folder: Path, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(HELPERS), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def table(path: Path) -> np.ndarray:
    return np.loadtxt(path, comments="#", ndmin=2)


@needs_plumed
def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path):
    """Metadynamics of one atom and OPES of another, killed in the middle of step 160 and continued from step 110."""
    command = [sys.executable, "-m", "beadwise.driver", "run"]
    folders = whole, parts = [tmp_path / "whole", tmp_path / "parts"]
    for folder in folders:
        folder.mkdir()
        (folder / "input.xml").write_text(INPUT)
        (folder / "start.xyz").write_text(STRUCTURE)
        (folder / "plumed.dat").write_text(PLUMED)
    (parts / "KILL").write_text("320")  # evaluations, of two beads
    reference, killed = start(whole, *ipi_command(), "input.xml"), start(parts, *command, "input.xml")
    _, errors = killed.communicate(timeout=60)
    assert (killed.returncode, "status -9" in errors) == (1, True)
    assert table(parts / "HILLS")[-1, 0] > CHECKPOINT + 20
    (parts / "KILL").unlink()
    continued = start(parts, *command, "out.checkpoint_1", "--profile", "x1.x")
    shown, errors = continued.communicate(timeout=60)
    assert (continued.returncode, errors) == (0, "")
    for name in ("HILLS", "KERNELS", "COLVAR"):
        assert f"'{name}' cut to step {CHECKPOINT}" in shown
        assert (parts / f"{name}.after_step_{CHECKPOINT}").exists()
    reference.communicate(timeout=60)
    for name in ("HILLS", "KERNELS", "COLVAR"):
        assert table(whole / name)[-1, 0] > STEPS - 20
        np.testing.assert_allclose(table(parts / name), table(whole / name), rtol=1e-9, atol=1e-9)
    work = [float(ElementTree.parse(folder / "RESTART").findtext("system/ensemble/eens")) for folder in folders]
    assert abs(work[0]) > 1e-4
    np.testing.assert_allclose(work[1], work[0], rtol=1e-9)
    assert "free-energy profile in out.profile.png" in shown
    live = LiveProfile(RunInput.read(whole / "input.xml"), ProfileOptions("x1.x"))
    live.read()
    assert live.draw() == [whole / "out.profile.png"]
    of_whole, of_parts = (table_of(folder / "out.profile.csv")[1] for folder in folders)
    np.testing.assert_allclose(of_parts, of_whole, rtol=1e-6, atol=1e-9)
    for name, values in final_state(parts).items():
        np.testing.assert_allclose(values, final_state(whole)[name], rtol=1e-9, atol=1e-9)
