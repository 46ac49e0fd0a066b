"""What a run can be continued from: RESTART, checkpoints and what it began with, whole ones of this run only."""

from __future__ import annotations

from pathlib import Path

import pytest
from beadwise.driver.launch.continuation import Continuation
from beadwise.driver.launch.plan import Plan
from beadwise.runs.input.run_input import RunInput

INPUT = """<simulation>
  <output prefix='a'> <checkpoint filename='b' stride='5'/> <checkpoint filename='c' overwrite='False'/> </output>
  <step> {step} </step> <total_steps> 20 </total_steps>
</simulation>"""
NOTHING = "i-PI was stopped at step 7 before it could write a RESTART, start again with `beadwise run input.xml`"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(name: str, step: int, whole: bool = True) -> None:
    """As i-PI or we do, which put a new file in the place of the old one."""
    text = INPUT.format(step=step)
    path = Path(name)
    path.unlink(missing_ok=True)
    path.write_text(text if whole else text[: len(text) // 2])


def begin(source: str = "input.xml", step: int = 0, options: tuple[str, ...] = ()) -> Continuation:
    if not Path(source).exists():
        write(source, step)
    return Continuation(Plan(RunInput.read(Path(source), Path()), {}, options=options))


def test_files_of_an_older_run_do_not_count():
    for name in ("RESTART", "a.b", "a.c_3"):
        write(name, 9)
    assert begin().advice(7) == NOTHING


def test_newest_checkpoint():
    run = begin(options=("--model", "my model"))
    write("a.b", 5)
    write("a.c_3", 3)
    command = "`beadwise run a.b` and the options of this run: --model 'my model'"
    assert run.advice(7) == f"i-PI was stopped at step 7, continue from step 5 with {command}"
    write("a.b", 6, whole=False)
    assert "continue from step 3 with `beadwise run a.c_3`" in run.advice(7)
    write("RESTART", 7)
    assert run.advice(8).startswith("i-PI was stopped at step 7, continue with `beadwise run RESTART` and")


def test_restart_that_is_not_whole():
    run = begin("RESTART", step=4)
    assert "continue from step 4 with `beadwise run RESTART`" in run.advice(7)
    Path("RESTART").rename("#RESTART#0#")  # as i-PI does before it writes
    write("RESTART", 7, whole=False)
    assert "continue from step 4 with `beadwise run '#RESTART#0#'`" in run.advice(7)


@pytest.mark.parametrize("name", ["RESTART", "a.b", "a.c_20"])
def test_last_step(name):
    run = begin()
    assert not run.is_complete
    write(name, 19)
    assert not run.is_complete
    write(name, 20)
    assert run.is_complete
