"""Runs with the mean force on centroids (Te PIGS): what their dynamics is called, and what speaks against them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...analysis.pigs.samples import isotopes_of
from ...model.training.centroid_force import ISOTOPES, TEMPERATURE, record_of_centroids
from .plan import Plan


def name_of_dynamics(plan: Plan) -> str | None:
    """``Te PIGS, fitted at 500 K (moments of the centroid)`` for a run with one bead and such a model; else None.

    F. Musil, I. Zaporozhets, F. Noé, C. Clementi, V. Kapil, J. Chem. Phys. 157, 181102 (2022).
    """
    record = _record(plan)
    if record is None or not plan.input.systems or plan.input.systems[0].beads != 1:
        return None
    return f"Te PIGS, fitted at {float(record[TEMPERATURE]):g} K (moments of the centroid)"


def remarks_about_centroids(plan: Plan) -> list[str]:
    """What is allowed, but not what such a model is for."""
    record = _record(plan)
    if record is None:
        return []
    fitted, sampled = float(record[TEMPERATURE]), record.get(ISOTOPES)
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
        if sampled is not None and not set(isotopes := isotopes_of(system)) <= set(sampled):
            remarks.append(
                f"warning: the atoms are {', '.join(isotopes)}, and the mean force on centroids is that of "
                f"{', '.join(sampled)}: each isotope needs a fit of its own"
            )
    return list(dict.fromkeys(remarks))


def _record(plan: Plan) -> Mapping[str, Any] | None:
    found = (record_of_centroids(plan.model_of(address)) for address in plan.input.sockets)
    return next((record for record in found if record is not None), None)
