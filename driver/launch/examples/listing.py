"""What ships: inputs, models, recipes of fits and of active learning, job scripts; what each is and how large."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

from ....model.description import describe_model
from ....model.files import shipped_models
from ....runs.input.run_input import RunInput
from ..shipped_inputs import INPUTS, example_of, shipped_inputs

if TYPE_CHECKING:
    from rich.console import RenderableType

RECIPE, SCRIPT = ".toml", ".sh"
COMMENT = re.compile(r"\s*<!--(.*?)-->", re.DOTALL)  # at the beginning of an input
SENTENCE = re.compile(r".*?\.(?=\s|$)")


@dataclass(frozen=True)
class Shipped:
    """One thing that ships.

    Parameters
    ----------
    kind : str
        ``input``, ``model``, ``recipe`` or ``job script``.
    name : str
        What it is copied, or used, by.
    size : str
        How large it is: of a run what it simulates, of a model its species and its file.
    about : str
        What it is.
    """

    kind: str
    name: str
    size: str
    about: str


def shipped_things() -> list[Shipped]:
    """All that ships, the inputs first."""
    with ExitStack() as stack:
        folder = stack.enter_context(as_file(files(INPUTS)))
        inputs = [_input(name, folder) for name in shipped_inputs()]
        models = [_model(name) for name in shipped_models()]
        recipes = [_text("recipe", path) for path in sorted(folder.glob(f"*{RECIPE}"))]
        return [*inputs, *models, *recipes, *(_text("job script", path) for path in sorted(folder.glob(f"*{SCRIPT}")))]


def table_of(things: Sequence[Shipped]) -> RenderableType:
    """A table for people, by kind."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_edge=False)
    for column in ("", "name", "size", "what it is"):
        table.add_column(column, overflow="fold", no_wrap=column in ("", "name"))
    before = ""
    for thing in things:
        table.add_row(thing.kind if thing.kind != before else "", thing.name, thing.size, thing.about)
        before = thing.kind
    return table


def _input(name: str, folder: Path) -> Shipped:
    path = folder / f"{name}.xml"
    run = RunInput.read(path, folder)
    system = run.systems[0]
    several = f"{len(run.systems)} x " if len(run.systems) > 1 else ""
    length = run.total_steps * system.timestep_for("an input is described") / 1000
    size = f"{several}{len(system.labels)} atoms, {system.beads} bead{'s' * (system.beads > 1)}, {length:g} ps"
    example = example_of(name)
    models = ", ".join(dict.fromkeys([example.model, *example.models.values()]))
    comment = COMMENT.match(path.read_text(encoding="utf-8"))
    about = "" if comment is None else _sentence(comment[1])
    return Shipped("input", name, size, f"{about} Model: {models}.")


def _model(name: str) -> Shipped:
    described = describe_model(name)
    size = f"{', '.join(described['species'])}, {described['bytes'] / 1000:.0f} kB"
    return Shipped("model", name, size, str(described["metadata"].get("title", "")))


def _text(kind: str, path: Path) -> Shipped:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# ")]
    about = " ".join(line.removeprefix("# ") for line in lines[:3])
    return Shipped(kind, path.name, f"{path.stat().st_size / 1000:.0f} kB", _sentence(about))


def _sentence(text: str) -> str:
    """The first sentence of a text, in one line."""
    words = " ".join(text.split())
    found = SENTENCE.match(words)
    return words if found is None else found[0]
