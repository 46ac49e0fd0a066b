"""``committee:MODEL,MODEL``: several that answer together."""

from __future__ import annotations

import logging
from collections import Counter

from ..committee import Committee
from ..correction import Corrected
from ..errors import EvaluatorError
from ..model import Model
from ..response import Evaluator
from .loading import load_evaluator
from .provider import Provider, Rename, models_from, with_a_comma

logger = logging.getLogger(__name__)

PREFIX = "committee"


def _make(rest: str, threads: int) -> Evaluator:
    """Make a committee; a baseline that all members correct is evaluated once, and not once for each."""
    names = PROVIDER.parts(rest)
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        logger.warning("the committee has the member '%s' %d times: its uncertainty is too small", name, count)
    members = [load_evaluator(name, threads) for name in names]
    corrected = [member for member in members if isinstance(member, Corrected)]
    models = [member.correction for member in corrected if isinstance(member.correction, Model)]
    if len(models) == len(members) and len({model.baseline for model in models}) == 1:
        return Corrected(corrected[0].baseline, Committee(models))
    return Committee(members)


def _members(rest: str, rename: Rename) -> str:
    """Rename the members.

    Raises
    ------
    EvaluatorError
        If a member has no name, or is a committee.
    """

    def checked(member: str) -> str:
        if not member or member.startswith(f"{PREFIX}:"):
            raise EvaluatorError(
                f"'{PREFIX}:{rest}' has the member '{member}'; allowed are a model file, a potential, the name of a "
                "shipped model, and MODULE:ATTRIBUTE, with a comma between them"
            )
        return rename(member)

    return models_from(0)(rest, checked)


PROVIDER = Provider(PREFIX, _make, f"{PREFIX}:MODEL,MODEL", accepts=with_a_comma, models=_members)
