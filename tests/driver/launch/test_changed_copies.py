"""``run NAME --steps --beads --temperature``: the copy of a shipped input is changed, and nothing but the copy."""

import re

import numpy as np
import pytest
from beadwise.driver.commands.group import main
from beadwise.driver.launch.examples.changes import Changes
from beadwise.driver.launch.shipped_inputs import copy_shipped_input, shipped_inputs
from beadwise.runs.input.elements import InputError
from beadwise.runs.input.run_input import RunInput
from beadwise.runs.input.tolerance import allowed_drift
from beadwise.runs.output.properties import read_property_table
from click.testing import CliRunner
from places import INPUTS
from test_run import one_line


@pytest.mark.parametrize("name", shipped_inputs())
def test_steps_beads_and_temperature_of_every_input(name, tmp_path):
    shipped = RunInput.read(INPUTS / f"{name}.xml")
    is_classical = shipped.systems[0].beads == 1
    changes = Changes(steps=7, beads=1 if is_classical else 12, temperature=321.5)
    if name == "piglet":
        with pytest.raises(InputError, match="thermostats were made for 6 beads at 300 K; `beadwise nuclei INPUT"):
            copy_shipped_input(name, tmp_path, changes=changes)
        return
    copy = copy_shipped_input(name, tmp_path, changes=changes)
    run = RunInput.read(copy).checked()
    assert run.total_steps == 7
    for system, before in zip(run.systems, shipped.systems, strict=True):
        assert system.beads == changes.beads
        assert system.temperature == 321.5 != before.temperature
        assert system.timestep == before.timestep
        velocities = system.element.find("initialize/velocities")
        assert float(velocities.text) == 321.5
    told = [found for file in copy.parent.glob("*.dat") for found in re.findall(r"TEMP=(\S+)", file.read_text())]
    assert set(told) <= {"321.5"}
    first, second = copy.read_text().splitlines()[:2]
    assert "steps 7" in first and "temperature 321.5" in first and second.startswith("<!-- ")


def test_a_stated_drift_is_not_that_of_other_beads_or_another_temperature(tmp_path):
    for changes, stated in ((Changes(steps=5), 0.1), (Changes(beads=32), None), (Changes(temperature=500.0), None)):
        assert allowed_drift(RunInput.read(copy_shipped_input("water", tmp_path, changes=changes))) == stated


def test_what_is_not_changed_stays(tmp_path):
    plain, changed = (copy_shipped_input("torsion_opes", tmp_path, changes=one) for one in (None, Changes(steps=5)))
    for file in plain.parent.iterdir():
        if file != plain:
            assert file.read_bytes() == (changed.parent / file.name).read_bytes()
    lines = changed.read_text().splitlines()[1:]
    unlike = [line for line, own in zip(lines, plain.read_text().splitlines(), strict=True) if line != own]
    assert [line.strip() for line in unlike if "address" not in line] == ["<total_steps> 5 </total_steps>"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["water_64.xml", "--steps", "5"], "'water_64.xml' is run as it stands: change <total_steps> in it"),
        (["run/RESTART", "--beads", "5"], "--beads is for shipped inputs"),
        (["slab", "--beads", "4"], "for classical nuclei; allowed is 1"),
        (["mts_trpmd", "--beads", "2"], "a force on 4 beads; allowed are 4 or more"),
        (["water", "--steps", "0"], "0 is not in the range"),
        (["water", "--temperature", "nan"], "not finite"),
    ],
)
def test_what_cannot_be_changed_is_refused(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["run", *arguments])
    assert done.exit_code == 2 and message in one_line(done.stderr)
    assert list(tmp_path.iterdir()) == []


def test_a_changed_copy_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["run", "ethanol_pimd", "--steps", "20", "--beads", "4", "--temperature", "350"]
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "finished at step 20" in done.output
    table = read_property_table(tmp_path / "beadwise-ethanol-pimd" / "ethanol_pimd.out")
    assert table.steps.tolist() == [0, 10, 20]
    assert np.isfinite(table.rows).all()
