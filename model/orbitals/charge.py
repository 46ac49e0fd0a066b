"""The charge of molecules, which the name of an evaluator says, or their structures, or the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...reading import shown
from ..checks import refuse_other_charge
from ..structures import Batch

CHARGE = "charge"


def charge_of_metadata(metadata: Mapping[str, Any]) -> float:
    """Charge in e of the molecules of a fit; 0 where its file says none.

    Raises
    ------
    ValueError
        If it is no finite number.
    """
    said = metadata.get(CHARGE, 0.0)
    if isinstance(said, bool) or not isinstance(said, (int, float)) or not np.isfinite(said):
        raise ValueError(f"the charge is {shown(said)}; a finite number in e is needed")
    return float(said)


def charge_of_molecules(said: float | None, batch: Batch, metadata: Mapping[str, Any]) -> float:
    """Charge in e of the molecules of a batch: what the name says, or the structures, else that of the fit.

    Parameters
    ----------
    said : float or None
        By the name of the evaluator.
    batch : Batch
    metadata : mapping
        Of the file.

    Raises
    ------
    StructureError
        If name and structures say different charges.
    """
    if said is not None:
        refuse_other_charge(batch, said, "the model")
    own = batch.charge if said is None else said
    return charge_of_metadata(metadata) if own is None else own
