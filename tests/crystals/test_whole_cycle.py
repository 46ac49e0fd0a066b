"""``beadwise free-energy --run``: what is missing is made, and a killed cycle goes on to the identical table."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import ase.io
import pytest
from beadwise.analysis.crystals.cycle_runs import named_files, planned_runs
from beadwise.analysis.crystals.cycle_settings import read_cycle
from beadwise.driver.commands.crystals.free_energy import free_energy
from beadwise.driver.commands.group import OneLineErrors
from beadwise.driver.launch.cycles.one_run import RunState
from beadwise.inputs.quartic_crystal import structure
from beadwise.model.crystals.reference import CrystalError
from beadwise.runs.input.run_input import RunInput
from click.testing import CliRunner

MODEL = "beadwise.inputs.quartic_crystal:crystal"
STEPS = 300
INPUT = """<simulation verbosity='low'>
  <output prefix='crystal'>
    <properties filename='out' stride='5'> [ step, potential{electronvolt} ] </properties>
  </output>
  <total_steps> 300 </total_steps>
  <prng> <seed> 7 </seed> </prng>
  <ffsocket mode='unix' name='crystal' pbc='false'> <address> whole-cycle </address> </ffsocket>
  <system>
    <initialize nbeads='1'>
      <file mode='ase'> a.minimum.xyz </file>
      <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces> <force forcefield='crystal'/> </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
    <motion mode='dynamics'>
      <fixcom> False </fixcom>
      <dynamics mode='nvt' splitting='baoab'>
        <timestep units='femtosecond'> 1.5 </timestep>
        <thermostat mode='langevin'> <tau units='femtosecond'> 15 </tau> </thermostat>
      </dynamics>
    </motion>
  </system>
</simulation>
"""
CYCLE = f"""harmonic = "a.harmonic.npz"
temperature = 300
anharmonic = "a_lambda.json"
[run]
structure = "a.xyz"
model = "{MODEL}"
held = true
[run.anharmonic]
input = "crystal.xml"
nodes = 1
stride = 4
path = "plain"
"""
COMMAND = [sys.executable, "-m", "beadwise", "free-energy", "--run", "a.toml"]
main = OneLineErrors(commands={"free-energy": free_energy})
PATIENCE = 300  # s


def made(folder: Path, cycle: str = CYCLE) -> Path:
    folder.mkdir(exist_ok=True)
    ase.io.write(folder / "a.xyz", structure(8), format="extxyz")
    (folder / "crystal.xml").write_text(INPUT.replace("whole-cycle", f"cycle-{os.getpid()}-{folder.name}"))
    (folder / "a.toml").write_text(cycle)
    return folder


def table(output: str) -> str:
    """What is printed of the sum, after what was found on the way."""
    return output[output.rindex("a: 8 x H") :]


def test_a_killed_cycle_goes_on_to_the_identical_table(tmp_path):
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'beadwise[learn]'")
    on_dask = CYCLE.replace("[run.anharmonic]", "[run.cluster]\nkind = 'local'\n[run.anharmonic]")
    whole = made(tmp_path / "whole", on_dask)
    shown = {**os.environ, "BEADWISE_PROGRESS": ""}
    first = subprocess.run(COMMAND, cwd=whole, env=shown, capture_output=True, text=True, check=True)
    assert f"steps of i-PI: 0/{STEPS}, 0 of 1 runs" in first.stderr  # where there is no terminal, as in a batch job

    killed = made(tmp_path / "killed")
    (killed / "a.harmonic.npz").write_bytes((whole / "a.harmonic.npz").read_bytes())
    (killed / "a.minimum.xyz").write_bytes((whole / "a.minimum.xyz").read_bytes())
    process = subprocess.Popen(COMMAND, cwd=killed, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    folder = killed / "a.runs" / "anharmonic" / "crystal_l0.50000"
    deadline = time.monotonic() + PATIENCE
    while not (folder / "crystal_l0.50000.checkpoint").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=PATIENCE)[0].decode().splitlines()[-1]
    assert process.returncode == 1
    assert said == "Error: interrupted after 0 of 1 runs of i-PI; go on with `beadwise free-energy --run a.toml`"
    (run,) = planned_runs(read_cycle(killed / "a.toml"), "anharmonic")
    state = RunState(run)
    assert not state.is_done and 0 < state.saved()[0] < STEPS

    again = subprocess.run(COMMAND, cwd=killed, capture_output=True, text=True, check=True)
    assert table(again.stdout) == table(first.stdout)
    means = [json.loads((one / "a_lambda.json").read_text())["runs"][0]["mean"] for one in (whole, killed)]
    assert means[1] == pytest.approx(means[0], rel=1e-6)  # i-PI's checkpoints have nine digits


def message(folder: Path, cycle: str) -> str:
    (folder / "a.toml").write_text(cycle)
    result = CliRunner().invoke(main, ["free-energy", "--run", str(folder / "a.toml")])
    assert result.exit_code == 2 and result.stderr.count("\n") == 1, result.output
    return result.stderr


def test_what_cannot_be_run_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("BEADWISE_TRUST", MODEL)
    folder = made(tmp_path)
    assert "has no [run], which says how" in message(folder, CYCLE.partition("[run]")[0])
    assert "unknown key 'knots' in [run.anharmonic]" in message(folder, CYCLE.replace("nodes", "knots"))
    assert "the key anharmonic names no file" in message(folder, CYCLE.replace('anharmonic = "a_lambda.json"\n', ""))
    assert "that ends with .harmonic.npz is needed" in message(folder, CYCLE.replace("a.harmonic.npz", "a.npz"))
    assert "need kind, a batch system" in message(folder, CYCLE + "[run.cluster]\nqueue = 'long'\n")
    assert "'run' is" in message(folder, CYCLE.partition("[run]")[0] + "run = 3\n")
    assert "absent.xml'" in message(folder, CYCLE.replace("crystal.xml", "absent.xml"))
    assert "is at 300 K, and" in message(folder, CYCLE.replace("temperature = 300", "temperature = 310"))
    assert not list((tmp_path / "a.runs").iterdir())  # nothing half made is left
    message(folder, CYCLE.replace("temperature = 300", "temperature = 310"))

    cycle = read_cycle(made(folder) / "a.toml")
    (run,) = planned_runs(cycle, "anharmonic")
    source = RunInput.read(run.path)
    assert run.model == f"switch:lambda=0.5,../../../a.harmonic.npz,{MODEL}"
    assert (run.folder / "../../../a.harmonic.npz").is_file() and (run.folder / "a.minimum.xyz").is_file()
    assert source.root.find("output/checkpoint").get("stride") == str(STEPS // 20)
    with pytest.raises(CrystalError, match="was made with another settings than"):
        (folder / "a.toml").write_text(CYCLE.replace("nodes = 1", "nodes = 2"))
        planned_runs(read_cycle(folder / "a.toml"), "anharmonic")
    (folder / "a.toml").write_text(CYCLE.replace(MODEL, "qtip4pf"))
    assert "is of the potential" in message(folder, CYCLE.replace(MODEL, "qtip4pf"))
    assert named_files(source.document, folder) == ["a.minimum.xyz"]
