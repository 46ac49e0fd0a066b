"""What active learning is told: the TOML file of ``beadwise learn``, checked key by key."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from ...model.worker_processes import usable_cores
from ...reading import refusing, toml_of
from ...schema import FileName, about, sections_schema, settings_of, table_schema
from ...suggestions import did_you_mean
from ..data import DataError, Reading
from ..data.reading import names_of_keys, names_of_orders, names_of_units
from ..fitting.configuration import Configuration, ConfigurationError, fit_schema, read_configuration, refusal
from ..labels.settings import label_schema

OWN_IN_FIT = ("data", "output")  # tables of a fit that the loop writes itself
NEEDED_IN_FIT = ("energy", "committee")


@dataclass(frozen=True)
class StartSettings:
    """What is known before the first round.

    Where a file stands among ``frames`` and ``independent``, the frames that were not drawn are independent.
    """

    frames: Annotated[list[FileName], about("Files with labelled frames to start from.", min_length=1)]
    count: Annotated[int, about("Number of frames that are drawn from them at random; 0 takes all.", ge=0)] = 0
    seed: Annotated[int, about("Seed of this and of every other random choice of the loop.", ge=0)] = 0
    independent: Annotated[
        list[FileName],
        about(
            "Files with frames that are never fitted: the errors on them tell when the goal is reached. Frames that "
            "were drawn to start from are left out.",
        ),
    ] = field(default_factory=list)
    validation: Annotated[
        float,
        about(
            "Fraction of the start frames, and of the labels of each round, that is not fitted: the committee is "
            "calibrated on it.",
            gt=0,
            lt=1,
        ),
    ] = 0.2
    keys: Annotated[
        dict[str, str], about("As `keys` in `[data]` of a fit, for the start frames.", names=names_of_keys)
    ] = field(default_factory=dict)
    units: Annotated[
        dict[str, str], about("As `units` in `[data]` of a fit, for the start frames.", names=names_of_units)
    ] = field(default_factory=dict)
    orders: Annotated[
        dict[str, str], about("As `orders` in `[data]` of a fit, for the start frames.", names=names_of_orders)
    ] = field(default_factory=dict)

    @property
    def reading(self) -> Reading:
        """What is said of the labels; DataError if that cannot be."""
        return Reading(self.keys, self.units, self.orders)


@dataclass(frozen=True)
class ExploreSettings:
    """The i-PI runs of each round, and which of their structures may get a label."""

    inputs: Annotated[
        list[FileName],
        about(
            "Inputs of i-PI, each with one `<ffsocket>`, mode unix or shm; their names must differ. Files "
            "that they name are copied.",
            min_length=1,
        ),
    ]
    flag: Annotated[
        float,
        about(
            "A structure may get a label where the calibrated uncertainty of the force on its worst atom, per "
            "component, is above this.",
            unit="eV/Å",
            gt=0,
        ),
    ]
    stop: Annotated[
        float,
        about("The run ends where that uncertainty is above this; it must be larger than `flag`.", unit="eV/Å", gt=0),
    ]
    stride: Annotated[int, about("Number of steps from one look at all beads to the next.", ge=1)] = 10
    envelope_flag: Annotated[
        float,
        about(
            "A structure may get a label, too, where the density of its worst atom is farther than this outside the "
            "range of the training data, in units of that range.",
            gt=0,
        ),
    ] = 0.5
    envelope_stop: Annotated[
        float,
        about("The run ends where that distance is above this; it must be larger than `envelope_flag`.", gt=0),
    ] = 5.0
    start: Annotated[
        Literal["input", "known"],
        about(
            "Where each run starts: `input` is the structure of the input, `known` a random one of the start frames, "
            "which then must have the atoms of the input.",
        ),
    ] = "input"
    threads: Annotated[int, about("Number of threads of the model; 0 takes all cores.", ge=0)] = 0

    @property
    def threads_to_use(self) -> int:
        """Threads of an evaluation, all cores where none are named."""
        return self.threads or usable_cores()


@dataclass(frozen=True)
class SelectSettings:
    """Which structures get a label in each round."""

    frames: Annotated[int, about("Number of structures that get a label in each round, at most.", ge=1)] = 20
    kind: Annotated[
        Literal["diverse", "random"],
        about(
            "`diverse` takes uncertain structures that differ from what is known and from each other. `random` draws "
            "from all structures that were looked at, for a comparison.",
        ),
    ] = "diverse"


@dataclass(frozen=True)
class StopSettings:
    """When the loop ends.

    The errors are those on the independent frames if there are any, else on the validation frames.
    """

    rounds: Annotated[int, about("Number of rounds of labels, after which the loop ends in any case.", ge=1)] = 10
    force_error: Annotated[
        float,
        about(
            "Goal: root mean square error of the force components, on independent frames if there are any, else on "
            "validation frames; 0 is no goal. Where both goals are given, both must be reached.",
            unit="eV/Å",
            ge=0,
        ),
    ] = 0.0
    energy_error: Annotated[
        float,
        about(
            "Goal: root mean square error of the energy per atom, on the same frames; 0 is no goal.", unit="eV", ge=0
        ),
    ] = 0.0


@dataclass(frozen=True)
class LearnOutputSettings:
    """Where results are written, relative to the configuration file."""

    model: Annotated[str, about("File of the final model, `.safetensors`.")]
    folder: Annotated[
        str, about("Folder of the loop: its state, report, labels and rounds. The same command goes on from there.")
    ] = "learn"


@dataclass(frozen=True)
class OtherFit:
    """The configuration of a fit in place of its tables."""

    configuration: Annotated[
        FileName,
        about(
            "Configuration file of `beadwise fit`, in place of the tables; its `[data]` and `[output]` are not used."
        ),
    ]


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


SECTIONS: dict[str, type] = {  # beside [fit] and [label]
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
    refuse = refusal(path)
    own: dict[str, Any] = {
        name: settings_of(kind, content.get(name, {}), name, refuse) for name, kind in SECTIONS.items()
    }
    settings = LearnConfiguration(path, fit=_fit_tables(path, content["fit"]), label=content["label"], **own)
    _check(settings)
    return settings


def learn_schema() -> dict[str, Any]:
    """JSON Schema of a configuration file of ``beadwise learn``."""
    whole = fit_schema()
    tables = {name: table for name, table in whole["properties"].items() if name not in OWN_IN_FIT}
    committee = tables["committee"]  # of a model of its own in each round
    others = {key: own for key, own in committee["properties"].items() if key != "model"}
    tables["committee"] = {**committee, "properties": others}
    inline = sections_schema("Tables as in a fit.", tables, NEEDED_IN_FIT)
    other = table_schema(OtherFit)
    fit = {"description": "How each round fits its model: the tables of a fit.", "anyOf": [inline, other]}
    own = {name: table_schema(kind) for name, kind in SECTIONS.items()}
    order = ("start", "fit", "explore", "select", "label", "stop", "output")
    every = own | {"fit": fit, "label": label_schema()}
    text = "Active learning: `beadwise learn CONFIG.toml`."
    return sections_schema(text, {name: every[name] for name in order}, NEEDED)


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
    path, explore = settings.path, settings.explore
    try:
        _ = settings.start.reading
    except DataError as error:
        raise ConfigurationError(f"{path}: {error}, in [start]") from error
    names = [Path(name).stem for name in explore.inputs]
    if len(set(names)) < len(names):
        raise ConfigurationError(f"{path}: inputs = {explore.inputs} in [explore]; their names must differ")
    for low, high in (("flag", "stop"), ("envelope_flag", "envelope_stop")):
        lower, upper = getattr(explore, low), getattr(explore, high)
        if lower >= upper:
            raise ConfigurationError(
                f"{path}: {low} = {lower} and {high} = {upper} in [explore]; {low} must be below {high}"
            )
