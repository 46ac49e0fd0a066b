"""Whether a run goes on, stands still or is over, told from its files."""

import os
import time

import pytest
from beadwise.driver.launch.claims import LOCK
from beadwise.driver.watch import state as module
from beadwise.driver.watch.pulse import PulseReader
from beadwise.driver.watch.state import ENDED, GOING_ON, NOT_BEGUN, STALLED, STOPPED, StateReader
from beadwise.runs.input.run_input import RunInput

INPUT = "<simulation> <total_steps> 100 </total_steps> <step> {step} </step> </simulation>"


class RunFolder:
    """Files as a run leaves them, with a clock that is moved by hand."""

    def __init__(self, path, monkeypatch):
        self.path, self.now = path, 1000.0
        (path / "input.xml").write_text(INPUT.format(step=0))
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)
        self.run = RunInput.read(path / "input.xml")
        self.output = path / "run.out"

    def reader(self):
        return StateReader(self.run, [self.output])

    def write(self, age=0.0):
        with open(self.output, "a") as file:
            file.write("1 2 3\n")
        then = time.time() - age
        os.utime(self.output, (then, then))

    def restart(self, step):
        (self.path / "RESTART").write_text(INPUT.format(step=step))

    def lock(self, process):
        (self.path / LOCK).write_text(f"{os.uname().nodename} {process} 0\n")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    return RunFolder(tmp_path, monkeypatch)


def test_a_run_from_its_beginning_to_its_end(folder):
    reader = folder.reader()
    assert reader.look(None).name == NOT_BEGUN
    folder.write()
    assert reader.look(1).name == GOING_ON
    for step in range(2, 6):
        folder.now += 5
        folder.write()
        assert reader.look(step).name == GOING_ON
    folder.restart(100)
    state = reader.look(100)
    assert state.name == ENDED and state.is_over and "its last step, 100" in state.words


def test_stands_still_and_goes_on(folder):
    folder.write()
    reader = folder.reader()
    assert reader.look(1).name == GOING_ON
    folder.now += 70
    state = reader.look(1)
    assert state.name == STALLED and not state.is_over and "nothing was written since" in state.words
    folder.write()
    assert reader.look(2).name == GOING_ON
    folder.now += 300  # it has paused for more than a minute before
    assert reader.look(2).name == GOING_ON


def test_files_of_yesterday_stand_still_at_once(folder):
    folder.write(age=86400)
    assert folder.reader().look(7).name == STALLED


def test_a_clock_that_is_ahead_is_no_matter(folder):
    folder.write(age=-3600)
    assert folder.reader().look(7).name == GOING_ON


def test_stopped_before_the_last_step(folder):
    folder.write()
    folder.restart(42)
    state = folder.reader().look(40)
    assert state.name == STOPPED and "step 42 of 100" in state.words


def test_an_old_restart_is_no_end(folder):
    """The run that it continues has gone on beyond it, or is just beginning."""
    folder.write()
    folder.restart(42)
    assert folder.reader().look(50).name == GOING_ON
    folder.lock(os.getpid())
    assert folder.reader().look(42).name == GOING_ON


def test_killed_with_its_lock_left(folder):
    folder.write()
    folder.lock(2**22 + 1)  # above the highest number of a process
    state = folder.reader().look(12)
    assert state.name == STOPPED and "was killed at about step 12" in state.words


def test_rate_and_time_left(folder):
    folder.write()
    pulse = PulseReader(folder.run, [folder.output])
    assert pulse.look(0).rate == 0
    folder.now += 2
    folder.write()
    found = pulse.look(20)
    assert found.rate == 10 and "10 steps/s  8 s left" in found.progress
    assert found.report_state == ("running", "The run goes on: step 20/100 10 steps/s 8 s left.")
    folder.restart(100)
    ended = pulse.look(100)
    assert "steps/s" not in ended.progress and ended.report_state == (
        "finished",
        "The run ended at its last step, 100.",
    )
