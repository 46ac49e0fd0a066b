"""Why i-PI failed, and what it warns of, as its log tells."""

import pytest
from beadwise.runs.output.words_of_ipi import MOST_WARNINGS, Warnings, is_unintended, reason_of_failure

FAILURE = """ @init_file: Initializing from file init.xyz.
Traceback (most recent call last):
  File "simulation.py", line 7, in load
    raise ValueError("first")
ValueError: first

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "simulation.py", line 9, in load
    simulation.fetch()
    ^^^^^^^^^^^^^^^^^^
ValueError: The mts_weights of all the force components are not the same.
"""
STOPPED = (
    " !W! Soft exit has been requested with message: ' @SOCKET: Timeout in status recv!  I-PI reports a problem. "
    "Restartable as is: NO.'. Cleaning up.\n @interfacesocket.close: Shutting down the driver interface.\n"
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (FAILURE + "PLUMED: 1 0.02 0.02\nPLUMED: Cycles\n", "ValueError: The mts_weights of all the force"),
        ("Exception in thread Thread-1:\n" + FAILURE + " @softexit: closing\n", "ValueError: The mts_weights of all"),
        (STOPPED, "Timeout in status recv!"),
        ("Error: mode cif is not supported.\n\n", "Error: mode cif is not supported."),
        ("", "without a word"),
    ],
)
def test_reason(text, reason):
    assert reason_of_failure(text).startswith(reason)


def test_an_exception_behind_the_status_of_a_success():
    assert is_unintended(FAILURE + " @softexit.trigger:  SOFTEXIT CALLED FROM THREAD <_MainThread(stopped 1)> \n")
    assert not is_unintended(FAILURE + " @softexit.trigger:  SOFTEXIT CALLED  @ SIMULATION: Exiting cleanly.\n")
    assert not is_unintended(" @ SIMULATION: Exiting cleanly.\n")


def test_each_warning_is_told_once():
    known = Warnings()
    assert known.of_line(" @SYSTEM: binding") is None
    assert (
        known.of_line(" !W! Overwriting previous cell parameters") == "i-PI warns: Overwriting previous cell parameters"
    )
    assert known.of_line(" !W! Overwriting previous cell parameters") is None
    assert known.of_line(" !W! Timeout! request has been running for 3.1 sec.").endswith("for 3.1 sec.")
    assert known.of_line(" !W! Timeout! request has been running for 3.2e+01 sec.") is None
    assert known.of_line(" !W! Install PyFFTW to avoid slow normal-modes integration") is None
    assert known.of_line(STOPPED.splitlines()[0]) is None


def test_there_is_an_end_of_warnings():
    known = Warnings()
    told = [known.of_line(f" !W! kind {'x' * count}") for count in range(2 * MOST_WARNINGS)]
    assert [line for line in told if line][-1] == "i-PI warns of more, which its log tells"
    assert sum(line is not None for line in told) == MOST_WARNINGS
