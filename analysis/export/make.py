"""``beadwise export``: from a run to a file that other programs read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ...errors import BeadwiseError
from ...model import Evaluator
from ...runs.input.run_input import RunInput, System
from ...runs.source import find_run
from ...whole_files import whole_file
from . import chemiscope, extended_xyz, numpy_arrays
from .contents import CENTROID, OF_BEADS, Selection
from .frames import FramesOfSystem, frames_of

ALL = "all"
USUAL = ("energy", "forces")
WRITERS: dict[str, Callable[..., None]] = {  # by the ending of the file
    ".extxyz": extended_xyz.write,
    ".xyz": extended_xyz.write,
    ".npz": numpy_arrays.write,
    ".json": chemiscope.write,
    ".json.gz": partial(chemiscope.write, compressed=True),
}
Shown = Callable[[Iterable[Any]], Iterable[Any]]  # passes things on, one after the other, and shows how many


@dataclass(frozen=True)
class Request:
    """What is exported.

    Parameters
    ----------
    run : Path
        Folder, input or RESTART.
    output : Path or None
        The file, whose ending tells its format.
    beads : str or None
        ``all``, ``centroid``, or the number of one; None for all if their positions are written, else the centroid.
    skip : float
        Time to leave out at the beginning, in ps.
    every : int
        Of the steps, each of this number.
    want : tuple of str or None
        What is exported beside the positions.
    model : str or None
        What evaluates that which the run did not write.
    """

    run: Path
    output: Path | None = None
    beads: str | None = None
    skip: float = 0.0
    every: int = 1
    want: tuple[str, ...] | None = None
    model: str | None = None


def export(request: Request, load: Callable[[str], Evaluator], shown: Shown = iter) -> list[str]:
    """Write the structures of a run.

    Parameters
    ----------
    request : Request
    load : callable
        Makes an evaluator of a MODEL.
    shown : callable
        Shows how far it is.

    Returns
    -------
    list of str
        Lines for people.

    Raises
    ------
    BeadwiseError
        If the run did not write what is asked for, or a file cannot be read or written.
    """
    run = find_run(request.run)
    output = request.output or run.folder / f"{run.prefix}.export.extxyz"
    ending = ending_of(output)
    evaluator = None if request.model is None else load(request.model)
    lines = []
    several = len(run.systems) > 1
    for system in run.systems:
        path = output
        if several:
            prefix = system.element.get("prefix", "") or str(system.number)
            path = output.with_name(f"{output.name.removesuffix(ending)}_{prefix}{ending}")
        frames = _with_model(_frames(system, request), evaluator, request.want)
        _refuse_own_files(run, frames, path)
        try:
            with whole_file(path) as unfinished:
                WRITERS[ending](frames, shown(frames), unfinished)
        except OSError as error:
            raise BeadwiseError(f"cannot write '{path}': {error.strerror or error}") from error
        lines += [*frames.remarks, *_told(frames, path)]
    return lines


def ending_of(path: Path) -> str:
    """The ending that tells the format.

    Raises
    ------
    BeadwiseError
        If it is none of `WRITERS`.
    """
    found = max((one for one in WRITERS if path.name.endswith(one)), key=len, default=None)
    if found is None:
        raise BeadwiseError(f"'{path}' has the ending '{path.suffix}'; allowed are {', '.join(WRITERS)}")
    return found


def _frames(system: System, request: Request) -> FramesOfSystem:
    return frames_of(system, _selection(system, request.beads), request.skip, request.every, request.want)


def _selection(system: System, beads: str | None) -> Selection:
    count = system.beads
    everyone = Selection(tuple(range(count)), count)
    if beads is None:
        written = [one for one in system.trajectory_outputs if one.keyword == next(iter(OF_BEADS))]
        is_all = count == 1 or any(one.written.holds_all(count) for one in written)
        return everyone if is_all else Selection((), count)
    if beads == ALL:
        return everyone
    if beads == CENTROID:
        return everyone if count == 1 else Selection((), count)
    if not beads.isdecimal() or len(beads) > 9 or int(beads) >= count:
        raise BeadwiseError(f"--beads {beads}; allowed are all, centroid, and 0 to {count - 1}")
    return Selection((int(beads),), count)


def _with_model(frames: FramesOfSystem, evaluator: Evaluator | None, want: tuple[str, ...] | None) -> FramesOfSystem:
    """Let a model evaluate what the run did not write: what is wanted, by default energy and forces."""
    missing = frames.evaluated
    if evaluator is None:
        if missing:
            raise BeadwiseError(
                f"'{frames.system.run.path}' did not write {', '.join(missing)}; --model names what evaluates that"
            )
        return frames
    if want is None:
        sample = frames.sample()
        missing = tuple(name for name in USUAL if name not in sample.values and name not in sample.of_atoms)
    if not missing:
        raise BeadwiseError("--model has nothing to evaluate; --want names what the run did not write")
    unknown = [name for name in missing if name not in evaluator.properties]
    if unknown:
        raise BeadwiseError(f"the model does not answer with {unknown[0]}; it has {', '.join(evaluator.properties)}")
    return replace(frames, evaluator=evaluator, evaluated=missing)


def _refuse_own_files(run: RunInput, frames: FramesOfSystem, path: Path) -> None:
    """Refuse to write over what it is made of."""
    own = [run.path, *frames.positions.files, *(file for one in frames.contents for file in one.files)]
    if path.exists() and any(file.exists() and file.samefile(path) for file in own):
        raise BeadwiseError(f"'{path}' is a file of the run itself; give another --output")


def _told(frames: FramesOfSystem, path: Path) -> list[str]:
    first = frames.sample()
    names = ", ".join(["positions", *first.of_atoms, *first.values])
    steps = f"{len(frames.steps)} step{'s' * (len(frames.steps) > 1)}"
    beads = f", {frames.per_step} beads each" if frames.per_step > 1 else ""
    what = "the centroid" if frames.selection.is_centroid else "structures"
    lines = [f"{what} at {steps}{beads}: {names}"]
    if frames.positions.digits:
        lines.append(
            f"positions have the {frames.positions.digits} digits of i-PI's xyz; a run that writes positions{{ase}} "
            "with format='ase' keeps 8 decimals, which gives energies of some hundred atoms to 1e-6 eV"
        )
    return [*lines, f"written to {path}"]
