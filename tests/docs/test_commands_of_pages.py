"""Every command that the pages show is one that there is: its name, its options, and names of what ships with it."""

import re
import shlex

import click
import pytest
from beadwise.driver.commands.group import main
from places import INPUTS, REPOSITORY, pages_of_documentation

PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", REPOSITORY / "benchmarks" / "README.md"]
PAGES += pages_of_documentation()
BLOCK = re.compile(r"^ *```([^\n`]*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
TERMINAL = ("", "bash", "sh", "text", "console")  # languages of blocks that may hold commands
ENDS = re.compile(r"\s(?:#|&&|\|\||[|;:>&])(?=\s|$)|;(?=\s|$)|\s…")


def commands_of(page):
    """Arguments of each `beadwise …` of a page, in blocks and in sentences."""
    text = page.read_text(encoding="utf-8")
    shown = []
    for language, block in BLOCK.findall(text):
        if language in TERMINAL or language.startswith("{code-cell}"):
            shown += re.sub(r"\\\n\s*", "", block).splitlines()
    shown += [" ".join(span.split()) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", BLOCK.sub("", text))]
    for line in shown:
        found = re.search(r"(?:^|[\s!])beadwise (?=[a-z])(.*)", line)
        if found and not line.lstrip().startswith(("#", "from ", "import ")):
            words = ENDS.split(found[1])[0].rstrip("`.,:;)")
            try:
                yield shlex.split(words)
            except ValueError:  # a quote that an apostrophe of a sentence opens
                yield words.split()


CASES = [(page, arguments) for page in PAGES for arguments in commands_of(page)]


def test_pages_show_commands():
    assert len(CASES) > 150


@pytest.mark.parametrize(
    "page", sorted({page for page, _ in CASES}), ids=lambda page: str(page.relative_to(REPOSITORY))
)
def test_commands_of_a_page(page):
    for arguments in (shown for where, shown in CASES if where == page):
        name, *rest = arguments
        group = click.Context(main, **main.context_settings)  # click keeps the help option that it makes first
        command = main.get_command(group, name)
        assert command is not None, f"`beadwise {' '.join(arguments)}`: there is no command {name}"
        context = click.Context(command, info_name=name, parent=group)
        if rest and rest[-1].startswith("--"):  # an option that a sentence is about, without its value
            rest.append("VALUE")
        try:
            given, _, _ = command.make_parser(context).parse_args(list(rest))
        except click.UsageError as error:
            pytest.fail(f"`beadwise {' '.join(arguments)}`: {error.format_message()}")
        for option in command.params:
            values = given.get(option.name)
            if isinstance(option.type, click.Choice) and isinstance(values, str) and values.islower():
                assert values in option.type.choices, f"`beadwise {' '.join(arguments)}`: {values}"
        if name == "run" and rest and re.fullmatch(r"[a-z_0-9]+", rest[0]) and rest[0] != "RESTART":
            assert (INPUTS / f"{rest[0]}.xml").is_file(), f"`beadwise {' '.join(arguments)}`: no such input"
