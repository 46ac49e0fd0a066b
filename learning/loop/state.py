"""Where active learning stands: what every round did, and which stages are done, on disk after each of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...model import BeadwiseError
from ...reading import json_of, refusing, shown
from ...whole_files import write_text

STATE = "state.json"
FORMAT = 1


class LearnError(BeadwiseError, ValueError):
    """A loop that cannot begin or go on."""


@dataclass
class ExplorationRecord:
    """What one i-PI run of a round found.

    Parameters
    ----------
    name : str
        Of the input, without folders and ending.
    steps, total_steps : int
        Steps that were done, and that the input asks for.
    seen, flagged : int
        Structures that were looked at, one for each bead of each step at the stride, and those above a threshold.
    outcome : str
        ``finished``, ``stopped`` (above the highest threshold that is allowed), or ``broken`` (the model could not
        answer for a structure).
    reason : str
        One line about the end; empty for ``finished``.
    highest_uncertainty : float
        Highest calibrated standard deviation of the force on an atom, in eV/Å per component.
    highest_envelope_distance : float
        Highest distance from the training data, in units of their range.
    seconds : float
        That it took.
    """

    name: str
    steps: int = 0
    total_steps: int = 0
    seen: int = 0
    flagged: int = 0
    outcome: str = "finished"
    reason: str = ""
    highest_uncertainty: float = 0.0
    highest_envelope_distance: float = 0.0
    seconds: float = 0.0


@dataclass
class RoundRecord:
    """What one round did, as it stands in ``state.json``.

    Parameters
    ----------
    number : int
        From 1.
    model : str
        The fitted model file, relative to the folder of the loop.
    training, validation, independent : int
        Frames that were fitted, those that calibrated the committee, and those that are only compared with.
    new, failed : int
        Frames that this round labelled, and those that the reference could not label.
    calibration : dict of str to float
        Factor α by which the spread of the members was multiplied, for each property.
    errors : dict of str to dict of str to float
        Root mean square errors by set (``validation``, ``independent``) and label (``energy`` in meV/atom, ``forces``
        in meV/Å, and so on as `beadwise.learning.fitting.accuracy.report_units`).
    explorations : list of ExplorationRecord
        In the order of the inputs.
    candidate_uncertainties : list of float
        Highest calibrated force uncertainty over the atoms of each candidate, in eV/Å.
    selected_uncertainties : list of float
        The same of the frames that were chosen and labelled, in their order.
    predicted_errors, true_errors : list of float
        Of the frames that were labelled, in the same order, in eV/Å per component: root mean square over the atoms of
        the calibrated force uncertainty, and of the force error of this round's model once the label was known.
    seconds : dict of str to float
        Of each stage: ``fit``, ``evaluate``, ``explore``, ``select``, ``label``.
    """

    number: int
    model: str = ""
    training: int = 0
    validation: int = 0
    independent: int = 0
    new: int = 0
    failed: int = 0
    calibration: dict[str, float] = field(default_factory=dict)
    errors: dict[str, dict[str, float]] = field(default_factory=dict)
    explorations: list[ExplorationRecord] = field(default_factory=list)
    candidate_uncertainties: list[float] = field(default_factory=list)
    selected_uncertainties: list[float] = field(default_factory=list)
    predicted_errors: list[float] = field(default_factory=list)
    true_errors: list[float] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """All of it for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> RoundRecord:
        """Make it of what `as_dict` gave."""
        explorations = [ExplorationRecord(**entry) for entry in content.get("explorations", [])]
        return cls(**{**content, "explorations": explorations})


@dataclass
class State:
    """Where a loop stands, as ``state.json`` has it.

    Parameters
    ----------
    configuration : dict
        What the loop was told.
    rounds : list of RoundRecord
        The last one may be at work.
    done : list of str
        Stages of the last round that are done: ``fit``, ``evaluate``, ``explore NAME`` of each input, ``select``,
        ``label``.
    """

    configuration: dict[str, Any]
    rounds: list[RoundRecord] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    @property
    def record(self) -> RoundRecord:
        """The round at work."""
        return self.rounds[-1]

    def has(self, stage: str) -> bool:
        """Whether any round has done a stage, ``fit`` or ``label``."""
        return len(self.rounds) > 1 or stage in self.done

    def begin_round(self) -> None:
        """Add a round."""
        self.rounds.append(RoundRecord(len(self.rounds) + 1))
        self.done = []

    def save(self, folder: Path) -> None:
        """Write it whole or not at all, also if the machine stops."""
        content = {
            "format": FORMAT,
            "configuration": self.configuration,
            "rounds": [record.as_dict() for record in self.rounds],
            "done": self.done,
        }
        write_whole(folder / STATE, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def load_state(folder: Path) -> State | None:
    """Read where a loop stands; None if it has not begun.

    Raises
    ------
    LearnError
        If the file cannot be read, or is of another version.
    """
    path = folder / STATE
    if not path.exists():
        return None
    with refusing(LearnError, f"cannot read the state of the loop in '{path}'"):
        content = json_of(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise LearnError(f"'{path}' has the format {shown(content['format'])}; this version reads {FORMAT}")
        rounds = [RoundRecord.from_dict(entry) for entry in content["rounds"]]
        return State(content["configuration"], rounds, list(content["done"]))


def write_whole(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all, also if the machine stops.

    Raises
    ------
    LearnError
        If it cannot be written.
    """
    try:
        write_text(path, text, durable=True)
    except OSError as error:
        raise LearnError(f"cannot write '{path}': {error.strerror or error}") from error


def changes(before: Mapping[str, Any], after: Mapping[str, Any], name: str = "") -> dict[str, tuple[Any, Any]]:
    """Settings that differ, by their names such as ``explore.flag``, as they were and as they are."""
    found: dict[str, tuple[Any, Any]] = {}
    for key in sorted({*before, *after}):
        full, old, new = f"{name}{key}", before.get(key), after.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found |= changes(old, new, f"{full}.")
        elif old != new:
            found[full] = (old, new)
    return found
