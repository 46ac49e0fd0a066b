"""Where experiment finds the bands of water, to be marked in pictures."""

from __future__ import annotations

import math

# Wavenumbers in cm⁻¹ at room temperature.
WATER = {
    # Maxima of nα of the liquid: Bertie and Lan, Applied Spectroscopy 50, 1047 (1996)
    "ir": (186.0, 619.0, 1645.0, 2121.0, 3394.0),
    # The two O–H stretching bands of the liquid
    "raman": (3232.0, 3441.0),
    # The free O–H of the surface
    "sfg": (3693.0,),
}

# Heights of the maxima of nα, in cm⁻¹, in the order of WATER["ir"]
WATER_ABSORPTION = (1.93e3, 4.61e3, 3.68e3, 0.59e3, 17.3e3)


SOURCES = {"ir": "Bertie and Lan, Applied Spectroscopy 50, 1047 (1996), liquid at 298 K"}


def marks(kind: str, symbols: set[str] | None) -> dict[float, float]:
    """Experimental bands of a kind of spectrum, none unless the atoms are those of water.

    Curves of experiment are not shown: those of the sources above are not free to be copied.

    Parameters
    ----------
    kind : str
        ``ir``, ``raman``, ``sfg`` or ``dos``.
    symbols : set of str or None
        Chemical symbols of the atoms; None if they are not known.

    Returns
    -------
    dict of float to float
        Positions in cm⁻¹, and heights in the unit of a spectrum's picture, not a number where none is known.
    """
    if symbols != {"H", "O"}:
        return {}
    places = WATER.get(kind, ())
    heights = WATER_ABSORPTION if kind == "ir" else (math.nan,) * len(places)
    return dict(zip(places, heights, strict=True))
