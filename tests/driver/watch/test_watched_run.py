"""A run that is looked at again and again: what was added is taken in, and what went back is read from its start."""

import os
import time

import numpy as np
import pytest
from beadwise.analysis.report.content import RunContent
from beadwise.driver.watch import watched_run
from beadwise.driver.watch.page import LivePage
from beadwise.driver.watch.server import ServerError
from beadwise.driver.watch.watched_run import WatchedRun
from beadwise.runs.input.run_input import RunInput
from extras_records import header, line
from test_run import BEADS, Folder

MOMENTS = "<trajectory filename='moments' extra_type='dipole,polarizability'> extras </trajectory>"
TABLE = "# column   1     --> step\n# column   2     --> time{femtosecond}\n# column   3     --> potential\n"
WINDOW = 20.0  # fs


class Files:
    """Files of a run, written as i-PI does it."""

    def __init__(self, path):
        folder = Folder(path)
        folder.write_input(steps=1000, outputs=MOMENTS)
        self.path = path
        self.run = RunInput.read(path / "input.xml")
        (path / "test.out").write_text(TABLE)

    def write(self, first, last):
        with open(self.path / "test.out", "a") as table:
            table.writelines(f" {step} {0.5 * step} {np.sin(step):.8f}\n" for step in range(first, last))
        for bead in range(BEADS):
            with open(self.path / f"test.moments_{bead}", "a") as file:
                for step in range(first, last):
                    dipole = 0.1 * np.sin(0.3 * step + np.arange(3)) + 0.01 * np.cos(0.011 * step**1.5)
                    file.write(header(step) + line([*dipole, *np.eye(3).ravel() * (1 + dipole[0])]))

    def spectrum(self):
        return RunContent(self.run, window=WINDOW).read()["spectra"][0]

    def watch(self):
        return WatchedRun(self.run, 0.0, WINDOW)


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


def test_what_is_added_is_taken_in(files, monkeypatch):
    monkeypatch.setattr(watched_run, "SHARE_OF_A_PART", 1e9)
    watched = files.watch()
    watched.look()
    assert watched.content["spectra"] == [] and watched.pulse.step in (None, 0)
    versions = [watched.version]
    for last in (200, 300, 400):
        files.write(0 if last == 200 else last - 100, last)
        watched.look()
        versions.append(watched.version)
        assert watched.content["spectra"][0] == files.spectrum()
        assert watched.pulse.step == last - 1
    assert versions == sorted(set(versions))
    watched.look()
    assert watched.version == versions[-1]  # where nothing is new, nothing is made again


def test_a_run_that_was_killed_and_goes_on(files, monkeypatch):
    """i-PI appends from an earlier step on: the later records count."""
    monkeypatch.setattr(watched_run, "SHARE_OF_A_PART", 1e9)
    monkeypatch.setattr(watched_run, "PATIENCE", 0.0)
    watched = files.watch()
    files.write(0, 200)
    watched.look()
    monkeypatch.setattr(watched_run, "PATIENCE", 60.0)
    files.write(150, 260)
    watched.look()
    assert watched.content["messages"] == [] and watched.content["spectra"][0] == files.spectrum()
    assert watched.content["spectra"][0]["samples"] > 200


def test_a_run_that_was_started_anew(files, monkeypatch):
    monkeypatch.setattr(watched_run, "SHARE_OF_A_PART", 1e9)
    watched = files.watch()
    files.write(0, 300)
    watched.look()
    for path in files.path.glob("test.*"):
        path.unlink()
    (files.path / "test.out").write_text(TABLE)
    files.write(0, 120)
    watched.look()
    assert watched.content["spectra"][0] == files.spectrum() and watched.content["spectra"][0]["samples"] < 120


def test_the_end_is_told_with_all_that_there_is(files):
    files.write(0, 200)
    watched = files.watch()
    watched.look()
    files.write(200, 400)  # what takes long is not due yet
    (files.path / "RESTART").write_text(
        (files.path / "input.xml").read_text().replace("<total", "<step>1000</step><total")
    )
    watched.look()
    assert watched.content["run"]["state"] == "finished" and watched.pulse.state.is_over
    assert watched.content["verdicts"][0]["sentence"] == "The run ended at its last step, 1000."
    assert watched.content["spectra"][0] == files.spectrum()


def test_looks_are_rare_where_they_are_expensive(files, monkeypatch):
    files.write(0, 200)
    watched = files.watch()
    assert watched.look() < 5
    spent = time.process_time() + 7
    monkeypatch.setattr(watched_run.time, "process_time", lambda: spent)
    assert watched.look() > 5 / watched_run.SHARE / 2


def test_a_page_that_is_asked_for_before_anything_was_read(files, monkeypatch):
    monkeypatch.setattr("beadwise.driver.watch.page.FIRST", 0.01)
    page = LivePage(files.watch())
    with pytest.raises(ServerError, match="are still being read"):
        page.pages.makers["update.json"]()
    assert page.is_wanted


def test_nothing_is_written(files):
    files.write(0, 100)
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in files.path.iterdir()}
    os.chmod(files.path, 0o555)
    files.watch().look()
    os.chmod(files.path, 0o755)
    assert before == {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in files.path.iterdir()}
