"""The options of a command as words, for those who go on with its work."""

import shlex

import click
import pytest
from beadwise.driver.commands.option_groups.given_options import GIVEN, OptionOfCopy, RememberingCommand

OPTIONS = [
    click.Option(["--model"], multiple=True),
    click.Option(["--threads"], type=int),
    click.Option(["--no-report"], is_flag=True),
    OptionOfCopy(["--beads"]),
]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--no-report --threads 2", "--threads 2 --no-report"),
        ("--model 'my model' --model b --beads 3", "--model 'my model' --model b"),
        ("", ""),
    ],
)
def test_options_are_words_of_a_command_line(line, words):
    """A flag has no value."""
    context = RememberingCommand("run", params=OPTIONS).make_context("run", shlex.split(line))
    assert shlex.join(context.meta[GIVEN]) == words
