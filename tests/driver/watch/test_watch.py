"""``beadwise watch`` during real runs: in a real browser, in a terminal, and what it listens at."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from beadwise.driver.launch.supervision import ipi_command
from browser import browser, console_of, drag_across, text_of, wait_until
from test_run import Folder

MOMENTS = "<trajectory filename='moments' extra_type='dipole,polarizability'> extras </trajectory>"
WANT = "energy,forces,virial,dipole,polarizability"
CURVE = """
const plot = document.querySelector("#spectra .plot");
return plot && plot.data ? JSON.stringify(plot.data.find((trace) => trace.name === "mean over the run").y) : "";
"""
LOOPBACK_ALONE = [("tcp", "0100007F")]  # 127.0.0.1, as /proc writes it
RANGE = "return document.querySelector('#spectra .plot').layout.xaxis.range;"


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path)
    folder.write_input(steps=100000, outputs=MOMENTS)
    yield folder
    folder.kill_all()


class Watch:
    """``beadwise watch`` as a process."""

    def __init__(self, folder, *options):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "beadwise.driver", "watch", str(folder), "--window", "20", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def url(self):
        return re.search(r"http://127\.0\.0\.1:\d+/[\w-]+/", self.process.stdout.readline())[0]

    def update(self, url):
        with urllib.request.urlopen(f"{url}update.json", timeout=60) as answer:
            return json.load(answer)

    def end(self):
        self.process.send_signal(signal.SIGINT)
        output, errors = self.process.communicate(timeout=30)
        assert (self.process.returncode, errors) == (0, "")
        return output


@pytest.fixture
def watch():
    started = []

    def start(*arguments):
        started.append(Watch(*arguments))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.communicate()


def listening(process):
    """Addresses that a process listens at, of all families, as /proc writes them."""
    own = {os.readlink(path) for path in Path(f"/proc/{process}/fd").iterdir() if path.is_symlink()}
    found = []
    for family in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{process}/net/{family}").read_text().splitlines()[1:]:
            words = line.split()
            if f"socket:[{words[9]}]" in own and (words[3] == "0A" or family.startswith("udp")):
                found.append((family, words[1].partition(":")[0]))
    return found


def watching(folder):
    """The process of the page that a run has started."""
    commands = {process: Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0") for process in folder.processes()}
    return next(process for process, words in commands.items() if b"watch" in words)


def test_run_with_its_page_in_a_browser(folder):
    """``run --live``: the page follows the run, keeps its zoom, shows its end, and ends with it."""
    run = folder.start("input.xml", "--live", "--window", "20", model="springs:slow")
    url = next(re.search(r"http://\S+/", line)[0] for line in iter(run.stdout.readline, "") if "the page of" in line)
    assert listening(watching(folder)) == LOOPBACK_ALONE
    with browser() as page:
        page.get(url)
        seen = [wait_until(lambda: page.execute_script(CURVE))]
        assert "The run goes on: step" in text_of(page, ".state")
        drag_across(page, page.find_element("css selector", "#spectra .plot .nsewdrag"))
        zoomed = page.execute_script(RANGE)
        assert 900 < zoomed[0] < 1200 and 1900 < zoomed[1] < 2300
        page.execute_script("window.stays = true;")
        while len(seen) < 4:
            seen.append(wait_until(lambda: (now := page.execute_script(CURVE)) != seen[-1] and now))
        assert page.execute_script(RANGE) == zoomed
        assert page.execute_script("return window.stays;")  # nothing was loaded again
        assert "follows the run" in text_of(page, "#live")
        assert listening(watching(folder)) == LOOPBACK_ALONE
        run.terminate()
        wait_until(lambda: "stopped at step" in text_of(page, ".state"))
        assert console_of(page) == []
        wait_until(lambda: "no longer follows" in text_of(page, "#live"))
    run.communicate(timeout=60)
    assert run.returncode == 1
    folder.assert_clean()


def test_a_run_of_plain_ipi_in_lines_and_as_a_page(folder, watch):
    """Nothing but i-PI's own files is needed, and no terminal."""
    folder.write_input(steps=60, outputs=MOMENTS)
    server = [sys.executable, "-m", "beadwise.driver", "serve", "springs:springs", "--structure", "water.extxyz"]
    running = [
        subprocess.Popen(
            command,
            cwd=folder.path,
            env={**os.environ, "PYTHONPATH": folder.modules, "BEADWISE_TEST": folder.mark},
            stdout=subprocess.DEVNULL,
        )
        for command in ([*ipi_command(), "input.xml"], [*server, "--unix", folder.address, "--want", WANT])
    ]
    assert [one.wait(60) for one in running] == [0, 0]
    one = watch(folder.path, "--terminal")
    output, errors = one.process.communicate(timeout=60)
    assert (one.process.returncode, errors) == (0, "") and output.count("\n") == 1
    assert output.startswith("ended at its last step, 60; step 60/60")

    before = sorted(path.name for path in folder.path.iterdir())
    one = watch(folder.path)
    url = one.url()
    assert listening(one.process.pid) == LOOPBACK_ALONE
    content = one.update(url)["content"]
    assert content["run"]["state"] == "finished" and "ended at its last step, 60" in content["run"]["state_text"]
    assert content["spectra"][0]["kind"] == "ir"
    for wrong in ("../", "RESTART", "..%2f", "input.xml"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(url + wrong, timeout=10)
    one.end()
    assert sorted(path.name for path in folder.path.iterdir()) == before  # it only reads


def test_what_is_no_run_is_one_line(tmp_path, watch):
    one = watch(tmp_path)
    output, errors = one.process.communicate(timeout=60)
    assert (one.process.returncode, output) == (2, "") and errors.startswith("Error: ") and errors.count("\n") == 1


def test_page_that_fails_is_no_matter_to_the_run(folder, monkeypatch):
    folder.write_input(steps=10, outputs=MOMENTS)
    (folder.path / "sitecustomize.py").write_text(
        "import os, sys\nif 'watch' in sys.orig_argv: print('Error: no page today', flush=True), os._exit(1)\n"
    )
    monkeypatch.setattr(folder, "modules", f"{folder.modules}{os.pathsep}{folder.path}")
    status, output, errors = folder.run("input.xml", "--live", model="springs:slow")
    assert (
        (status, errors) == (0, "")
        and "no page of the run: no page today" in output
        and "finished at step 10" in output
    )
    folder.assert_clean()
