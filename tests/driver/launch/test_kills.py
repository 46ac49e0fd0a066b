"""A few random kills, and how the long runs of `fuzz` judge."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from places import REPOSITORY

sys.path.insert(0, str(REPOSITORY))

from fuzz.kills import Case, advised
from fuzz.soak import Look, verdict


def test_killed_run_is_continued_to_the_same_end(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "fuzz.kills", "--kills", "2", "--steps", "60", "--doors", "direct"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0 and ", 0 not as they must be" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("continue with `beadwise run RESTART`", ["run", "RESTART"]),
        (
            "with `cd a && beadwise run b.chk` and the options of this run: --model c; its log",
            ["run", "b.chk", "--model", "c"],
        ),
        ("Error: interrupted before i-PI was started", ["run", "input.xml"]),
        ("Error: something else", []),
    ],
)
def test_advice_is_read(said, words, tmp_path):
    assert advised(Case("unix", tmp_path, "mark", 5), 1, said, ["run", "input.xml"]) == words


@pytest.mark.parametrize(("growth", "slower", "good"), [(0.0, 1.0, True), (0.1, 1.0, False), (0.0, 3.0, False)])
def test_verdict_of_the_long_run(growth, slower, good):
    seconds = [float(number) if number < 50 else 50 + slower * (number - 50) for number in range(100)]
    looks = [
        Look(
            float(number),
            1000 * number,
            {"run": 100.0, "server": 100 * (1 + growth * number / 100), "i-PI": 50.0},
            dict.fromkeys(("run", "server", "i-PI"), second),
        )
        for number, second in enumerate(seconds)
    ]
    assert verdict(looks) is good
