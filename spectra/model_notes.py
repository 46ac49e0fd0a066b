"""What is said of model errors beside a spectrum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..with_errors import error_text
from .model_error import CommitteeEstimates, ModelError
from .units import ELEMENTARY_CHARGE, thermal_energy

LINEAR_SPREAD = 1.0  # of h; beyond it what the first cumulant leaves out is no longer small because h is
LARGEST_SHARE_OF_NOISE = 0.5  # of the square of a model error
LOWEST_OF_NOTE = 100.0  # cm⁻¹: what rises below, at ω = 0, is not the band to speak of


def notes_of_model(
    errors: Sequence[ModelError],
    column: tuple[int, str, np.ndarray, np.ndarray],
    wavenumber: np.ndarray,
    committee: CommitteeEstimates,
    temperature: float,
) -> dict[str, str]:
    """What is said of model errors beside a spectrum.

    Parameters
    ----------
    errors : sequence of ModelError
        Of all columns.
    column : tuple of int, str and two ndarray of float64, shape (frequencies,)
        Place, name, values and standard errors of the column whose highest point is spoken of.
    wavenumber : ndarray of float64, shape (frequencies,)
        In cm⁻¹.
    committee : CommitteeEstimates
    temperature : float
        In K.
    """
    over, notes = [], {}
    if committee.properties:
        over.append(f"{len(committee.properties)} members of the property on the same trajectory")
    if committee.weighted:
        over.append(f"{len(committee.weighted)} members of the potential")
        spread = committee.spread * ELEMENTARY_CHARGE / thermal_energy(temperature)
        member = int(np.argmax(spread))
        beyond = f", more than {LINEAR_SPREAD:g}: the expansion may have left its linear range"
        notes["members of the potential"] = (
            "weight the initial conditions, by the first cumulant; the dynamics stays that of their mean, so that "
            "shifts of bands by other forces are not in the model error; h = beta (V_i - mean) of member "
            f"{member} varies by {spread[member]:.3g}{beyond if spread[member] > LINEAR_SPREAD else ''}"
        )
    place, name, values, standard_error = column
    error = errors[place]
    highest = int(np.nanargmax(np.where(wavenumber >= LOWEST_OF_NOTE, values, -np.inf)))
    sampling, model, floor = standard_error[highest], error.total[highest], error.noise_floor[highest]
    floors = {kind: (part.error[highest], part.noise_floor[highest]) for kind, part in error.parts.items()}
    parts = ", ".join(f"{kind} {own:.2g} with {noise:.2g}" for kind, (own, noise) in floors.items())
    lost = [kind for kind, (own, noise) in floors.items() if noise**2 > LARGEST_SHARE_OF_NOISE * own**2]
    if not floors and floor**2 > LARGEST_SHARE_OF_NOISE * model**2:
        lost = ["members"]
    warning = f"; that of {' and '.join(lost)} is mostly noise here, a longer series is needed" if lost else ""
    return {
        "model error": f"standard deviation over {' and '.join(over)}; not in the standard error",
        **notes,
        "noise floor": "what chance adds to the model error, in squares; the longer the series, the less",
        "errors at the maximum": (
            f"{name} is {values[highest]:.5g} at {wavenumber[highest]:.0f} cm⁻¹: "
            f"sampling error {error_text(sampling)}, model error {model:.2g} with a noise floor of {floor:.2g}"
            f"{f' ({parts})' if parts else ''}, "
            f"both errors in quadrature {error_text(float(np.hypot(sampling, model)))}{warning}"
        ),
    }
