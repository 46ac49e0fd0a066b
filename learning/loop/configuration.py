"""What active learning is told: the TOML file of ``beadwise learn``, checked key by key."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from ...model.worker_processes import usable_cores
from ...reading import refusing, toml_of
from ...suggestions import did_you_mean
from ..data import DataError, Reading
from ..fitting.configuration import Configuration, ConfigurationError, read_configuration, section

Settings = TypeVar("Settings")

OWN_IN_FIT = ("data", "output")  # tables of a fit that the loop writes itself
KINDS = ("diverse", "random")
STARTS = ("input", "known")


@dataclass(frozen=True)
class StartSettings:
    """What is known before the first round.

    ``count`` frames, 0 for all, are drawn from the files ``frames``.  Those of ``independent`` are only compared with;
    where a file stands in both, the frames that were not drawn are independent.  The part ``validation`` of the start
    and of each round's labels is never fitted: it calibrates the committee.  ``keys``, ``units`` and ``orders`` say how
    labels are read, as in `[data]` of a fit.
    """

    frames: list[str]
    count: int = 0
    seed: int = 0
    independent: list[str] = field(default_factory=list)
    validation: float = 0.2
    keys: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    orders: dict[str, str] = field(default_factory=dict)

    @property
    def reading(self) -> Reading:
        """What is said of the labels; DataError if that cannot be."""
        return Reading(self.keys, self.units, self.orders)


@dataclass(frozen=True)
class ExploreSettings:
    """i-PI runs of each round, and which of their structures are flagged or end them.

    Every bead of each ``stride``-th step is looked at.  ``flag`` and ``stop`` are calibrated standard deviations of the
    force on the worst atom in eV/Å per component, ``envelope_flag`` and ``envelope_stop`` distances from the training
    data in units of their range.  Runs start from the ``input``'s own structure, or from a random one of the ``known``
    start frames.  ``threads`` 0 stands for all cores.
    """

    inputs: list[str]
    flag: float
    stop: float
    stride: int = 10
    envelope_flag: float = 0.5
    envelope_stop: float = 5.0
    start: str = "input"
    threads: int = 0

    @property
    def threads_to_use(self) -> int:
        """Threads of an evaluation, all cores where none are named."""
        return self.threads or usable_cores()


@dataclass(frozen=True)
class SelectSettings:
    """How many ``frames`` get a label in each round, and whether they are ``diverse`` uncertain or ``random`` ones."""

    frames: int = 20
    kind: str = "diverse"


@dataclass(frozen=True)
class StopSettings:
    """When the loop ends: after so many ``rounds``, or below errors that are not 0, in eV/Å and eV per atom."""

    rounds: int = 10
    force_error: float = 0.0
    energy_error: float = 0.0


@dataclass(frozen=True)
class LearnOutputSettings:
    """Where the final model and everything else goes, relative to the configuration file."""

    model: str
    folder: str = "learn"


@dataclass(frozen=True)
class LearnConfiguration:
    """All of a configuration file of ``beadwise learn``.

    Parameters
    ----------
    path : Path
        The file.
    start, explore, select, stop, output
        Its sections of these names.
    fit : dict
        Tables of a fit without ``data`` and ``output``.
    label : dict
        Table for the reference.
    """

    path: Path
    start: StartSettings
    explore: ExploreSettings
    select: SelectSettings
    stop: StopSettings
    output: LearnOutputSettings
    fit: dict[str, Any]
    label: dict[str, Any]

    @property
    def base(self) -> Path:
        """Folder that paths in it are relative to."""
        return self.path.parent

    @property
    def folder(self) -> Path:
        """Where the loop keeps everything."""
        return self.base / self.output.folder

    @property
    def baseline(self) -> str:
        """Name of the potential that the models correct; empty if their energy is the whole."""
        energy = self.fit.get("energy")
        return str(energy.get("baseline", "")) if isinstance(energy, Mapping) else ""

    def as_dict(self) -> dict[str, Any]:
        """What was set, section by section, defaults included, for JSON."""
        own = {name: dict(vars(getattr(self, name))) for name in SECTIONS}
        return {**own, "fit": self.fit, "label": self.label}


SECTIONS: dict[str, type] = {
    "start": StartSettings,
    "explore": ExploreSettings,
    "select": SelectSettings,
    "stop": StopSettings,
    "output": LearnOutputSettings,
}
NEEDED = ("start", "fit", "explore", "label", "output")


def read_learn_configuration(path: str | Path) -> LearnConfiguration:
    """Read and check a configuration file of ``beadwise learn``.

    Raises
    ------
    ConfigurationError
        Naming the section, the key and what is allowed there.
    """
    path = Path(path)
    content = _read_toml(path)
    allowed = [*SECTIONS, "fit", "label"]
    unknown = sorted(set(content) - set(allowed))
    if unknown:
        hint = did_you_mean(unknown[0], allowed)
        raise ConfigurationError(f"{path}: unknown section {unknown}; allowed are {allowed}{hint}")
    for name in NEEDED:
        if not isinstance(content.get(name), dict):
            raise ConfigurationError(f"{path}: a section [{name}] is needed")
    own: dict[str, Any] = {name: _settings(path, name, kind, content.get(name, {})) for name, kind in SECTIONS.items()}
    settings = LearnConfiguration(path, fit=_fit_tables(path, content["fit"]), label=content["label"], **own)
    _check(settings)
    return settings


def fit_configuration(tables: Mapping[str, Any], file: Path, train: str, validation: str, model: str) -> Configuration:
    """Write the configuration of one fit as ``beadwise fit`` takes it, and read it.

    Parameters
    ----------
    tables : mapping
        ``fit`` of a `LearnConfiguration`.
    file : Path
        TOML file that is written.
    train, validation, model : str
        Data files and the model, relative to it; no validation if the name is empty.

    Raises
    ------
    ConfigurationError
        If the fit does not allow it.
    """
    data = {"train": [train], "validation": [validation] if validation else []}
    output = {"model": model, "baselines": "../baselines"}
    file.write_text(as_toml({"data": data, **tables, "output": output}), encoding="utf-8")
    return read_configuration(file)


def as_toml(tables: Mapping[str, Any]) -> str:
    """Write tables of numbers, texts, truths, lists and further tables as TOML."""
    lines: list[str] = []
    _add_table(lines, (), tables)
    return "\n".join(lines).lstrip("\n") + "\n"


def _add_table(lines: list[str], name: tuple[str, ...], table: Mapping[str, Any]) -> None:
    if name:
        lines += ["", f"[{'.'.join(map(json.dumps, name))}]"]
    inner = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    lines += [f"{json.dumps(key)} = {_value(value)}" for key, value in table.items() if key not in inner]
    for key, value in inner.items():
        _add_table(lines, (*name, key), value)


def _value(value: Any) -> str:
    """One value; a text of JSON is a text of TOML, and so are whole numbers and truths."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {_value(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (str, bool, int)) else repr(value)


def _read_toml(path: Path) -> dict[str, Any]:
    with refusing(ConfigurationError, f"cannot read the configuration {path}"):
        return toml_of(path)


def _settings(path: Path, name: str, kind: type[Settings], values: dict[str, Any]) -> Settings:
    """One section, with what it lacks named."""
    needed = [entry.name for entry in fields(kind) if _is_needed(entry)]  # type: ignore[arg-type]
    missing = [key for key in needed if isinstance(values, dict) and key not in values]
    known = {entry.name for entry in fields(kind)}  # type: ignore[arg-type]
    if missing and set(values) <= known:  # a key with a wrong name may be the one that is missing
        raise ConfigurationError(f"{path}: [{name}] needs {missing}")
    return section(path, name, kind, values)


def _is_needed(entry: Any) -> bool:
    return entry.default is MISSING and entry.default_factory is MISSING


def _fit_tables(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Tables of the fit: inline, or those of a configuration file of ``beadwise fit``."""
    if "configuration" in values:
        if len(values) > 1 or not isinstance(values["configuration"], str):
            raise ConfigurationError(
                f"{path}: [fit] has configuration = {values['configuration']!r}; it is a file name and stands alone"
            )
        other = _read_toml(path.parent / values["configuration"])
        tables = {name: table for name, table in other.items() if name not in OWN_IN_FIT}
    else:
        tables = dict(values)
    own = sorted(set(tables) & set(OWN_IN_FIT))
    if own:
        raise ConfigurationError(f"{path}: {own} in [fit]; data and output of the fits are the loop's own")
    if "energy" not in tables:
        raise ConfigurationError(f"{path}: [fit] needs a table [fit.energy]; the runs need forces")
    if "committee" not in tables:
        raise ConfigurationError(f"{path}: [fit] needs a table [fit.committee]; its members tell the uncertainty")
    if isinstance(tables["committee"], dict) and tables["committee"].get("model"):
        raise ConfigurationError(
            f"{path}: model = {tables['committee']['model']!r} in [fit.committee]; each round fits a model of its own"
        )
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "fit.toml"
        try:
            fit_configuration(tables, trial, "train.xyz", "validation.xyz", "model.safetensors")
        except ConfigurationError as error:
            raise ConfigurationError(str(error).replace(str(trial), f"{path}, [fit]")) from error
    return tables


def _check(settings: LearnConfiguration) -> None:
    """Refuse values that make no loop."""
    path, start, explore, select, stop = (
        settings.path, settings.start, settings.explore, settings.select, settings.stop,
    )  # fmt: skip
    try:
        _ = start.reading
    except DataError as error:
        raise ConfigurationError(f"{path}: {error}, in [start]") from error
    if not start.frames:
        raise ConfigurationError(f"{path}: frames = [] in [start]; at least one file is needed")
    if not 0 < start.validation < 1:
        raise ConfigurationError(
            f"{path}: validation = {start.validation} in [start]; allowed is a part between 0 and 1: the committee is "
            "calibrated on it"
        )
    if not explore.inputs:
        raise ConfigurationError(f"{path}: inputs = [] in [explore]; at least one i-PI input is needed")
    names = [Path(name).stem for name in explore.inputs]
    if len(set(names)) < len(names):
        raise ConfigurationError(f"{path}: inputs = {explore.inputs} in [explore]; their names must differ")
    if explore.stride < 1:
        raise ConfigurationError(f"{path}: stride = {explore.stride} in [explore]; at least 1 is needed")
    for low, high in (("flag", "stop"), ("envelope_flag", "envelope_stop")):
        lower, upper = getattr(explore, low), getattr(explore, high)
        if not 0 < lower < upper:
            raise ConfigurationError(
                f"{path}: {low} = {lower} and {high} = {upper} in [explore]; {low} must be above 0 and below {high}"
            )
    for name, key, value, allowed in (
        ("explore", "start", explore.start, STARTS),
        ("select", "kind", select.kind, KINDS),
    ):
        if value not in allowed:
            hint = did_you_mean(str(value), allowed)
            raise ConfigurationError(f"{path}: {key} = '{value}' in [{name}]; allowed are {list(allowed)}{hint}")
    if select.frames < 1 or stop.rounds < 1:
        raise ConfigurationError(
            f"{path}: frames = {select.frames} in [select] and rounds = {stop.rounds} in [stop]; each must be at least "
            "1"
        )
