"""A picture of what is integrated over the mass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy

from ..pictures import BAND_LABEL, COLOURS, WIDTH, head, panels, write_png
from .mass_integration import MassIntegration

POINTS = 200  # of the curve
MILLI = 1000
RULES = {"gauss-legendre": "Gauss–Legendre", "trapezoidal": "trapezoidal"}


def plot_integrand(
    result: MassIntegration, errors: np.ndarray, atoms: int, image: Path, harmonic: float | None = None
) -> None:
    """Draw the integrand per atom in meV with its errors, and the curve whose area the rule gives.

    For the Gauss–Legendre rule that is the polynomial through all points, which the rule integrates exactly; for the
    trapezoidal rule straight lines from y = 0, where the integrand is zero.

    Parameters
    ----------
    result : MassIntegration
    errors : ndarray of float64, shape (runs,)
        Standard errors of the integrand, in eV.
    atoms : int
    image : Path
        The PNG to write; it is replaced at once, so that a viewer never sees half of it.
    harmonic : float, optional
        A_q − A_cl of a harmonic crystal in eV, where the integrand is over that.

    Raises
    ------
    PictureError
        If the file cannot be written.
    """
    scale = MILLI / atoms
    y, values = result.root_mass_ratios, scale * result.integrand
    if result.rule == "trapezoidal":
        curve_y, curve = np.array([0.0, *y]), np.array([0.0, *values])
    else:
        curve_y = np.linspace(0, 1, POINTS)
        curve = scipy.interpolate.BarycentricInterpolator(y, values)(curve_y)
    figure, (axes,) = panels((WIDTH, 4.0), grid="y")
    colour = COLOURS[0]
    area_below = axes.fill_between(curve_y, curve, color=colour, alpha=0.12, linewidth=0)
    area_below.set_label(f"area that the {RULES[result.rule]} rule gives")
    axes.plot(curve_y, curve, color=colour, linewidth=1.0)
    points = axes.errorbar(y, values, scale * errors, fmt="o", color=colour, markersize=4.5, capsize=3, linewidth=1.2)
    points.set_label(f"runs, {BAND_LABEL}")
    axes.axhline(0, color="0.6", linewidth=0.8)
    axes.set_xlim(0, 1.02)
    axes.set_xlabel("y, square root of the ratio of masses (masses m/y²)")
    over = "3N k$_B$T/2" if harmonic is None else "T$_{har}$"
    axes.set_ylabel(f"(2/y) [T$_{{CV}}$ − {over}] / meV per atom")
    area, error = scale * result.difference, scale * result.standard_error
    what = "$A_q − A_{cl}$" if harmonic is None else f"$A_q − A_{{cl}}$ over the harmonic {scale * harmonic:.5g}"
    head(axes, f"area: {what} = {area:.4g} ± {error:.2g} meV per atom", [points, area_below])
    write_png(figure, image)
