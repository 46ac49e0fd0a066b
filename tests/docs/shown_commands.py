"""The commands that README and the pages show, and whether what they name is there: programs, options, files."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import click
from beadwise.driver.commands.group import main
from places import REPOSITORY, pages_of_documentation

BLOCK = re.compile(r"^(?P<fence>`{3,})(?P<language>[^\n]*)\n(?P<text>.*?)^(?P=fence) *$", re.MULTILINE | re.DOTALL)
LANGUAGES = ("", "sh", "bash", "shell", "console")
PROGRAMS = r"(?:beadwise|python3?)"
# at the begin of a line, or behind what may stand in front of a command
COMMAND = re.compile(rf"(?:^|&& |; |\bdo |\$\(|: -n \d+ |^mpiexec -n \d+ |^\$ ){PROGRAMS} [-\w./]")
ENDS = ("&&", "||", ";", "|", ">", ":")  # of one command in a line of several
FOLDERS = ("docs", "inputs", "benchmarks", "fuzz", "tests")


@dataclass(frozen=True)
class Shown:
    """One line with a command, as all pages show it that do."""

    line: str
    pages: tuple[str, ...]


def pages() -> list[Path]:
    """README and all pages of the documentation but the tutorials, which are run as they are."""
    return [REPOSITORY / "README.md", *pages_of_documentation("tutorials")]


def lines_of(page: Path) -> list[str]:
    """Lines with commands in the blocks of a page, without comments and with continued lines joined."""
    found = []
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        if block["language"].strip() in LANGUAGES:
            for line in re.sub(r"\s*\\\n\s*", " ", block["text"]).splitlines():
                plain = re.sub(r"\s+#\s.*$", "", line).strip().removeprefix("$ ")
                if COMMAND.search(plain):
                    found.append(plain)
    return found


def shown_commands() -> dict[str, Shown]:
    """All lines with commands, each once."""
    found: dict[str, list[str]] = {}
    for page in pages():
        for line in lines_of(page):
            found.setdefault(line, []).append(str(page.relative_to(REPOSITORY)))
    return {line: Shown(line, tuple(dict.fromkeys(where))) for line, where in found.items()}


def commands_in(line: str) -> list[list[str]]:
    """The words of each call of ``beadwise`` or Python in a line."""
    text = line.replace("$(", " ; ").replace(")", " ; ").replace(";", " ; ")
    words, calls, current = shlex.split(text), [], None
    for word in words:
        if word in ENDS:
            current = None
        elif current is not None:
            current.append(word)
        elif re.fullmatch(PROGRAMS, word):
            current = [word]
            calls.append(current)
    return calls


def problem_of(call: list[str]) -> str:
    """What a call names that is not there; empty if nothing."""
    if call[0] == "beadwise":
        return problem_of_beadwise(call[1:])
    if call[1] == "-m":
        return ""
    script = REPOSITORY / call[1].removeprefix("REPOSITORY/")
    if not script.is_file():
        return f"there is no script {call[1]}"
    text = script.read_text(encoding="utf-8")
    missing = [word for word in call[2:] if word.startswith("--") and word.partition("=")[0] not in text]
    return f"{call[1]} has no option {missing[0]}" if missing else ""


def problem_of_beadwise(words: list[str]) -> str:
    """The same of ``beadwise``: a command, options, their values, and files of the repository that it names."""
    context = click.Context(main, **main.context_settings)  # click keeps the help option that it makes first
    command = main.get_command(context, words[0])
    if command is None:
        return f"there is no command beadwise {words[0]}"
    own = click.Context(command, info_name=words[0], parent=context)
    try:
        given, rest, _ = command.make_parser(own).parse_args(list(words[1:]))
        if rest:
            return f"beadwise {words[0]} does not take {rest}"
        for parameter in command.params:
            if parameter.name in given and not isinstance(parameter.type, click.Path):
                parameter.process_value(own, given[parameter.name])
    except click.UsageError as error:
        return error.format_message()
    named = [word for word in words if word.partition("/")[0] in FOLDERS and "/" in word]
    missing = [word for word in named if not (REPOSITORY / word).exists()]
    return f"there is no file {missing[0]}" if missing else ""
