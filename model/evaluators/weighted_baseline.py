"""``weighted-baseline:uncertainty=S,MODEL,MODEL``: corrections that count as far as they agree, S in eV."""

from __future__ import annotations

import numpy as np

from ..errors import EvaluatorError
from ..model import Model
from ..weighted_baseline import WeightedBaseline
from .correction import correction
from .loading import baseline_of
from .provider import Provider, models_from

PREFIX = "weighted-baseline"
USAGE = f"{PREFIX}:uncertainty=UNCERTAINTY,MODEL,MODEL"


def _make(rest: str, threads: int) -> WeightedBaseline:
    setting, names = rest.partition(",")[0], PROVIDER.parts(rest)
    parameter, _, number = (part.strip() for part in setting.partition("="))
    try:
        uncertainty = float(number)
    except ValueError:
        uncertainty = np.nan
    if parameter != "uncertainty" or np.isnan(uncertainty) or not all(names):
        raise EvaluatorError(
            f"'{PREFIX}:{rest}' is no weighted baseline; it is written {USAGE}, with the uncertainty of the baseline "
            "in eV"
        )
    members = [_without_charges(name, threads) for name in names]
    return WeightedBaseline(baseline_of(members[0], names[0], threads), members, uncertainty)


def _without_charges(name: str, threads: int) -> Model:
    """A correction, whose energies a weight can be made of."""
    member = correction(name, threads)
    if not isinstance(member, Model):
        raise EvaluatorError(f"'{name}' has charges; {PREFIX} takes corrections without charges")
    return member


PROVIDER = Provider(PREFIX, _make, USAGE, models=models_from(1))
