"""Properties of a run against time, in as many points as a picture needs, with their means and drifts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from ...runs.input.elements import InputError
from ...runs.output.properties import Property, PropertyTable, electronvolts
from .statistics import mean_of, pieces, rounded, slope_of

LABELS = {
    "conserved": "conserved quantity, change",
    "temperature": "temperature",
    "potential": "potential energy",
    "kinetic_cv": "kinetic energy of the nuclei (centroid virial)",
    "kinetic_md": "kinetic energy of the ring polymer",
    "kinetic_td": "kinetic energy of the nuclei (primitive)",
    "pressure_cv": "pressure (centroid virial)",
    "pressure_md": "pressure of the ring polymer",
    "pressure_td": "pressure (primitive)",
    "volume": "volume",
    "density": "density",
    "ensemble_bias": "bias",
    "r_gyration": "radius of gyration of the beads",
}
FIRST = tuple(LABELS)
AXES = ("step", "time")
MOST_POINTS = 600
MOST_SERIES = 16
PICOSECONDS = {"picosecond": 1.0, "femtosecond": 1e-3}


def property_series(
    table: PropertyTable, atoms: int | None, temperature: float | None, is_free: bool
) -> list[dict[str, Any]]:
    """All properties of a file, as `beadwise.analysis.report` says.

    Parameters
    ----------
    table : PropertyTable
    atoms : int or None
        By which the conserved quantity is divided.
    temperature : float or None
        What the run aims at, in K.
    is_free : bool
        Whether there is no thermostat.
    """
    label, axis = time_axis_of(table)
    names = [one for one in table.properties if one.name not in AXES and one.columns.stop - one.columns.start == 1]
    names.sort(key=lambda one: FIRST.index(one.name) if one.name in FIRST else len(FIRST))
    return [
        _series(table, one, label, axis, atoms, None if is_free else temperature)
        for one in {own.full_name: own for own in names[:MOST_SERIES]}.values()
    ]


def time_axis_of(table: PropertyTable) -> tuple[str, np.ndarray]:
    """What the properties are drawn against: time in ps where it is known, otherwise steps, or rows."""
    time = table.first("time")
    if time is not None and time.unit in PICOSECONDS:
        return "time / ps", table.values(time) * PICOSECONDS[time.unit]
    if table.first("step") is None:
        return "row", np.arange(len(table.rows), dtype=np.float64)
    if table.timestep is not None:
        return "time / ps", table.steps * (table.timestep / 1000)
    return "step", table.steps.astype(np.float64)


def _series(
    table: PropertyTable, one: Property, x_label: str, axis: np.ndarray, atoms: int | None, temperature: float | None
) -> dict[str, Any]:
    values, unit, drift = table.values(one), one.unit_label, None
    label = LABELS.get(one.name, one.name)
    if one.name == "conserved":
        values = values - values[0]
        try:
            factor = 1000 * electronvolts(one.unit, table.path)
        except InputError:
            factor = 0.0
        if factor and atoms:
            values, unit = values * (factor / atoms), "meV per atom"
            drift = slope_of(axis, values) if x_label == "time / ps" else None
    x, mean, low, high = pieces(axis, values, MOST_POINTS)
    own_mean = None if one.name == "conserved" else mean_of(axis, values)
    return {
        "name": one.full_name,
        "label": f"{label} ({one.argument})" if one.argument else label,
        "unit": unit,
        "x_label": x_label,
        "x": rounded(x),
        "y": rounded(mean, 9),
        "low": rounded(low, 9),
        "high": rounded(high, 9),
        "mean": None if own_mean is None else asdict(own_mean),
        "target": temperature if one.full_name == "temperature" and one.unit == "kelvin" else None,
        "drift": None if drift is None else asdict(drift),
    }
