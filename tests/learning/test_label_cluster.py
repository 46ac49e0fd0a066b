"""Labels on Dask: processes of this machine, jobs of a batch system, and what is left when all are ended."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from beadwise.learning.labels.labeller import labeller
from beadwise.learning.labels.settings import LabelError, label_settings
from beadwise.model.clients.scratch import PREFIX, SOCKETS
from label_structures import SPRINGS, argon, label_files, shaken, water
from places import HELPERS

pytest.importorskip("distributed", reason="Dask is not installed: pip install 'beadwise[learn]'")

PATIENCE = 90  # seconds
CLIENT = HELPERS / "label_client.py"
LOOP = """
import sys
sys.path.insert(0, {tests!r})
from beadwise.learning.labels.labeller import labeller
from label_structures import {structure}, shaken

if __name__ == "__main__":
    labeller({values!r}, "labels").label(shaken({structure}(), {frames}))
"""


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """A folder for temporary files, also of the processes that are started."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def springs(tmp_path, monkeypatch):
    """A calculator of the user's own, in the current folder, that writes down what it is asked, and by whom."""
    (tmp_path / "label_springs.py").write_text(SPRINGS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    return f"ase:label_springs.Springs:log={tmp_path / 'calls.log'}"


def calls(folder):
    log = folder / "calls.log"
    lines = log.read_text().splitlines(keepends=True) if log.exists() else []
    return [line.split() for line in lines if line.endswith("\n")]


def is_alive(process):
    """Whether a process is there and is more than the remains of one that nobody waited for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def nothing_is_left(scratch):
    return not list(scratch.iterdir()) and not list(SOCKETS.glob(f"ipi_{PREFIX}*"))


@pytest.mark.filterwarnings("error")
def test_workers_give_what_this_process_gives(tmp_path, scratch, springs):
    frames = shaken(water(), 6)
    before, seen = dict(os.environ), []
    here = labeller({"reference": springs, "workers": 0}, tmp_path / "here").label(frames)
    values = {"reference": springs + ",pause=0.1", "name": "springs", "workers": 2}
    there = labeller(values, tmp_path / "there").label(frames, lambda *state: seen.append(state[1:]))
    assert seen == [(done, 6) for done in range(7)] and dict(os.environ) == before
    for one, other in zip(here, there, strict=True):
        assert one.frame.labels.keys() == other.frame.labels.keys()
        for name, label in one.frame.labels.items():
            np.testing.assert_array_equal(label, other.frame.labels[name])
        np.testing.assert_array_equal(one.frame.atoms.positions, other.frame.atoms.positions)
    workers = {process for process, _ in calls(tmp_path)} - {str(os.getpid())}
    assert len(workers) == 2 and not any(map(is_alive, workers))
    assert len(label_files(tmp_path / "there")) == 6 and nothing_is_left(scratch)


def test_a_worker_that_is_ended_fails_one_label_and_others_go_on(tmp_path, scratch, springs):
    frames = shaken(water(), 5)
    frames[1].positions[0] = [300.0, 0, 0]  # kills its process
    frames[2].positions[0] = [100.0, 0, 0]
    labels = labeller({"reference": springs, "workers": 2}, tmp_path / "labels").label(frames)
    assert [label.frame is not None for label in labels] == [True, False, False, True, True]
    assert "its worker was ended from outside" in labels[1].reason and "went home" in labels[2].reason
    failures = [path.read_text() for path in (tmp_path / "labels").glob("*.failed.txt")]
    assert len(failures) == 2 and nothing_is_left(scratch)


def test_workers_keep_their_clients(tmp_path, scratch):
    log = tmp_path / "client_calls"
    client = f"{sys.executable} {CLIENT} {{address}} {{structure}} {log}"
    with labeller({"client": client, "workers": 2, "timeout": 60}, tmp_path / "labels") as reference:
        frames = shaken(argon(), 6)
        reference.label(frames[:4])
        labels = reference.label(frames)
    assert all(label.frame is not None for label in labels)
    words = [line.split() for line in log.read_text().splitlines()]
    assert sum(word == "label" for _, word in words) == 6 and sum(word == "start" for _, word in words) <= 2
    assert not any(is_alive(process) for process, _ in words) and nothing_is_left(scratch)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="tells processes that are left by /proc")
@pytest.mark.parametrize(("number", "kind"), [(signal.SIGKILL, "client"), (signal.SIGINT, "potential")])
def test_labels_go_on_where_they_were_ended(tmp_path, scratch, springs, number, kind):
    log = tmp_path / "calls.log"
    client = f"{sys.executable} {CLIENT} {{address}} {{structure}} {log} slow"
    reference = {"reference": f"{springs},pause=0.1"} if kind == "potential" else {"client": client}
    values = {**reference, "workers": 2}
    structure = "water" if kind == "potential" else "argon"
    text = LOOP.format(tests=str(HELPERS), values=values, structure=structure, frames=14)
    (tmp_path / "loop.py").write_text(text)
    command = [sys.executable, "loop.py"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # where the tests run in the background, a shell has told them to ignore what Ctrl-C sends
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)

    def labelled():
        return [word for word in calls(tmp_path) if word[1] != "start"]

    loop = subprocess.Popen(command, cwd=tmp_path, start_new_session=True, preexec_fn=heed, **pipes)
    try:
        until(lambda: len(labelled()) >= 6 or loop.poll() is not None)
        if number == signal.SIGINT:
            os.killpg(loop.pid, number)  # as a terminal does
        else:
            loop.kill()
        _, complaint = loop.communicate(timeout=PATIENCE)
    finally:
        loop.kill()
        loop.wait()
    assert loop.returncode in (-signal.SIGINT, 1) if number == signal.SIGINT else loop.returncode == -signal.SIGKILL
    if number == signal.SIGINT:
        assert complaint.count("Traceback") == 1 and complaint.strip().endswith("KeyboardInterrupt"), complaint
        assert nothing_is_left(scratch)
    until(lambda: not any(is_alive(process) for process, _ in calls(tmp_path)))
    first = len(labelled())
    kept = len([path for path in (tmp_path / "labels").glob("*.xyz") if not path.name.startswith(".")])
    assert 6 - 2 <= kept <= first < 14

    frames = shaken(water() if kind == "potential" else argon(), 14)
    labels = labeller(values, tmp_path / "labels").label(frames)
    assert all(label.frame is not None for label in labels) and sum(label.was_kept for label in labels) == kept
    assert len(labelled()) == first + 14 - kept and nothing_is_left(scratch)
    assert not any(is_alive(process) for process, _ in calls(tmp_path))


SLURM = {
    "kind": "slurm",
    "jobs": 2,
    "queue": "long",
    "account": "chem",
    "memory": "7GB",
    "walltime": "11:00:00",
    "job_cpu": 16,
    "job_extra_directives": ["--exclusive"],
    "job_script_prologue": ["module load cp2k"],
    "interface": "lo",
}


def test_what_slurm_is_asked(tmp_path, scratch):
    pytest.importorskip("dask_jobqueue", reason="dask_jobqueue is not installed: pip install 'beadwise[learn]'")
    from beadwise.learning.labels.dask_clusters import batch_cluster

    with batch_cluster(label_settings({"reference": "water", "cluster": SLURM})) as cluster:
        script = cluster.job_script()
    lines = script.splitlines()
    for line in ("-p long", "-A chem", "-t 11:00:00", "--cpus-per-task=16", "--mem=7G", "--exclusive"):
        assert f"#SBATCH {line}" in lines, script
    assert "module load cp2k" in lines and sys.executable in script and "--nthreads 1" in script


@pytest.mark.parametrize(
    ("cluster", "message"),
    [
        ({"kind": "slurm"}, "cannot be made of .*memory"),
        ({"kind": "slurm", "memory": "1GB", "qeue": "long"}, "cannot be made of .*qeue"),
    ],
)
def test_options_that_a_batch_system_does_not_know(scratch, cluster, message):
    pytest.importorskip("dask_jobqueue", reason="dask_jobqueue is not installed: pip install 'beadwise[learn]'")
    from beadwise.learning.labels.dask_clusters import batch_cluster

    with pytest.raises(LabelError, match=message) as raised:
        batch_cluster(label_settings({"reference": "water", "cluster": cluster}))
    assert "\n" not in str(raised.value)


def test_a_batch_system_that_is_not_here(tmp_path, monkeypatch):
    pytest.importorskip("dask_jobqueue", reason="dask_jobqueue is not installed: pip install 'beadwise[learn]'")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabelError, match="there is no program bsub here"):
        labeller({"reference": "qtip4pf", "cluster": {"kind": "lsf"}}, tmp_path / "labels").check()


def test_jobs_of_a_batch_system(tmp_path, scratch, springs, monkeypatch, caplog):
    """A Slurm of two shell scripts: a job is a process group, and its number that of the process."""
    pytest.importorskip("dask_jobqueue", reason="dask_jobqueue is not installed: pip install 'beadwise[learn]'")
    programs = {
        "sbatch": """
            cp "$1" "$LOGS/$$.sh"
            setsid bash "$LOGS/$$.sh" >"$LOGS/$$.log" 2>&1 &
            echo $! >>"$LOGS/jobs"
            echo "Submitted batch job $!"
        """,
        "scancel": 'echo "$1" >>"$LOGS/cancelled"; kill -- -"$1"',
    }
    for name, text in programs.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("LOGS", str(tmp_path))
    options = {"kind": "slurm", "jobs": 2, "memory": "1GB", "interface": "lo", "local_directory": str(scratch / "jobs")}
    monkeypatch.setattr("beadwise.learning.labels.dask_clusters.SOON", 0.1)
    reference = labeller({"reference": springs + ",pause=0.3", "cluster": options}, tmp_path / "labels")
    reference.check()
    labels = reference.label(shaken(water(), 8))
    assert all(label.frame is not None for label in labels)
    jobs = (tmp_path / "jobs").read_text().split()
    assert len(jobs) == 2 and sorted((tmp_path / "cancelled").read_text().split()) == sorted(jobs)
    assert "no job of the slurm cluster has started its worker after 0.1 s" in caplog.text
    workers = {process for process, _ in calls(tmp_path)}
    assert workers and str(os.getpid()) not in workers
    until(lambda: not any(map(is_alive, [*jobs, *workers])))


def listening(psutil):
    """Ports at which this process and those that it started listen."""
    family = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return [one for process in family for one in process.net_connections("inet") if one.status == "LISTEN"]


def test_nobody_else_reaches_the_workers(tmp_path):
    """All that listens is on this machine alone, and a client without the cluster's certificates is not let in."""
    from beadwise.learning.labels.dask_workers import DaskWorkers

    psutil = pytest.importorskip("psutil")
    pytest.importorskip("cryptography")
    before = [one.laddr for one in listening(psutil)]
    workers = DaskWorkers(label_settings({"reference": "harmonic:k=1"}, tmp_path), 1)
    try:
        # other tests leave theirs to the same process
        ports = [one for one in listening(psutil) if one.laddr not in before]
        assert ports and {one.laddr.ip for one in ports} == {"127.0.0.1"}
        address = workers._cluster._client.scheduler.address
        assert address.startswith("tls://")
        for wrong in (address, address.replace("tls://", "tcp://")):
            # in a process of its own, as that of somebody else would be
            code = f"import distributed; distributed.Client({wrong!r}, timeout='2s'); print('let in')"
            other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
            assert other.returncode == 1 and "let in" not in other.stdout
            assert re.search("OSError|TypeError|CommClosedError", other.stderr.splitlines()[-1]), other.stderr
    finally:
        workers.close()


def test_security_that_cannot_be_had(monkeypatch, tmp_path, caplog):
    from beadwise.learning.labels.dask_clusters import batch_cluster, security_of

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    settings = {"reference": "harmonic:k=1", "cluster": {"kind": "slurm"}}
    with pytest.raises(LabelError, match="cryptography"):
        batch_cluster(label_settings(settings, tmp_path))
    with pytest.raises(LabelError, match="cryptography"):
        security_of(label_settings({"reference": "harmonic:k=1", "cluster": {"security": True}}, tmp_path))
    assert security_of(label_settings({"reference": "harmonic:k=1"}, tmp_path)) is None
    assert "other users of this machine" in caplog.text
    assert security_of(label_settings({"reference": "harmonic:k=1", "cluster": {"security": False}}, tmp_path)) is None
