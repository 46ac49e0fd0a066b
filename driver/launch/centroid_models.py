"""Runs with the mean force on centroids (Te PIGS): what their dynamics is called, and what speaks against them."""

from __future__ import annotations

from ...model.training.centroid_force import temperature_of_centroids
from .plan import Plan


def name_of_dynamics(plan: Plan) -> str | None:
    """``Te PIGS, fitted at 500 K (moments of the centroid)`` for a run with one bead and such a model; else None.

    F. Musil, I. Zaporozhets, F. Noé, C. Clementi, V. Kapil, J. Chem. Phys. 157, 181102 (2022).
    """
    temperature = _fitted_at(plan)
    if temperature is None or not plan.input.systems or plan.input.systems[0].beads != 1:
        return None
    return f"Te PIGS, fitted at {temperature:g} K (moments of the centroid)"


def remarks_about_centroids(plan: Plan) -> list[str]:
    """What is allowed, but not what such a model is for."""
    fitted = _fitted_at(plan)
    if fitted is None:
        return []
    remarks = []
    for system in plan.input.systems:
        if system.beads > 1:
            remarks.append(
                f"warning: {system.beads} beads with the mean force on centroids at {fitted:g} K: quantum nuclei count "
                "twice; one bead is what this model is for"
            )
        elif system.temperature > fitted:
            remarks.append(
                f"warning: {system.temperature:g} K, and the mean force on centroids is that at {fitted:g} K: fit it "
                "at a temperature above that of the run"
            )
    return list(dict.fromkeys(remarks))


def _fitted_at(plan: Plan) -> float | None:
    found = (temperature_of_centroids(plan.model_of(address)) for address in plan.input.sockets)
    return next((temperature for temperature in found if temperature is not None), None)
