"""Ask the PLUMED that i-PI would load, before a run, whether it works and takes its inputs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ....runs.input.elements import InputError
from ..servers import user_environment
from ..supervision import ipi_command

HOW_TO_GET = (
    "`pip install --no-deps hillclimber==0.1.8` brings all of it (Python 3.11 or later, Linux), or `pip install "
    "plumed` with the environment variable PLUMED_KERNEL naming libplumedKernel.so of a PLUMED that is installed"
)
TRIAL = Path(__file__).with_name("trial.py")
TRIAL_PATIENCE = 120.0  # seconds; an input may make PLUMED compile or load code
PLACE_IN_PLUMED = re.compile(
    r"^\([\w./+-]+:\d+\).*|^\+\+\+ assertion failed:.*|^ERROR in input to action ", re.MULTILINE
)

ASKED_FOR = re.compile(r"GET with label grab_(\S+) :")  # how PLUMED calls what i-PI asks for


@dataclass(frozen=True)
class Trial:
    """What PLUMED is started with.

    Parameters
    ----------
    force_field : str
        Name of the ``<ffplumed>``.
    path : str
        The PLUMED input, absolute.
    atoms : int
    variables : sequence of str
        What i-PI asks for, ``<plumed_extras>``.
    """

    force_field: str
    path: str
    atoms: int
    variables: Sequence[str]


def plumed_problem() -> str | None:
    """Say why the PLUMED that i-PI would load does not work, and how to get one; None if it works."""
    with tempfile.TemporaryDirectory() as work:
        return _missing(_ask_plumed([], Path(work), Path()))


def check_with_plumed(trials: Sequence[Trial], folder: Path) -> None:
    """Let PLUMED itself read its inputs, where it can neither rename nor write files of the run.

    Parameters
    ----------
    trials : sequence of Trial
        What it is started with, one after the other.
    folder : Path
        Where i-PI runs.

    Raises
    ------
    InputError
        If PLUMED is missing or refuses an input.
    """
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary) / "run"
        work.mkdir()
        for entry in folder.absolute().iterdir():
            (work / entry.name).symlink_to(entry)
        problem = _ask_plumed(trials, work, folder)
    if missing := _missing(problem):
        raise InputError(missing)
    if problem:
        path = next(Path(trial.path) for trial in trials if trial.force_field == problem[0])
        raise InputError(f"PLUMED refuses '{path.name}': {_in_one_line(problem[1])}")


def _ask_plumed(trials: Sequence[Trial], work: Path, folder: Path) -> list[str]:
    """Run `plumed_trial.py`; what and why, or nothing if nothing is wrong or PLUMED takes too long to say."""
    given = json.dumps([[trial.force_field, trial.path, trial.atoms, list(trial.variables)] for trial in trials])
    with tempfile.TemporaryDirectory() as temporary:
        answer = Path(temporary) / "answer.json"
        command = [_interpreter(), "-c", TRIAL.read_text(encoding="utf-8"), given, str(answer)]
        try:
            ended = subprocess.run(
                command,
                cwd=work,
                env={**os.environ, **user_environment(folder)},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=TRIAL_PATIENCE,
            )
        except subprocess.TimeoutExpired:
            return []
        if answer.is_file():
            problem: list[str] = json.loads(answer.read_text(encoding="utf-8"))
            return problem
    return [trials[0].force_field if trials else "kernel", _last_words(ended)]


def _last_words(ended: subprocess.CompletedProcess[bytes]) -> str:
    """Why PLUMED died instead of answering."""
    text = ended.stderr.decode(errors="replace").strip()
    if "Fatal Python error" in text:
        return (
            "it crashes, as it does if a Python module that IMPORT names, or one that this imports, cannot be imported"
        )
    return text.splitlines()[-1] if text else f"its process ended with status {ended.returncode}"


def _missing(problem: Sequence[str]) -> str | None:
    """Say what of PLUMED is missing; None if it is there."""
    if not problem or problem[0] not in ("wrapper", "kernel"):
        return None
    if problem[0] == "wrapper":
        return f"<ffplumed> needs PLUMED, whose Python module plumed is missing ({problem[1]}); {HOW_TO_GET}"
    kernel = os.environ.get("PLUMED_KERNEL")
    named = f"PLUMED_KERNEL names '{kernel}'" if kernel else "PLUMED_KERNEL names none"
    return f"<ffplumed> needs PLUMED, whose kernel cannot be loaded ({named}); {HOW_TO_GET}"


def _in_one_line(complaint: str) -> str:
    """PLUMED's words without the place in its source."""
    words = ASKED_FOR.sub(r"'\1' of <plumed_extras>:", PLACE_IN_PLUMED.sub("", complaint)).split()
    return " ".join(words) or "without a word"


def _interpreter() -> str:
    """The Python that runs i-PI."""
    command = ipi_command()
    if len(command) > 1:
        return command[0]
    with open(command[0], "rb") as script:
        first = script.readline().decode(errors="replace").strip()
    return first[2:].split()[0] if first.startswith("#!") and "env" not in first else sys.executable
