"""The list of commands: what it says of each, what it imports, commands of other packages, and names that are none."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest
from beadwise.driver.commands.group import COMMANDS, main
from beadwise.driver.launch.shipped_inputs import shipped_inputs
from click.testing import CliRunner
from packages import install
from test_run import one_line

SOURCE = """
import click


@click.command()
@click.argument("name")
def hello(name):
    '''Say hello.'''
    click.echo(f"hello {name}")


text = "no command"
"""
OPTIONAL = ("torch", "tblite", "dask", "distributed", "mpi4py", "pymbar")


@pytest.fixture
def package(tmp_path, monkeypatch):
    places = {"hello": "added_commands:hello", "text": "added_commands:text", "absent": "added_commands:absent"}
    places |= {"missing": "no_such_package:command", "run": "added_commands:hello"}
    install(tmp_path, "added_commands", SOURCE, beadwise_commands=places)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "added_commands", raising=False)
    monkeypatch.chdir(tmp_path)


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2, result.output
    return one_line(result.stderr)


def modules_after(*commands: list[str]) -> set[str]:
    """Modules that are imported by a program of its own, which runs these commands."""
    program = (
        "import contextlib, io, json, sys\n"
        "from beadwise.driver.commands.group import main\n"
        f"for arguments in {list(commands)}:\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as output, contextlib.suppress(SystemExit):\n"
        "        main(arguments)\n"
        "    assert 'Usage' in output.getvalue()\n"
        "print(json.dumps(list(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("name", COMMANDS)
def test_each_line_is_the_first_sentence_of_its_help(name):
    place = COMMANDS[name]
    command = main.get_command(click.Context(main), name)
    assert isinstance(command, click.Command) and command.name == name
    assert command.help is not None
    assert place.summary == " ".join(command.help.partition("\n\n")[0].split()).partition(". ")[0]


def test_the_list_imports_nothing_that_is_slow():
    modules = modules_after(["--help"])
    slow = {"numpy", "scipy", "ase", "ipi", "matplotlib", "rich", *OPTIONAL}
    assert not slow & modules
    rooms = {name.split(".")[1] for name in modules if name.startswith("beadwise.")}
    assert rooms == {"driver", "errors", "plugins", "suggestions"}


def test_commands_import_no_optional_package():
    assert not set(OPTIONAL) & modules_after(*([name, "--help"] for name in COMMANDS))


def test_a_command_of_another_package(package):
    result = CliRunner().invoke(main, ["hello", "beads"])
    assert (result.exit_code, result.stdout) == (0, "hello beads\n")
    listed = CliRunner().invoke(main, ["--help"]).stdout
    assert "(of added_commands)" in listed and "(of no_such_package)" in listed  # nothing was imported for it
    assert "Say hello" in CliRunner().invoke(main, ["hello", "-h"]).stdout


def test_none_takes_the_place_of_ours(package):
    assert "Run i-PI and its servers together" in CliRunner().invoke(main, ["run", "-h"]).stdout


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", "the command 'missing' of no_such_package:command cannot be imported: No module named"),
        ("absent", "the command 'absent' of added_commands:absent cannot be imported"),
        ("text", "the command 'text' of added_commands:text is str; it must be Command"),
        ("helo", "No such command 'helo'; allowed are absent, average, check-data, "),
        ("helo", "; did you mean 'hello'"),
    ],
)
def test_those_that_fail_say_so_in_one_line(package, name, message):
    assert message in refused(name)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["spectra"], "No such command 'spectra'; allowed are average, check-data, "),
        (["spectra"], "; did you mean 'spectrum'"),
        (["run", "watr"], "no input 'watr': give a file, or one of the shipped inputs ["),
        (["run", "watr"], "; did you mean 'water'"),
        (["run", "torsion_ops"], "; did you mean 'torsion_opes'"),
        (["serve", "watr", "--unix", "a"], "; did you mean 'water'"),
        (["inspect", "ethanl"], "; did you mean 'ethanol' or 'ethene'?"),
        (["inspect", "qtip4pf"], "'qtip4pf' is not read from a model file"),
    ],
)
def test_the_nearest_names_are_told(tmp_path, monkeypatch, arguments, hint):
    monkeypatch.chdir(tmp_path)
    assert hint in refused(*arguments)
    assert not list(tmp_path.iterdir())


def test_nothing_is_guessed_where_nothing_is_near(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "did you mean" not in refused("0000")
    assert refused("run", "0000").strip().endswith(str(shipped_inputs()))
