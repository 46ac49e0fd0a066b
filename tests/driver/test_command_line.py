"""The command line: usage, exit status, and ``beadwise serve`` with an i-PI started by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import click
import pytest
from beadwise.driver.commands.group import OneLineErrors, main
from beadwise.driver.commands.options import parse_models
from beadwise.driver.launch.supervision import ipi_command
from click.testing import CliRunner
from places import HELPERS
from test_run import Folder, one_line

WATER = str(Path(str(files("beadwise.inputs"))) / "water_64.xyz")


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def refuse(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    return one_line(result.stderr)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "No such command 'nothing'"),
        (["serve"], "Missing argument 'MODEL'"),
        (["serve", "water"], "give one of --unix NAME, --tcp HOST:PORT and --mpi"),
        (["serve", "water", "--unix", "a", "--tcp", "b:1"], "give one of --unix NAME, --tcp HOST:PORT and --mpi"),
        (["serve", "water", "--tcp", "31415"], "'31415' is no TCP address; allowed is HOST:PORT"),
        (["serve", "water", "--tcp", "localhost:99999"], "PORT from 1 to 65535"),
        (["serve", "water", "--unix", "a", "--want", "dipole,charge"], "'charge' is no property; allowed are energy,"),
        (["serve", "water", "--unix", "a", "--threads", "0"], "0 is not in the range x>=1"),
        (["serve", "water", "--unix", "a", "--structure", "none.xyz"], "'none.xyz': No such file"),
        (["serve", "springs:nothing", "--unix", "a"], "cannot import the evaluator 'springs:nothing'"),
        (["serve", "springs:PAIRS", "--unix", "a"], "gives tuple, which is no evaluator"),
        (["serve", "springs:without_polarizability", "--unix", "a", "--want", "polarizability"], "does not provide"),
        (["run", "none.xml"], "cannot read the i-PI input 'none.xml'"),
        (["run", "--workers", "0"], "0 is not in the range x>=1"),
        (["run", "--colour"], "No such option"),
        (["run", "--spectrum", "ir,uv"], "'uv' is no spectrum; allowed are ir,raman,sfg,dielectric, none"),
        (["spectrum", "uv", "a"], "'uv' is not one of 'ir', 'raman', 'sfg', 'dos', 'dielectric'"),
        (["spectrum", "ir", "none_0"], "'none_0' does not exist"),
        (["spectrum", "ir", "a", "--window", "0"], "0.0 is not in the range x>0"),
    ],
)
def test_bad_usage_is_one_line(arguments, message):
    assert message in refuse(*arguments)


def test_help_and_version():
    runner = CliRunner()
    assert runner.invoke(main, ["--version"]).exit_code == 0
    for arguments in (["--help"], ["run", "-h"], ["serve", "-h"]):
        result = runner.invoke(main, arguments)
        assert result.exit_code == 0 and "Usage" in result.stdout, (arguments, result.output)
    assert runner.invoke(main, []).exit_code == 2


def test_short_help_in_any_group():
    """As click keeps the first help option of a command, a group without ``-h`` would take it from all others."""
    command = click.Command("one")
    assert CliRunner().invoke(OneLineErrors(commands={"one": command}), ["one", "-h"]).exit_code == 0


def test_nobody_listens():
    message = refuse("serve", "springs:Springs", "--unix", "beadwise-nobody", "--wait", "0", "--structure", WATER)
    assert "/tmp/ipi_beadwise-nobody" in message


def test_models_by_force_field(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.safetensors").touch()
    assert parse_models([], "water") == {"": "water"}
    assert parse_models(["cheap=mine.safetensors", "package:make"], "water") == {
        "": "package:make",
        "cheap": str(tmp_path / "mine.safetensors"),
    }


def test_serve_an_ipi_started_by_hand(folder):
    folder.write_input(steps=2)
    where = ["--unix", folder.address, "--structure", "input.xml"]
    options = ["--want", "dipole,polarizability", "--threads", "1"]
    environment = {**os.environ, "PYTHONPATH": str(HELPERS), "BEADWISE_TEST": folder.mark}
    serve = [sys.executable, "-m", "beadwise.driver", "serve", "springs:springs", *where, *options]
    settings = {"cwd": folder.path, "env": environment, "text": True, "stdout": subprocess.PIPE}
    with (
        subprocess.Popen([*ipi_command(), "input.xml"], **settings) as ipi,
        subprocess.Popen(serve, stderr=subprocess.PIPE, **settings) as server,
    ):
        output, errors = server.communicate(timeout=60)
        ipi.communicate(timeout=60)
    assert (server.returncode, ipi.returncode, errors) == (0, 0, "")
    assert "springs:springs serves energy, forces, virial, dipole, polarizability" in output
    assert folder.last_step() == 2
    folder.assert_clean()
