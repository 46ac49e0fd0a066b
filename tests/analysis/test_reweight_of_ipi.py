"""``beadwise reweight`` of what a real i-PI wrote, and inputs that the documentation shows."""

import os
import subprocess
import sys
import uuid

import ase.io
import pytest
from beadwise.runs.input.elements import parse
from committee_runs import (
    numbers_of,
    run_command,
    table_of,
)
from places import HELPERS, REPOSITORY
from toy import water

REAL = """<simulation verbosity='low'>
  <output prefix='test'>
    <properties filename='out' stride='1'> [ step, potential{electronvolt}, kinetic_cv{electronvolt} ] </properties>
    <trajectory filename='members' stride='1' extra_type='committee_pot,member_dipoles'> extras </trajectory>
    <trajectory filename='pos' stride='1'> positions{angstrom} </trajectory>
  </output>
  <total_steps> 20 </total_steps>
  <ffsocket mode='unix' name='members'> <address> ADDRESS </address> </ffsocket>
  <system>
    <initialize nbeads='2'>
      <file mode='ase' units='angstrom'> water.extxyz </file>
      <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces> <force forcefield='members'/> </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
    <motion mode='dynamics'>
      <dynamics mode='nvt'>
        <timestep units='femtosecond'> 0.5 </timestep>
        <thermostat mode='pile_g'> <tau units='femtosecond'> 100 </tau> </thermostat>
      </dynamics>
    </motion>
  </system>
</simulation>
"""


def test_files_of_a_real_run(tmp_path):
    ase.io.write(tmp_path / "water.extxyz", water(), format="extxyz")
    (tmp_path / "input.xml").write_text(REAL.replace("ADDRESS", f"beadwise-test-{uuid.uuid4().hex[:12]}"))
    model = "committee:members:first,members:second,members:third"
    command = [sys.executable, "-m", "beadwise.driver", "run", "input.xml", "--model", model]
    environment = {**os.environ, "PYTHONPATH": str(HELPERS)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    # the input, as a RESTART would do; no warning that something else than the mean has moved it
    for source in (tmp_path, tmp_path / "input.xml"):
        found = numbers_of(
            source, "--observable", "potential", "--observable", "kinetic_cv", "--skip", "0", "--blocks", "8"
        )
        assert [line["samples"] for line in found["observables"]] == [21, 21]
        assert not any("differs from the mean" in warning for warning in found["warnings"])
        assert found["observables"][0]["model_error"] is None
    assert numbers_of(tmp_path, "--observable", "committee_pot", "--blocks", "8")["observables"][0]["model_error"] > 0
    assert numbers_of(tmp_path, "--observable", "dipole", "--blocks", "8")["observables"][0]["error_of_properties"] > 0
    options = ("--distance", "O,H", "--range", "0.8,1.2", "--bins", "4", "--count", "--blocks", "8", "--skip", "0")
    result = run_command(tmp_path, *options)
    assert result.exit_code == 0, result.output
    table = table_of(tmp_path / "reweighted.cea.count.O-H.csv")[1]
    assert table[:, 1].sum() * 0.1 == pytest.approx(2, abs=0.2)  # two hydrogens around each oxygen


@pytest.mark.parametrize("path", sorted((REPOSITORY / "docs").rglob("*.xml")), ids=lambda path: path.name)
def test_inputs_of_the_documentation_can_be_read(path):
    """Two hyphens inside a comment are no XML."""
    assert parse(path).find("system") is not None
