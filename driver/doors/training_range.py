"""Whether the first structure is anything like what the model was fitted to.

A model answers for all atoms whose elements it knows: one of an ethanol molecule gives numbers for liquid water, too,
and no check of species finds that. Its envelope does: densities of atoms outside all of the training by more than their
whole range there have nothing to do with it.
"""

from __future__ import annotations

import logging

from ...model import Evaluator, Response

FAR = 1.0  # in units of the range of the training frames
DISTANCE = "envelope_distance"

logger = logging.getLogger(__name__)


class TrainingRange:
    """Warns once if the first structures are far outside the training frames.

    Parameters
    ----------
    evaluator : Evaluator
        One that keeps no envelope is not asked.
    """

    def __init__(self, evaluator: Evaluator):
        self._is_due = DISTANCE in evaluator.properties

    def also(self, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """What to evaluate: what is wanted, and for the first structures the distance as well."""
        return (*wanted, DISTANCE) if self._is_due and DISTANCE not in wanted else wanted

    def look_at(self, response: Response) -> None:
        """Warn if the first structures are far outside; those that follow are not looked at."""
        if not self._is_due:
            return
        self._is_due = False
        worst = float(response[DISTANCE].max())
        if worst > FAR:
            logger.warning(
                "warning: the first structure is far from all that the model was fitted to, envelope_distance %.3g (0 "
                "inside): energies and forces mean little there; is it the right model, and are the units right?",
                worst,
            )
