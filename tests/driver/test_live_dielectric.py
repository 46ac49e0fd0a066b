"""The permittivity of runs through a real i-PI: known answers, a kill and a restart, constant pressure, refusals."""

import json
import os
import re
import signal
import time
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from beadwise.analysis.spectrum.conditions import read_run_conditions
from beadwise.analysis.spectrum.live_dielectric import LiveDielectric
from beadwise.driver.commands.group import main
from beadwise.driver.launch.shipped_inputs import SHIM
from beadwise.runs.input.elements import InputError
from beadwise.runs.input.run_input import RunInput
from beadwise.runs.output.bead_means import read_bead_means
from beadwise.runs.output.volumes import VolumeSeries
from beadwise.spectra.dielectric import permittivity_in_field
from click.testing import CliRunner
from test_run import Folder
from wells import EDGE, Crystal, sites

ATOMS = 8
MOMENTS = "<trajectory filename='moments' stride='1' extra_type='dipole,polarizability'> extras </trajectory>"
INPUT = """
<simulation verbosity='low' floatformat='%24.16e'>
  <output prefix='test'>
    <properties filename='out' stride='1'> [ step, time{{femtosecond}}, potential, volume{{angstrom3}} ] </properties>
    {outputs}
    <checkpoint filename='chk' stride='25' overwrite='true'/>
  </output>
  <total_steps> {steps} </total_steps>
  <prng> <seed> 11 </seed> </prng>
  {force_field}
  <system>
    <initialize nbeads='{beads}'>
      <file mode='ase' units='angstrom'> crystal.extxyz </file>
      <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces> <force forcefield='wells'/> </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> {pressure} </ensemble>
    <motion mode='dynamics'>
      <fixcom> False </fixcom>
      <dynamics mode='{mode}' splitting='baoab'>
        <timestep units='femtosecond'> {timestep} </timestep>
        <thermostat mode='{thermostat}'> <tau units='femtosecond'> 3 </tau> </thermostat>
        {barostat}
      </dynamics>
    </motion>
  </system>
</simulation>
"""
DIRECT = """<ffdirect name='wells' pbc='false'> <pes>custom</pes> <pes_path>{shim}</pes_path>
    <parameters>{{model: wells:crystal, structure: crystal.extxyz, want: dipole+polarizability}}</parameters>
    <batch_size>{beads}</batch_size> </ffdirect>"""
BAROSTAT = """<barostat mode='isotropic'> <tau units='femtosecond'> 100 </tau>
    <thermostat mode='langevin'> <tau units='femtosecond'> 100 </tau> </thermostat> </barostat>"""
OPTION = "--spectrum", "dielectric", "--no-report"


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path)
    yield folder
    folder.kill_all()


def write(folder, steps, beads=4, mode="nvt", outputs=MOMENTS, socket=False):
    edge = EDGE * round(ATOMS ** (1 / 3))
    crystal = Atoms(f"H{ATOMS}", sites(ATOMS), cell=np.eye(3) * edge, pbc=True)
    ase.io.write(folder.path / "crystal.extxyz", crystal)
    own = f"<ffsocket mode='unix' name='wells' pbc='false'> <address> {folder.address} </address> </ffsocket>"
    pressure, barostat = ("<pressure units='megapascal'> 0 </pressure>", BAROSTAT) if mode == "npt" else ("", "")
    text = INPUT.format(
        steps=steps,
        beads=beads,
        mode=mode,
        outputs=outputs,
        timestep=3.0 if mode == "nvt" else 0.5,
        thermostat="pile_l" if beads > 1 else "langevin",
        pressure=pressure,
        barostat=barostat,
        force_field=own if socket else DIRECT.format(shim=SHIM, beads=beads),
    )
    (folder.path / "input.xml").write_text(text.strip())


def said(path: Path) -> dict[str, str]:
    lines = [line[2:] for line in path.read_text().splitlines() if line.startswith("# ")]
    return dict(line.split(": ", 1) for line in lines if ": " in line)


def number(text: str) -> tuple[float, float]:
    value, error = re.match(r"([-\d.e]+) ± ([\d.e-]+)", text).groups()
    return float(value), float(error)


@pytest.mark.parametrize(("beads", "steps"), [(1, 1000), (8, 600), (32, 300)])
def test_harmonic_crystal(folder, beads, steps):
    """Exact at every number of beads; the fluctuations of single beads would be larger by half."""
    write(folder, steps, beads)
    status, output, errors = folder.run("input.xml", *OPTION, model=None)
    assert (status, errors) == (0, ""), errors
    assert "permittivity in test.dielectric.png" in output
    value, error = number(said(folder.path / "test.dielectric.csv")["static"])
    exact = Crystal().permittivity
    assert abs(value - exact) < min(2 * error, 0.01 * exact), (value, error, exact)
    assert (folder.path / "test.dielectric.png").read_bytes().startswith(b"\x89PNG")
    if beads == 8:  # and afterwards from the files, of which a tenth is left out
        result = CliRunner().invoke(
            main, ["spectrum", "dielectric", str(folder.path), "--json", str(folder.path / "a.json")]
        )
        assert result.exit_code == 0, result.output
        numbers = json.loads((folder.path / "a.json").read_text())
        assert abs(numbers["value"] - exact) < 2.5 * numbers["standard_error"]
        assert numbers["picoseconds"] == pytest.approx(0.9 * steps * 3e-3, rel=0.01)


def test_harmonic_crystal_in_a_field(folder, beads=8, steps=200):
    """From the mean dipole in opposite fields; the response is linear, so that the field may be strong."""
    dipoles, fields = [], ((2.0, 1.0, 0.0), (-2.0, -1.0, 0.0))
    for field in fields:
        write(folder, steps, beads)
        text = (folder.path / "input.xml").read_text()
        driven = text.replace("want: dipole", f"field: {' '.join(map(str, field))}, want: dipole")
        (folder.path / "input.xml").write_text(driven)
        status, _, errors = folder.run("input.xml", "--no-report", model=None)
        assert (status, errors) == (0, ""), errors
        files = sorted(folder.path.glob("test.moments_*"))
        assert len(files) == beads
        dipoles.append(read_bead_means(files).series("dipole")[steps // 10 :])
        for file in folder.path.glob("test.*"):
            file.unlink()
    volume = ATOMS * EDGE**3
    optical = 1 + 4 * np.pi * Crystal().polarizability / EDGE**3
    value, error = permittivity_in_field(dipoles, fields, volume, optical)
    exact = Crystal().permittivity
    assert abs(value - exact) < min(2 * error, 0.01 * exact), (value, error, exact)


def test_killed_and_continued_run_has_the_same_table(folder, tmp_path, mode="npt"):
    """Also at constant pressure, where volumes come from another file than dipoles."""
    steps = 120
    write(folder, steps, mode=mode, socket=True)
    process = folder.start("input.xml", *OPTION, model="wells:crystal")
    folder.wait_for_steps(40)
    for child in folder.processes():
        os.kill(child, signal.SIGKILL)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 15
    while folder.processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    folder.socket.unlink(missing_ok=True)
    assert 0 < RunInput.read(folder.path / "test.chk").step < steps
    status, output, errors = folder.run("test.chk", *OPTION, model="wells:crystal")
    assert (status, errors) == (0, ""), errors
    assert "no permittivity" not in output
    (tmp_path / "whole").mkdir()
    whole = Folder(tmp_path / "whole")
    write(whole, steps, mode=mode, socket=True)
    assert whole.run("input.xml", *OPTION, model="wells:crystal")[0] == 0
    table = (folder.path / "test.dielectric.csv").read_text()
    assert table == (whole.path / "test.dielectric.csv").read_text()
    assert "at constant pressure" in table
    volume = float(said(folder.path / "test.dielectric.csv")["volume"].split()[0])
    volumes = np.loadtxt(whole.path / "test.out")[:, 3]
    assert volume == pytest.approx(volumes.mean(), rel=1e-6) and volumes.std() > 1e-4 * volume


def test_what_is_missing_is_said(folder):
    def live(optical=None):
        run = RunInput.read(folder.path / "input.xml")
        return LiveDielectric(run, read_run_conditions(run), optical)

    write(folder, 20, outputs=MOMENTS.replace(",polarizability", ""))
    with pytest.raises(InputError, match="made of dipole and polarizability of every bead"):
        live()
    assert live(optical=1.0).permittivity() is None
    write(folder, 20)
    assert live().permittivity() is None  # too few samples, and no word of polarizabilities
    write(folder, 20, mode="npt")
    text = (folder.path / "input.xml").read_text().replace(", volume{angstrom3}", "")
    (folder.path / "input.xml").write_text(text)
    with pytest.raises(InputError, match="add <properties filename='cell'"):
        live()
    arguments = ["run", str(folder.path / "input.xml"), "--spectrum", "raman", "--optical-permittivity", "2"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2 and "--optical-permittivity is for ir and dielectric" in result.output


def test_volumes_of_a_file_that_grows(tmp_path):
    path = tmp_path / "out"
    head = "# column   1     --> step : x\n# column   2     --> volume{angstrom3} : y\n"
    path.write_text(head + "0 10.0\n2 11.0\n4 12.0\n6 99.0\n")
    series = VolumeSeries(path, last_step=4)
    np.testing.assert_allclose(series.take(np.array([0, 4, 6])), [10.0, 12.0])
    with open(path, "a") as file:
        file.write("6 13.0\n8 14.0\n10 1")
    series.read()
    np.testing.assert_allclose(series.take(np.array([6, 8, 10])), [13.0, 14.0])
