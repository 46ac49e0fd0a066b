"""``beadwise examples``: a list of what ships, and copies that run and never take the place of a file."""

import json
import os

import pytest
from beadwise.driver.commands.group import main
from beadwise.driver.launch.shipped_inputs import shipped_inputs
from beadwise.model import shipped_models
from beadwise.runs.input.run_input import RunInput
from click.testing import CliRunner
from places import INPUTS
from test_run import one_line

LEARN = ["water_learn.toml", "water_learn_300.xml", "water_learn_400.xml"]


def examples(*arguments):
    done = CliRunner().invoke(main, ["examples", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_list_has_all_that_ships():
    things = json.loads(examples("--json", "-"))
    names = {kind: [one["name"] for one in things if one["kind"] == kind] for kind in ("input", "model")}
    assert names == {"input": shipped_inputs(), "model": list(shipped_models())}
    assert {one["name"] for one in things} >= {"slurm_tcp.sh", "slurm_mpi.sh", "water_fit.toml", "water_learn.toml"}
    by_name = {(one["kind"], one["name"]): one for one in things}
    assert by_name["input", "water"]["size"] == "192 atoms, 8 beads, 2 ps"
    assert "Path-integral liquid water at 300 K" in by_name["input", "water"]["about"]
    assert all(one["about"].endswith(("Å", ".")) or one["kind"] == "model" for one in things)
    assert "mts_short_range" in examples()


def test_a_copy_is_whole_and_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    output = examples("torsion_umbrella", "--steps", "3")
    assert "cd torsion_umbrella && beadwise run torsion_umbrella.xml" in output
    run = RunInput.read(tmp_path / "torsion_umbrella" / "torsion_umbrella.xml")
    assert run.total_steps == 3 and len(run.labels) == 9
    examples("ethanol_pimd", "deep/er", "--beads", "2", "--steps", "2")
    monkeypatch.chdir(tmp_path / "deep" / "er")
    done = CliRunner().invoke(main, ["run", "ethanol_pimd.xml"], catch_exceptions=False)
    assert done.exit_code == 0 and "finished at step 2" in done.output


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("slurm_tcp.sh", ["slurm_tcp.sh"]),
        ("water_learn.toml", ["water_32.xyz", "water_cnnp.inp", *LEARN]),
        ("water.safetensors", ["water.safetensors"]),
    ],
)
def test_other_files_and_what_they_name(name, files, tmp_path):
    examples(name, tmp_path / "here")
    assert sorted(os.listdir(tmp_path / "here")) == files
    assert (tmp_path / "here" / name).read_bytes() == (INPUTS / name).read_bytes()
    assert os.access(INPUTS / name, os.X_OK) == os.access(tmp_path / "here" / name, os.X_OK)


def test_nothing_is_written_over(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "water").mkdir()
    (tmp_path / "water" / "water_64.xyz").write_text("mine")
    (tmp_path / "water" / "notes").write_text("mine, too")
    done = CliRunner().invoke(main, ["examples", "water"])
    assert done.exit_code == 2 and "'water/water_64.xyz' is there already, and nothing was copied" in one_line(
        done.stderr
    )
    assert sorted(os.listdir("water")) == ["notes", "water_64.xyz"]
    (tmp_path / "water" / "water_64.xyz").unlink()
    examples("water")
    assert (tmp_path / "water" / "notes").read_text() == "mine, too"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["watr"], "no example 'watr'; `beadwise examples` lists them; did you mean 'water'"),
        (["slab", "--beads", "4"], "for classical nuclei"),
        (["slurm_tcp.sh", "--steps", "4"], "--steps is for shipped inputs"),
        (["../water.xml"], "no example"),
    ],
)
def test_what_cannot_be_copied(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["examples", *arguments])
    assert done.exit_code == 2 and message in one_line(done.stderr)
    assert list(tmp_path.iterdir()) == []
