"""What all commands have in common: their options, help that is there at once, numbers as JSON."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import click
import pytest
from beadwise.driver.commands.group import COMMANDS, main
from click.testing import CliRunner
from places import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "docs"))

import make_options

HEAVY = {"torch", "matplotlib", "ase", "scipy", "ipi", "jinja2"}
WITH_NUMBERS = {
    "average",
    "check-data",
    "density",
    "evaluate",
    "examples",
    "fit",
    "free-energy",
    "gibbs",
    "harmonic",
    "inspect",
    "isotopes",
    "lambda-integration",
    "mass-integration",
    "nuclei",
    "pigs",
    "profile",
    "promote",
    "report",
    "reweight",
    "spectrum",
    "vibrations",
}
DIFFERENT = {
    "--output": "results are a table and a picture of one name; a report is one file",
    "--unit": "spectrum reads one quantity, whose unit it is; labelled structures have a unit for each label",
    "--model": "run may serve several force fields, each with a model of its own; promote names the one of its runs",
    "--beads": "export chooses among those of a run; run changes how many a shipped input has",
    "--every": "of a run steps are left out, of files frames",
    "--skip": "an export is of the whole run unless it is told otherwise; averages leave out the beginning",
    "--want": "serve and run send to i-PI; export writes",
    "--temperature": "run sets that of a shipped input; spectra and masses are told it where no input tells it",
    "--harmonic": "lambda-integration needs it with --prepare only",
    "--from": "of isotopes a label, of profiles a range, of gibbs a temperature",
    "--to": "of isotopes a label, of profiles a range",
    "--interval": "watch looks again after so many seconds, pigs takes frames so far apart",
    "--prepare": "pigs makes one input of one, integrations one for each node",
    "--timestep": "spectrum is told the time between samples, nuclei chooses that of a run",
    "--highest": "spectra end there, nuclei makes thermostats for vibrations up to there",
    "--reference": "average takes shieldings of standards, promotion a model",
    "--samples": "promote takes so many of all runs together, isotopes of each",
    "--profile": "run has nothing else to say which variable; reweight may make it of any variable, by --variable",
}


def test_the_table_is_that_of_the_commands():
    assert make_options.TABLE.read_text(encoding="utf-8") == make_options.table()


def test_an_option_means_the_same_everywhere():
    found: dict[str, dict[str, tuple]] = {}
    for name, command in make_options.commands().items():
        for option in make_options.options_of(command):
            kind = option.type.to_info_dict()
            described = (str(kind), option.metavar, option.help, option.default, option.is_flag, option.multiple)
            found.setdefault(option.opts[0], {})[name] = described
    unlike = {option for option, own in found.items() if len(set(own.values())) > 1}
    assert unlike == set(DIFFERENT)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_in_whole_sentences(name):
    command = make_options.commands()[name]
    assert command.help.splitlines()[0] == COMMANDS[name].summary
    for option in make_options.options_of(command):
        assert re.match(r"[A-Z].*[.\]]$", option.help or "", re.DOTALL), option.opts
        assert option.is_flag or option.metavar or isinstance(option.type, click.Choice), option.opts


@pytest.mark.parametrize("arguments", [[], *([name] for name in COMMANDS)], ids=" ".join)
def test_help_imports_nothing_that_takes_long(arguments):
    program = f"""
import sys
from beadwise.driver.commands.group import main
try:
    main({[*arguments, "--help"]!r}, prog_name="beadwise")
except SystemExit:
    print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == "[]\n"


def test_commands_that_give_numbers_give_them_as_json():
    assert {name for name, own in make_options.shared().items() if name == "--json"} == {"--json"}
    assert set(make_options.shared()["--json"]) == WITH_NUMBERS


def test_json_alone_goes_to_standard_output():
    done = CliRunner().invoke(main, ["inspect", "water", "--json", "-"])
    assert json.loads(done.stdout)["species"] == ["H", "O"]
    refused = CliRunner().invoke(main, ["inspect", "water", "--json"])
    assert refused.exit_code == 2 and "requires an argument" in refused.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--spectrm", "ir"], "No such option '--spectrm' of 'beadwise run'; did you mean '--spectrum'?"),
        (["spectrum", "raamn", "a"], "'sfg', 'dos', 'dielectric'; did you mean 'raman'?"),
        (
            ["run", "--spectrum", "ramn"],
            "'ramn' is no spectrum; allowed are ir,raman,sfg,dielectric, none; did you mean 'raman'?",
        ),
        (["serve", "water", "--want", "dipol"], "; did you mean 'dipole'"),
        (["reweight", "a", "--method", "dirct"], "; did you mean 'direct'?"),
        (["profile", "a", "--energy-unit", "kcal"], "; did you mean 'kcal/mol'"),
        (["inspct"], "; did you mean 'inspect'?"),
        (["run", "watr"], "; did you mean 'water'"),
    ],
)
def test_the_nearest_name_is_told(arguments, message):
    done = CliRunner().invoke(main, arguments, prog_name="beadwise")
    assert done.exit_code == 2 and done.output.count("\n") == 1 and message in done.output


def test_a_server_imports_only_what_it_needs():
    program = """
import sys
from beadwise.driver.commands.group import main
try:
    main(["serve", "water", "--unix", "beadwise-nobody", "--wait", "0"])
except SystemExit:
    heavy = {"torch", "matplotlib", "ipi", "ase.io", "ase.neighborlist", "scipy"}
    print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.endswith("\n[]\n") and "no i-PI is listening" in done.stderr
