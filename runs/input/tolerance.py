"""What an input says of itself in comments: how far its conserved quantity may drift."""

from __future__ import annotations

import re

from .run_input import RunInput

DRIFT = re.compile(r"conserved\s+quantity\s+drifts\s+by\s+less\s+than\s+(\d+\.?\d*)\s+meV\s+per\s+atom\s+and\s+ps")


def allowed_drift(run: RunInput) -> float | None:
    """What a comment of an input allows the conserved quantity to drift by.

    Parameters
    ----------
    run : RunInput
        i-PI keeps no comment in a RESTART.

    Returns
    -------
    float or None
        In meV per atom and ps; None where no comment says ``the conserved quantity drifts by less than 0.1 meV per atom
        and ps``.
    """
    comments = (one.text or "" for one in run.document.iter() if not isinstance(one.tag, str))
    found = next((match for text in comments if (match := DRIFT.search(text))), None)
    return None if found is None else float(found[1])
