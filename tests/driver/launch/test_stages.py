"""How long work tells how far it is: plain lines, their pace, and silence of what is short."""

import io

import pytest
from beadwise.driver.launch import stages
from beadwise.driver.launch.stages import Pace, Stages, new_console
from rich.console import Console


@pytest.mark.parametrize(("hours", "fewest", "most"), [(0.05, 15, 20), (1, 60, 90), (24, 120, 160), (168, 160, 200)])
def test_lines_become_rarer(hours, fewest, most):
    pace = Pace(0.0)
    lines = sum(pace.is_due(0.1 * tenth) for tenth in range(round(36_000 * hours)))
    assert fewest <= lines <= most


def lines_of(work, monkeypatch, times):
    """Lines of a work at such times, after its first two seconds."""
    clock = iter(times)
    monkeypatch.setattr(stages.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(stages, "QUIET", 1e6)  # the timer of the first seconds is not waited for
    output = io.StringIO()
    with Stages(Console(file=output)) as shown:
        shown._lines._begin()
        work(shown)
    return output.getvalue().splitlines()


def test_each_stage_and_then_now_and_then(monkeypatch):
    def work(shown):
        shown("energy", 0, 400)
        for done in (100, 200, 300):
            shown("energy", done, 400, f"loss {done}")
        shown("dipole", 0, 50)

    assert lines_of(work, monkeypatch, [0.0, 10.0, 15.0, 25.0, 30.0, 40.0]) == [
        "energy: 0/400",
        "energy: 200/400, loss 200, 15 s left",
        "dipole: 0/50",
    ]


def test_what_was_there_before_is_not_counted_as_fast(monkeypatch):
    def work(shown):
        shown("labels", 90, 100)  # kept from before
        shown("labels", 91, 100)

    assert lines_of(work, monkeypatch, [0.0, 0.0, 60.0]) == ["labels: 90/100", "labels: 91/100, 9 min 00 s left"]


def test_short_work_says_nothing(capfd):
    with Stages() as shown:
        assert list(shown.counted([1, 2, 3], "reading")) == [1, 2, 3]
        assert list(shown.counted(iter("ab"), "reading")) == ["a", "b"]
    assert capfd.readouterr() == ("", "")


def test_a_long_first_step_is_told(monkeypatch):
    output = io.StringIO()
    with Stages(Console(file=output)) as shown:
        shown("evaluating", 0, 3)
        shown._lines._begin()
    assert output.getvalue() == "evaluating: 0/3\n"


def test_bars_on_a_terminal():
    output = io.StringIO()
    with Stages(Console(file=output, force_terminal=True, width=100)) as shown:
        shown("evaluating", 1, 3, "loss 2")
        shown.clear()
        shown("evaluating", 2, 3)
    assert "evaluating" in output.getvalue() and "1/3, loss 2" in output.getvalue()


def test_colours_that_are_asked_for_make_no_terminal(monkeypatch, capfd):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as notebooks set it
    console = new_console(stderr=True)
    with Stages(console) as told:
        told("reading frames", 1, 3)
    console.print("[bold]done[/bold]")
    assert not console.is_terminal
    assert capfd.readouterr().err == "done\n"
