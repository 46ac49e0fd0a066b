"""The option --walltime."""

import click
import pytest
from beadwise.driver.commands.option_groups.walltime import parse_walltime, time_to_stop


@pytest.mark.parametrize(
    ("text", "seconds"), [("3h", 10800), ("90min", 5400), ("1h30min", 5400), ("600s", 600), ("1.5h", 5400), ("10s", 10)]
)
def test_times(text, seconds):
    assert parse_walltime(None, None, text) == seconds
    assert 0.7 * seconds <= time_to_stop(seconds) <= seconds - 3


@pytest.mark.parametrize("text", ["", "3600", "1:30:00", "3 hours", "h", "30min1h", "-3h", "nanh", "1e3s", "3H"])
def test_what_is_no_time(text):
    with pytest.raises(click.BadParameter, match=f"'{text}' is no time; allowed are hours, minutes and seconds: 3h"):
        parse_walltime(None, None, text)


def test_too_short():
    with pytest.raises(click.BadParameter, match="'9s' is too short to start and stop i-PI; at least 10s"):
        parse_walltime(None, None, "9s")
    assert parse_walltime(None, None, None) is None
