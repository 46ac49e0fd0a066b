"""How long work tells how far it is: a function that is called with what is at work, what is done, and the total."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told how far a stage of long work is; what shows it stands in `beadwise.driver.launch.stages`."""

    def __call__(self, label: str, done: int, total: int, detail: str = "") -> None:
        """Tell how far a stage is.

        Parameters
        ----------
        label : str
            Of the stage, which stays the same until it is over.
        done, total : int
            Of the stage; the total is 0 where it is not known.
        detail : str
            What else is known by now, as a loss or an estimate.
        """
