"""What i-PI says in its log: why it failed, and what it warns of."""

from __future__ import annotations

import re

TRACEBACK = re.compile(r"^ *Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)+([^\s].*)$", re.MULTILINE)
PROBLEM = re.compile(
    r"Soft exit has been requested with message: '\s*(?:@[^:\n]*:\s*)?(.+?)\.? I-PI reports a problem\."
)
MARK = "!W!"
EXPECTED = ("Soft exit has been requested", "@SOFTEXIT:", "Install PyFFTW", 'When using matching="lock"')
INTENDED = ("Exiting cleanly", "EXIT file detected", "Kill signal", "Restartable as is: YES")  # of an end in order
MOST_WARNINGS = 10
NUMBER = re.compile(r"[-+\d.]+(?:[eE][-+]?\d+)?")


def reason_of_failure(text: str) -> str:
    """Why i-PI failed: the last line of its last traceback, whatever was printed after it.

    Without a traceback it is the message of its soft exit, or else the last line.

    Parameters
    ----------
    text : str
        What this i-PI has printed.
    """
    if found := TRACEBACK.findall(text):
        return str(found[-1]).strip()
    if found := PROBLEM.findall(text):
        return " ".join(str(found[0]).split())
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else "without a word"


def is_unintended(text: str) -> bool:
    """Whether an i-PI that ended with status 0 did so by an exception: what cleans up at its end hides the status.

    Parameters
    ----------
    text : str
        What this i-PI has printed.
    """
    return TRACEBACK.search(text) is not None and not any(message in text for message in INTENDED)


class Warnings:
    """Warnings of i-PI, each told once; those that differ in numbers only are one, as of every step."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def of_line(self, line: str) -> str | None:
        """What to tell the user of a line of the log; None if it is no warning, an expected one, or told already."""
        _, mark, text = line.partition(MARK)
        text = text.strip()
        kind = NUMBER.sub("#", text)
        if not mark or not text or text.startswith(EXPECTED) or kind in self._told:
            return None
        self._told.add(kind)
        if len(self._told) > MOST_WARNINGS:
            return None
        if len(self._told) == MOST_WARNINGS:
            return "i-PI warns of more, which its log tells"
        return f"i-PI warns: {text}"
