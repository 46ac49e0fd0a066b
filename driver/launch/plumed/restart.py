"""Continue a run with PLUMED from a RESTART: its files must not hold what lies beyond, or it would count twice.

After a restart PLUMED reads all hills of its file and appends to it, whatever step i-PI continues from.  Hills and
printed lines that a killed run added after its last checkpoint would be there twice.  So the files are cut to the step
that PLUMED had counted to, ``<plumed_step>``; nothing is lost, as the rest goes into a file beside.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from ase import units

from ....runs.input.elements import InputError
from ....runs.plumed.force_fields import PlumedForceField
from ....runs.plumed.input import DEPOSITING, Action, PlumedInput
from .checks import written_files

PICOSECOND = 1000 * units.fs
TIME_UNITS = {"fs": 1e-3, "ps": 1.0, "ns": 1e3, "atomic": units._aut * units.second / PICOSECOND}
FIELDS = "#! FIELDS"
HALF_A_STEP = 0.5  # times are steps, rounded
FROM_ELSEWHERE = ("WALKERS", "GRID_RFILE")  # keywords that make a METAD continue from other files


@dataclass(frozen=True)
class _Cut:
    """A file, and how many of its bytes lie before the RESTART."""

    path: Path
    kept: int
    size: int
    last_step: float | None


def prepare_restart(force_fields: Sequence[PlumedForceField], folder: Path) -> list[str]:
    """Cut the files of PLUMED to the step that it is going to continue from.

    Nothing is changed unless all can be continued.  An input that starts at step 0 is left alone: PLUMED itself keeps
    the files of an older run.

    Parameters
    ----------
    force_fields : sequence of PlumedForceField
    folder : Path
        Where i-PI runs.

    Returns
    -------
    list of str
        Lines to show: what was cut, and what cannot continue as if nothing had happened.

    Raises
    ------
    InputError
        If there is nothing that PLUMED could continue from, a STATE file is ahead, or a file cannot be read or written.
    """
    lines: list[str] = []
    cuts: list[tuple[_Cut, int]] = []
    for force_field in force_fields:
        step = force_field.step
        if step == 0:
            continue
        plumed_input = force_field.read()
        unit = _time_unit(plumed_input)
        for action in plumed_input.actions:
            if action.keywords.get("RESTART", "").upper() == "NO":
                continue
            found = {name: _cut(folder / name, step, unit) for name in written_files(action)}
            cuts += [(cut, step) for cut in found.values() if cut is not None]
            lines += _check_action(action, step, unit, folder, next(iter(found.values()), None))
    return [*(line for cut, step in cuts if (line := _carry_out(cut, step))), *lines]


def _check_action(action: Action, step: int, unit: float, folder: Path, cut: _Cut | None) -> Iterator[str]:
    """Refuse what cannot be continued; tell what is not going to be as if nothing had happened."""
    if action.name not in DEPOSITING:
        return
    if others := sorted(keyword for keyword in action.keywords if keyword.startswith(FROM_ELSEWHERE)):
        yield f"{action.name} has {others[0]}: what it continues from cannot be cut to step {step}"
        return
    if "STATE_RFILE" in action.keywords:
        yield from _check_state(action, step, unit, folder / action.keywords["STATE_RFILE"])
    else:
        yield from _check_deposited(action, step, cut)
    if (step + 1) % _pace(action) == 0:
        yield f"the hill of step {step + 1} will be missing: {action.name} deposits none in the first step of a process"


def _time_unit(plumed_input: PlumedInput) -> float:
    """Unit of the times that PLUMED prints, in ps: i-PI tells it that a step is 1 ps.

    Raises
    ------
    InputError
        If it is unknown.
    """
    given = [action.keywords["TIME"] for action in plumed_input.named("UNITS") if "TIME" in action.keywords]
    if not given:
        return 1.0
    try:
        return TIME_UNITS.get(given[-1]) or float(given[-1])
    except ValueError:
        raise InputError(f"UNITS TIME={given[-1]}; allowed are {', '.join(TIME_UNITS)} and numbers") from None


def _cut(path: Path, step: float, unit: float) -> _Cut | None:
    """Find where a file has to end; None if there is no such file.

    It ends with the last line of a step that is not beyond: lines of later steps before it stand for hills that were
    in the bias when that line was written.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    column: int | None = None
    header_end = end = position = 0
    last_step = None
    try:
        with open(path, "rb") as file:
            for line in file:
                if not line.endswith(b"\n"):  # half a line, of a run that was killed while it wrote
                    break
                position += len(line)
                if line.startswith(b"#") or not line.strip():
                    column = _time_column(line.decode(errors="replace"), column)
                    header_end = position if last_step is None else header_end
                    continue
                at = _step_at(line, column, unit)
                if at is not None and at <= step + HALF_A_STEP:
                    end, last_step = position, at
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror}") from error
    # a file without times, if there is one, is not cut
    return _Cut(path, max(end, header_end) if column is not None else position, path.stat().st_size, last_step)


def _time_column(header: str, known: int | None) -> int | None:
    names = header[len(FIELDS) :].split() if header.startswith(FIELDS) else []
    return names.index("time") if "time" in names else known


def _step_at(line: bytes, column: int | None, unit: float) -> float | None:
    try:
        return None if column is None else float(line.split()[column]) * unit
    except (IndexError, ValueError):
        return None


def _check_deposited(action: Action, step: int, cut: _Cut | None) -> Iterator[str]:
    """Refuse to go on without the hills that PLUMED needs; tell of those that are, or will be, missing."""
    name = written_files(action)[0]
    if cut is None:
        raise InputError(f"'{name}' does not exist, from which {action.name} would continue at step {step}")
    if cut.last_step is None and action.name != "METAD":
        raise InputError(
            f"'{name}' holds no kernel up to step {step}, and PLUMED cannot continue {action.name} from none; start "
            "again from the first input"
        )
    pace = _pace(action)
    last, due = round(cut.last_step or 0), step // pace * pace
    if last < due:
        yield (
            f"'{name}' ends with step {last}, but hills up to step {due} are missing: PLUMED had not written them when "
            "it was killed; FLUSH STRIDE=1 at the end of its input has them written at once"
        )
    if _measures_widths(action):
        yield f"{action.name} measures the widths of its hills anew after a restart; SIGMA=… keeps them"


def _check_state(action: Action, step: int, unit: float, path: Path) -> Iterator[str]:
    """Refuse a STATE that has kernels from beyond the RESTART; tell if it lacks some from before.

    PLUMED 2.11 writes the STATE of a step after it has deposited the kernel of this step.
    """
    name, kernels = action.keywords["STATE_RFILE"], written_files(action)[0]
    if not path.exists():
        raise InputError(f"STATE_RFILE '{name}' of {action.name} does not exist, from which it would continue")
    written = _last_step(path, unit)
    if written is None:
        return
    pace = _pace(action)
    held, due = written // pace * pace, step // pace * pace
    how = f"without STATE_RFILE PLUMED continues from '{kernels}'"
    if held > due:
        raise InputError(f"'{name}' is of step {written}, and the RESTART of {step}: kernels would count twice; {how}")
    if held < due:
        yield f"'{name}' is of step {written}, and lacks the kernels up to step {due}; {how}"


def _last_step(path: Path, unit: float) -> int | None:
    """Last step in a file of PLUMED; None if there is none."""
    cut = _cut(path, math.inf, unit)
    return None if cut is None or cut.last_step is None else round(cut.last_step)


def _pace(action: Action) -> int:
    """Steps between hills.

    Raises
    ------
    InputError
        If there is no such number.
    """
    numbers = action.numbers("PACE")
    if len(numbers) != 1 or numbers[0] < 1:
        raise InputError(f"PACE of {action.name} is '{action.keywords.get('PACE', '')}'; a number of steps is needed")
    return int(numbers[0])


def _measures_widths(action: Action) -> bool:
    """Whether hills have the widths of fluctuations in this process, which no file keeps."""
    if action.name == "METAD":
        return "ADAPTIVE" in action.keywords
    return "STATE_RFILE" not in action.keywords and action.keywords.get("SIGMA", "ADAPTIVE").upper() == "ADAPTIVE"


def _carry_out(cut: _Cut, step: int) -> str | None:
    """Move what lies beyond into a file beside; a line that says so, or None if there is nothing.

    Raises
    ------
    InputError
        If a file cannot be written.
    """
    if cut.kept == cut.size:
        return None
    beside = next(path for path in _names_beside(cut.path, step) if not path.exists())
    try:
        with open(cut.path, "rb") as source, open(beside, "xb") as rest:
            source.seek(cut.kept)
            shutil.copyfileobj(source, rest)
            rest.flush()
            os.fsync(rest.fileno())
        os.truncate(cut.path, cut.kept)
    except OSError as error:
        raise InputError(f"cannot cut '{cut.path}' to step {step}: {error.strerror}") from error
    return f"'{cut.path.name}' cut to step {step}, from which the run goes on; the rest is in '{beside.name}'"


def _names_beside(path: Path, step: int) -> Iterator[Path]:
    name = f"{path.name}.after_step_{step}"
    yield path.with_name(name)
    yield from (path.with_name(f"{name}.{number}") for number in count(1))
