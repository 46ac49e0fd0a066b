"""Facts about a run from its input and the state of its files: what it is, how far it is, whether it goes on."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from ase.formula import Formula

from ...errors import BeadwiseError
from ...runs.input.run_input import RunInput, System

QUIET = 60.0  # seconds without a change of any file, after which a run is taken to have stopped
LONGEST_TEXT = 600  # characters of an element, of which a RESTART has millions
MOST_INPUT = 60_000  # characters of an input that is shown as it is

Value = TypeVar("Value")


def known(value: Callable[[], Value]) -> Value | None:
    """What an input says; None where it cannot be read: that is told where it is needed."""
    try:
        return value()
    except BeadwiseError:
        return None


def facts_of(run: RunInput, system: System | None) -> dict[str, Any]:
    """What a run was told, as `beadwise.analysis.report` says."""
    facts: dict[str, Any] = {
        "folder": str(run.folder.absolute()),
        "file": run.path.name,
        "total_steps": known(lambda: run.total_steps),
        "systems": len(run.systems),
    }
    if system is None:
        nothing = ("atoms", "formula", "beads", "temperature", "timestep", "cell")
        return facts | dict.fromkeys(nothing) | {"dynamics": ""}
    labels = known(lambda: system.labels) or ()
    cell = known(lambda: system.cell)
    return facts | {
        "atoms": len(labels) or None,
        "formula": formula_of(labels) if labels else None,
        "beads": known(lambda: system.beads),
        "temperature": known(lambda: system.temperature),
        "timestep": known(lambda: system.timestep),
        "dynamics": known(lambda: system.name_of_dynamics) or "",
        "cell": None if cell is None else np.round(cell, 5).tolist(),
    }


def formula_of(labels: Iterable[str]) -> str:
    """How many atoms of each label, carbon and hydrogen first, ``C2H6O``."""
    counts: dict[str, int] = {}
    for label in labels:
        counts[label] = counts.get(label, 0) + 1
    try:
        return str(Formula.from_dict(counts).format("hill"))
    except ValueError:  # labels that are no elements
        return "".join(f"{label}{count if count > 1 else ''}" for label, count in sorted(counts.items()))


def outputs_of(run: RunInput, system: System | None) -> list[Path]:
    """Files that a run writes now and then, whether they are there or not."""
    names = list(known(lambda: run.property_files) or ())
    if system is not None:
        beads = known(lambda: system.beads) or 1
        for one in known(lambda: system.extras_outputs) or ():
            names += one.files(beads)[:1]
        for trajectory in known(lambda: system.trajectory_outputs) or ():
            name = trajectory.written.files(beads)[0]
            names += [f"{name}.{trajectory.form}", f"{trajectory.written.name}.{trajectory.form}"]
    return [*(run.folder / name for name in names), log_of(run), run.folder / "RESTART"]


def log_of(run: RunInput) -> Path:
    """Where `beadwise run` keeps what i-PI prints."""
    return run.folder / f"{run.prefix or 'i-pi'}.log"


def last_change(files: Iterable[Path]) -> float | None:
    """When one of these files was changed for the last time, in seconds since 1970; None if there is none."""
    times = [status.st_mtime for path in files if (status := _status(path)) is not None]
    return max(times, default=None)


def _status(path: Path) -> Any:
    try:
        return path.stat()
    except OSError:
        return None


def state_of(step: int | None, total: int | None, changed: float | None, said: str) -> tuple[str, str]:
    """Whether a run goes on, and a sentence about it.

    Parameters
    ----------
    step, total : int or None
        Reached, and wanted.
    changed : float or None
        When one of its files was changed for the last time.
    said : str
        What `beadwise run` wrote down of its end; empty if nothing.
    """
    where = "at an unknown step" if step is None else f"at step {step}" + (f" of {total}" if total else "")
    if step is not None and total and step >= total:
        return "finished", f"The run has done all of its {total} steps."
    if said:
        return "stopped", f"The run ended {where}: {said}."
    if changed is None:
        return "unknown", "No output of the run was found."
    silent = time.time() - changed
    if silent < QUIET:
        return "running", f"The run goes on, {where}."
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(changed))
    return "stopped", f"The run has stopped {where}: no file was changed after {when}."


def input_of(run: RunInput) -> dict[str, str]:
    """The input that was given, or what the RESTART says of it, with long lists shortened."""
    given = run
    if run.path.name == "RESTART" or run.path.suffix != ".xml":
        inputs = [own for path in sorted(run.folder.glob("*.xml")) if (own := known(lambda p=path: RunInput.read(p)))]  # type: ignore[misc]
        given = next((own for own in inputs if own.prefix == run.prefix), run)
    try:
        text = given.path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return {"name": given.path.name, "text": f"cannot be read: {error.strerror}"}
    return {"name": given.path.name, "text": text if len(text) <= MOST_INPUT else shortened(given.root)}


def shortened(root: ElementTree.Element) -> str:
    """An input as text, without the middle of long lists of numbers."""
    copy = ElementTree.fromstring(ElementTree.tostring(root))
    for element in copy.iter():
        if element.text and len(element.text) > LONGEST_TEXT:
            words = element.text.split()
            element.text = f" {' '.join(words[:4])} … {len(words)} words in all … {' '.join(words[-2:])} "
    return ElementTree.tostring(copy, encoding="unicode")
