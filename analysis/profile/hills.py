"""The hills of a metadynamics, from PLUMED's table of them."""

from __future__ import annotations

import numpy as np

from ...runs.plumed.tables import PlumedTable
from ...sampling import Hills


def hills_of(table: PlumedTable, temperature: float, energy_unit: float) -> Hills:
    """The hills that a table holds.

    Parameters
    ----------
    table : PlumedTable
        PLUMED's ``HILLS``.
    temperature : float
        In K.
    energy_unit : float
        Of their heights, in eV.

    Raises
    ------
    InputError
        If a column is missing.
    SamplingError
        If there is no hill, or a number is out of its range.
    """
    periods = [table.period_of(name) for name in table.hill_variables]
    return Hills(
        centres=np.stack([table.column(name) for name in table.hill_variables], axis=1),
        widths=np.stack([table.column(f"sigma_{name}") for name in table.hill_variables], axis=1),
        heights=table.column("height") * energy_unit,
        temperature=temperature,
        bias_factor=float(table.column("biasf")[0]) if len(table.rows) else 1.0,
        periods=np.array([np.inf if period is None else period[1] - period[0] for period in periods]),
        kernel=table.settings.get("kerneltype", "stretched-gaussian"),
    )
