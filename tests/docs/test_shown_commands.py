"""Every command that README and the pages show is run, or at least parsed."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, distribution, requires
from pathlib import Path

import ase.io
import pytest
from beadwise.driver.launch.plumed.ask import plumed_problem
from beadwise.runs.units import BOHR_PER_ANGSTROM
from commands_that_are_parsed import PARSED
from fake_ipi import FakeIpi
from how_commands_are_run import RUN, Step
from places import HELPERS
from shown_commands import commands_in, problem_of, shown_commands

SHOWN = shown_commands()
STEPS = [step for _, steps in RUN.values() for step in steps if step.is_shown]
PATIENCE = 300  # s
LOOK = 0.1  # s between two looks whether a server has ended before it asked for work
EXTRA = re.compile(r"pip install 'beadwise\[(\w+)\]'")  # what beadwise says where a package is missing
Outcomes = dict[str, "Future[tuple[str, list[str]]]"]
NEEDS = {"bias": plumed_problem() or ""}


def test_every_command_is_listed_once() -> None:
    listed = Counter([step.line for step in STEPS] + list(PARSED))
    for line, shown in SHOWN.items():
        assert line in listed, (
            f"{', '.join(shown.pages)} shows '{line}': add it to RUN in tests/docs/how_commands_are_run.py, or to "
            "PARSED in tests/docs/commands_that_are_parsed.py with the reason why no test can run it"
        )
    assert not {line: count for line, count in listed.items() if count > 1}, "listed twice"


@pytest.mark.parametrize("line", SHOWN)
def test_what_a_command_names_is_there(line: str) -> None:
    calls = commands_in(line)
    assert calls
    assert [problem for call in calls if (problem := problem_of(call))] == []


def test_reasons_name_tests_that_are_there() -> None:
    for line, reason in PARSED.items():
        for name in re.findall(r"tests/[\w/]+\.py", reason):
            assert (HELPERS.parents[1] / name).is_file(), f"{name}, for '{line}'"


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    """What becomes of each set of commands that is asked for: two sets at a time, as i-PI mostly waits."""
    asked = [
        item.callspec.params["name"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.originalname == "test_commands_run"
    ]
    with ThreadPoolExecutor(2) as workers:
        yield {
            name: workers.submit(outcome, name, tmp_path_factory.mktemp("commands"))
            for name in asked
            if not NEEDS.get(name)
        }


@pytest.mark.parametrize("name", RUN)
def test_commands_run(name: str, outcomes: Outcomes) -> None:
    if NEEDS.get(name):
        pytest.skip(NEEDS[name])
    problem, left_out = outcomes[name].result()
    assert problem == ""
    if left_out:
        pytest.skip(f"all but these were run: {'; '.join(left_out)}")


def outcome(name: str, folder: Path) -> tuple[str, list[str]]:
    """Run a set of commands in a folder.

    Returns
    -------
    str
        The first that fails, and what it wrote; empty if all is well.
    list of str
        Those that beadwise refuses because it lacks an extra, which indeed is not installed.
    """
    make, steps = RUN[name]
    make(folder)
    left_out = []
    for step in steps:
        status, output = served(step, folder) if step.is_server else done(step.text, folder)
        extra = missing_extra(output) if status else None
        if extra is not None and "Traceback" not in output:
            left_out.append(f"{step.text} (pip install 'beadwise[{extra}]')")
        elif status or "Traceback" in output:
            return f"status {status} of {step.text}\n{output}", left_out
    return "", left_out


def missing_extra(output: str) -> str | None:
    """The extra that an output asks for, if a package of it is not installed."""
    for extra in EXTRA.findall(" ".join(output.split())):
        named = [line for line in requires("beadwise") or () if re.search(rf"extra == ['\"]{extra}['\"]", line)]
        assert named, f"there is no extra '{extra}'"
        for line in named:
            try:
                distribution(re.split(r"[^\w.-]", line)[0])
            except PackageNotFoundError:
                return str(extra)
    return None


def test_a_missing_extra_is_recognized(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "Error: d3 needs the package dftd3, which cannot be loaded; install\nit with `pip install 'beadwise[{}]'`"
    installed = {"pytest", "jsonschema", "tblite", "beadwise"}

    def found(name: str) -> str:
        if name not in installed:
            raise PackageNotFoundError(name)
        return name

    monkeypatch.setattr(sys.modules[__name__], "distribution", found)
    assert missing_extra(said.format("dispersion")) == "dispersion"
    assert missing_extra(said.format("test")) is None
    assert missing_extra(said.format("tblite")) is None  # it is there: that it cannot be loaded is a fault
    assert missing_extra("Error: another fault") is None
    with pytest.raises(AssertionError, match="no extra 'unknown'"):
        missing_extra(said.format("unknown"))


def done(text: str, folder: Path) -> tuple[int, str]:
    """Run a line in a shell, with the beadwise of this Python."""
    process = started(text, folder)
    try:
        return done_with(process)
    finally:
        process.kill()


def done_with(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a process: its status, and what it wrote."""
    output, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, output


def started(text: str, folder: Path) -> subprocess.Popen[str]:
    """Start a line in a shell."""
    shell = shutil.which("bash")
    assert shell is not None
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg", "PYTHONPATH": str(folder)}
    environment["BEADWISE_PICTURES"] = "none" if "--no-report" in text else ""
    return subprocess.Popen(
        [shell, "-ec", text], cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def served(step: Step, folder: Path) -> tuple[int, str]:
    """Be i-PI for a server: ask it once for the structure in the folder, and tell it that this is the end."""
    atoms = ase.io.read(folder / "init.xyz")
    path = None
    if "--tcp" in step.text:
        listening = socket.create_server(("127.0.0.1", 0))
        text = step.text.replace("localhost:31415", f"localhost:{listening.getsockname()[1]}")
    else:
        listening = socket.socket(socket.AF_UNIX)
        address = f"beadwise-docs-{uuid.uuid4().hex[:12]}"
        path = Path(f"/tmp/ipi_{address}")  # where i-PI has it
        listening.bind(str(path))
        listening.listen()
        text = step.text.replace("--unix driver", f"--unix {address}")
    process = started(text, folder)
    try:
        connected = accepted(listening, process)
        if connected is None:
            return done_with(process)
        ipi = FakeIpi(connected)
        ipi.socket.settimeout(PATIENCE)
        ipi.initialize()
        ipi.request(atoms.cell.array[None] * BOHR_PER_ANGSTROM, atoms.positions[None] * BOHR_PER_ANGSTROM)
        ipi.forces(1, len(atoms))
        ipi.status()  # i-PI asks once more before it ends
        ipi.exit()
        return done_with(process)
    finally:
        process.kill()
        listening.close()
        if path is not None:
            path.unlink(missing_ok=True)


def accepted(listening: socket.socket, process: subprocess.Popen[str]) -> socket.socket | None:
    """The connection of a server, or nothing if it ends before it makes one."""
    listening.settimeout(LOOK)
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return listening.accept()[0]
        except TimeoutError:
            if process.poll() is not None:
                return None
            if time.monotonic() > end:
                raise
