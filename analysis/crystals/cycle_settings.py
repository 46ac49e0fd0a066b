"""What a file says of one crystal: its contributions, and how those that are missing are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from ...model.crystals.reference import CrystalError
from ...reading import refusing, toml_of
from ...schema import NO_KEY, FileName, about, check_table, sections_schema, settings_of, table_schema

ENDING = ".harmonic.npz"
Section = TypeVar("Section")


@dataclass(frozen=True)
class CycleSettings:
    """What a file says of one crystal: files are looked for beside it."""

    harmonic: Annotated[str, about("Harmonic crystal, FILE.harmonic.npz of `beadwise harmonic`.")]
    temperature: Annotated[float, about("Temperature.", unit="K", gt=0)]
    name: Annotated[str, about("What the crystal is called; the name of the file if it is not given.")] = ""
    anharmonic: Annotated[str, about("JSON of `beadwise lambda-integration`.")] = ""
    quantum: Annotated[str, about("JSON of `beadwise mass-integration`, after classical runs over λ.")] = ""
    reference: Annotated[str, about("JSON of `beadwise promote`.")] = ""
    pressure: Annotated[str, about("JSON of `beadwise gibbs`, from constant volume to constant pressure.")] = ""
    residual_entropy: Annotated[
        float,
        about("Entropy of disorder per formula unit in k, 0.405465 = ln(3/2) for the protons of ice.", ge=0),
    ] = 0.0


@dataclass(frozen=True)
class ClusterKeys:
    """Where runs are done, if not on this machine; all other keys go to the class of dask_jobqueue."""

    kind: Annotated[
        Literal["local", "slurm", "pbs", "lsf", "sge", "moab", "oar", "htcondor"],
        about("Batch system whose jobs do the runs; `local` is this machine, through Dask."),
    ] = "local"
    jobs: Annotated[int, about("Number of jobs.", ge=1)] = 1
    security: Annotated[
        bool, about("If true, the connections of Dask are encrypted; if false, whoever reaches them can run code.")
    ] = True


@dataclass(frozen=True)
class RunSettings:
    """How contributions whose files are missing are made: `beadwise free-energy --run`."""

    structure: Annotated[FileName, about("Structure of the crystal, from which the minimum is found.")]
    model: Annotated[str, about("Potential, by any name that commands take.")]
    held: Annotated[bool, about("Whether something outside holds the atoms, as traps do.")] = False
    displacement: Annotated[float, about("For the differences that make the Hessian.", unit="Å", gt=0)] = 0.005
    skip: Annotated[
        Annotated[float, about("", unit="ps", ge=0)] | None,
        about("Time to leave out of each run; a tenth of it if it is not given.", unit="ps"),
    ] = None
    workers: Annotated[int, about("Number of runs at the same time on this machine.", ge=1)] = 1
    threads: Annotated[int, about("Number of threads of each run.", ge=1)] = 1
    cluster: Annotated[
        dict[str, Any],
        about(
            "Batch system whose jobs do the runs. Keys that are not listed go to the class of dask_jobqueue, as "
            "`queue`, `memory` or `walltime`.",
            inner=ClusterKeys,
        ),
    ] = field(default_factory=dict)
    folder: Path = field(default_factory=Path, metadata=NO_KEY)

    @property
    def cluster_kind(self) -> str:
        """``local``, or a batch system."""
        return str(self.cluster.get("kind", "local"))

    @property
    def cluster_section(self) -> str:
        """Section of the batch system, for messages."""
        return "run.cluster"


@dataclass(frozen=True)
class AnharmonicRuns:
    """Runs over λ."""

    input: Annotated[FileName, about("Input of i-PI of the crystal at constant volume, with one bead or several.")]
    nodes: Annotated[int, about("Number of λ.", ge=1, le=30)] = 8
    path: Annotated[Literal["smooth", "plain"], about("Where λ lie: `smooth` crowds them at both ends.")] = "smooth"
    stride: Annotated[int, about("Steps between samples.", ge=1)] = 10


@dataclass(frozen=True)
class QuantumRuns:
    """Runs over masses."""

    input: Annotated[FileName, about("Input of i-PI of a path integral at constant volume, which writes `kinetic_cv`.")]
    ratios: Annotated[int, about("Number of masses.", ge=1)] = 5
    control_variate: Annotated[
        bool,
        about(
            "If true, runs write positions and forces of all beads, and the harmonic crystal is control variate, as "
            "with `beadwise mass-integration --harmonic`."
        ),
    ] = False


@dataclass(frozen=True)
class PressureRun:
    """A run at constant pressure."""

    input: Annotated[FileName, about("Input of i-PI with an isotropic barostat, which writes `volume`.")]


@dataclass(frozen=True)
class ReferenceRun:
    """A run whose samples the reference is evaluated at."""

    input: Annotated[FileName, about("Input of i-PI that writes positions of all beads and the potential.")]
    name: Annotated[str, about("The reference, by any name that commands take.")]
    samples: Annotated[int, about("Number of samples.", ge=8)] = 100


STEPS: dict[str, type] = {
    "anharmonic": AnharmonicRuns,
    "quantum": QuantumRuns,
    "pressure": PressureRun,
    "reference": ReferenceRun,
}


@dataclass(frozen=True)
class CycleFile:
    """All that a file says.

    Parameters
    ----------
    path : Path
    settings : CycleSettings
    run : RunSettings or None
        None where nothing is said of how contributions are made.
    steps : dict of str to object
        Sections of runs by their names, which are keys of the settings, too.
    """

    path: Path
    settings: CycleSettings
    run: RunSettings | None
    steps: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What the crystal is called."""
        return self.settings.name or self.path.stem

    def file(self, key: str) -> Path:
        """Where the result of a key is."""
        return self.path.parent / str(getattr(self.settings, key))


def read_cycle(path: Path) -> CycleFile:
    """Read what a file says of one crystal.

    Raises
    ------
    CrystalError
        In one line, what cannot be read, or is not allowed.
    """
    with refusing(CrystalError, f"cannot read '{path}'"):
        content = toml_of(path)

    def refuse(text: str) -> CrystalError:
        return CrystalError(f"'{path}': {text}")

    has_runs, runs = "run" in content, content.pop("run", {})
    settings = settings_of(CycleSettings, content, path.name, refuse)
    if not has_runs:
        return CycleFile(path, settings, None, {})
    check_table(RunSettings, runs, "run", refuse, is_open=True)
    own = {key: value for key, value in runs.items() if key not in STEPS}
    run = settings_of(RunSettings, own, "run", refuse)
    steps: dict[str, Any] = {
        key: settings_of(kind, runs[key], f"run.{key}", refuse) for key, kind in STEPS.items() if key in runs
    }
    if not settings.harmonic.endswith(ENDING):
        raise refuse(f"harmonic = '{settings.harmonic}'; a name that ends with {ENDING} is needed with [run]")
    for key in steps:
        if not getattr(settings, key):
            raise refuse(f"[run.{key}] is there, but the key {key} names no file for its result")
    others = sorted(set(run.cluster) - {"kind", "security"})
    if run.cluster_kind == "local" and others:
        raise refuse(f"{others} in [run.cluster] need kind, a batch system")
    return CycleFile(path, settings, RunSettings(**{**own, "folder": path.parent.resolve()}), steps)


def cycle_schema() -> dict[str, Any]:
    """JSON Schema of such a file."""
    steps = {key: table_schema(kind) for key, kind in STEPS.items()}
    run = table_schema(RunSettings)
    run["properties"] |= steps
    whole = table_schema(CycleSettings)
    return sections_schema("What a file says of one crystal.", whole["properties"] | {"run": run}, whole["required"])
