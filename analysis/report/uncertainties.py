"""What the members of a committee and the alarms of a model said along a run, against time."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase.units import kB

from ...runs.output.alarms import ENERGIES, ModelAlarms
from .properties import MOST_POINTS
from .statistics import pieces, rounded

LABELS = {
    "energy_uncertainty": ("uncertainty of the energy, worst bead", "meV per atom"),
    "forces_uncertainty": ("uncertainty of the force, worst atom of all beads", "eV/Å"),
    "dipole_uncertainty": ("uncertainty of the dipole, worst bead", "e·Å"),
    "polarizability_uncertainty": ("uncertainty of the polarizability, worst bead", "Å³"),
    "envelope_distance": ("distance from the training frames, worst bead", "ranges"),
    "correction_weight": ("weight of the correction, largest of all beads", ""),
}
SPREAD = "committee_spread"


def uncertainty_series(
    alarms: ModelAlarms, timestep: float | None, atoms: int, temperature: float | None
) -> list[dict[str, Any]]:
    """All that was told, as `beadwise.analysis.report` says."""
    found = []
    for name, values in alarms.values.items():
        steps = alarms.steps[name]
        if name == ENERGIES:
            if temperature and values.shape[1] > 1:
                found.append(_spread(steps, values / (kB * temperature), timestep))
            continue
        label, unit = LABELS.get(name, (name, ""))
        worst = values.max(axis=1) if values.ndim > 1 else values
        if name == "energy_uncertainty":
            worst = worst * (1000 / atoms)
        found.append(_content(name, label, unit, steps, worst, timestep, float(worst.max())))
    return found


def _spread(steps: np.ndarray, reduced: np.ndarray, timestep: float | None) -> dict[str, Any]:
    """How the potentials of members (samples, members), in units of kT, move against their mean."""
    deviations = reduced - reduced.mean(axis=1, keepdims=True)
    deviations = deviations - deviations.mean(axis=0)  # a constant of a member has no consequence
    label = f"spread of the members' potentials, {reduced.shape[1]} members against their mean"
    worst = float(deviations.std(axis=0).max())
    return _content(SPREAD, label, "kT", steps, np.sqrt(np.square(deviations).mean(axis=1)), timestep, worst)


def _content(
    name: str, label: str, unit: str, steps: np.ndarray, values: np.ndarray, timestep: float | None, worst: float
) -> dict[str, Any]:
    axis = steps.astype(np.float64) if timestep is None else steps * (timestep / 1000)
    x, mean, low, high = pieces(axis, values, MOST_POINTS)
    return {
        "name": name,
        "label": label,
        "unit": unit,
        "x_label": "step" if timestep is None else "time / ps",
        "x": rounded(x),
        "y": rounded(mean),
        "low": rounded(low),
        "high": rounded(high),
        "mean": None,
        "target": None,
        "drift": None,
        "worst": worst,
    }
