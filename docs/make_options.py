"""All options of all commands as one table, written by what the commands themselves say: docs/reference/options.md.

python docs/make_options.py
"""

from __future__ import annotations

from pathlib import Path

import click
from beadwise.driver.commands.group import COMMANDS, main

TABLE = Path(__file__).parent / "reference" / "options.md"
HEAD = """# All commands and their options

Written by `python docs/make_options.py`; a test compares it with the commands. An option means the same in every
command that has it, and every command has `--help`. The pages of docs/ tell how commands are used.
"""


def commands() -> dict[str, click.Command]:
    """All commands of ours by name."""
    context = click.Context(main)
    found = {name: main.get_command(context, name) for name in COMMANDS}
    return {name: command for name, command in found.items() if command is not None}


def options_of(command: click.Command) -> list[click.Option]:
    """Options of a command, in the order of its help."""
    return [one for one in command.params if isinstance(one, click.Option)]


def value_of(option: click.Option) -> str:
    """What stands for the value of an option; empty for a flag."""
    return "" if option.is_flag else option.make_metavar(click.Context(main)).strip("[]").replace("|", " or ")


def help_of(option: click.Option) -> tuple[str, str]:
    """The sentence about an option, and its default."""
    text, _, told = (option.help or "").partition("  [default: ")
    default, _, rest = told.partition("]")
    if option.show_default:
        default = f"{option.default:g}" if isinstance(option.default, float) else str(option.default)
    sentences = " ".join(f"{text.rstrip('.')}.{rest.rstrip('.')}{'.' if rest.strip('.') else ''}".split())
    return cell(sentences), cell(default)


def cell(text: str) -> str:
    """Text of a cell, without what would be taken for HTML or for the end of the cell."""
    return text.replace("<", "\\<").replace("|", "\\|")


def usage_of(name: str, command: click.Command) -> str:
    """How a command is called."""
    arguments = [one.make_metavar(click.Context(command)) for one in command.params if isinstance(one, click.Argument)]
    return " ".join(["beadwise", name, *(["[OPTIONS]"] if options_of(command) else []), *arguments])


def table() -> str:
    """The page."""
    lines = [HEAD]
    for name, command in commands().items():
        lines += [f"## {name}", "", f"    {usage_of(name, command)}", "", COMMANDS[name].summary, ""]
        rows = [
            "| "
            + " | ".join((f"`{' '.join(filter(None, (option.opts[0], value_of(option))))}`", *help_of(option)))
            + " |"
            for option in options_of(command)
        ]
        if rows:
            lines += [
                "| option | meaning | default |",
                "|---|---|---|",
                *(row.replace("  |", " |") for row in rows),
                "",
            ]
    lines += ["## Options of several commands", "", "| option | commands |", "|---|---|"]
    for option, names in sorted(shared().items()):
        if len(names) > 1:
            lines.append(f"| `{option}` | {', '.join(names)} |")
    return "\n".join(lines) + "\n"


def shared() -> dict[str, list[str]]:
    """Commands that have an option, by its name."""
    found: dict[str, list[str]] = {}
    for name, command in commands().items():
        for option in options_of(command):
            found.setdefault(option.opts[0], []).append(name)
    return found


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
