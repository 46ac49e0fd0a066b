"""The fuzzers of the repository find nothing in a few cases of each kind, and find what is wrong."""

import os
import signal
import subprocess
import sys
from collections import Counter

import pytest
from places import REPOSITORY

sys.path.append(str(REPOSITORY))
from fuzz.formats import FORMATS, case
from fuzz.judge import Case, judge, verdict_of
from fuzz.messages import conversation


@pytest.mark.parametrize("what", [["messages", "--count", "200"], ["files", "--count", "30"]])
def test_nothing_is_found(what, tmp_path):
    command = [sys.executable, "-m", "fuzz", *what, "--keep", str(tmp_path / "cases")]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (tmp_path / "cases").exists()
    assert len(done.stdout.splitlines()) == (1 if what[0] == "messages" else len(FORMATS))


def test_a_seed_makes_the_same_case():
    assert conversation("1:2") == conversation("1:2") != conversation("1:3")
    assert case(FORMATS["learn"], "1:2") == case(FORMATS["learn"], "1:2") != case(FORMATS["learn"], "1:3")


def hangs(content):
    while True:
        pass


def is_greedy(content):
    return bytes([1]) * (300 << 20) and "answered"


def breaks(content):
    raise ValueError("a traceback")


def dies(content):
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_is_wrong_is_found(monkeypatch):
    monkeypatch.setattr("fuzz.judge.LIMIT", 1.0)
    readers = [lambda content: "answered", breaks, is_greedy, dies, hangs, lambda content: "answered"]
    kept = {}

    def keep(number, verdict, said):
        kept[number] = verdict, said

    report = judge(lambda number: Case(b"", readers[number]), len(readers), 60, keep)
    assert [kept[number][0] for number in range(1, 5)] == ["traceback", "memory", "crash", "hang"], kept
    assert report.verdicts == Counter(answered=2, traceback=1, memory=1, crash=1, hang=1)
    assert "ValueError: a traceback" in verdict_of(Case(b"", breaks))[1]


def test_a_kept_case_is_read_again(tmp_path):
    path = tmp_path / "learn.traceback.0.7"
    path.write_bytes(b"[start]\nframes = " + b"[" * 5000)
    command = [sys.executable, "-m", "fuzz", "again", str(path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "refused")
