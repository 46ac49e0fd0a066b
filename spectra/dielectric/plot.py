"""The picture of a permittivity: ε(ω) with its errors, and the distribution of the polarization."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...pictures import COLOURS, WIDTH, band, band_entry, curve_style, foot, head, panels, reference_style, titled
from ..spectrum import Spectrum

BINS = 40
AXES = ("x", "y", "z")


def draw_permittivity(spectrum: Spectrum, polarizations: np.ndarray) -> Figure:
    """Draw ε(ω) on the left, and on the right how often each component of the polarization occurs.

    Parameters
    ----------
    spectrum : Spectrum
        That of `beadwise.spectra.dielectric.spectrum.dielectric_spectrum`.
    polarizations : ndarray of float64, shape (samples, 3)
        In C/m².
    """
    figure, (left, right) = panels((WIDTH, 3.9), 1, 2, width_ratios=[1.5, 1.0])
    named = {"real": "ε′(ω)", "imaginary": "ε″(ω)"}
    handles = []
    for (name, label), colour in zip(named.items(), COLOURS, strict=False):
        column = spectrum[name]
        style = curve_style(colour, bool(spectrum.preliminary), column.has_band)
        left.plot(spectrum.wavenumber[1:], column.values[1:], **style)
        band(left, spectrum.wavenumber[1:], column.values[1:], column.standard_error[1:], style["color"])
        handles.append(Line2D([], [], **style, label=label))
    left.axhline(float(spectrum["real"].values[0]), **reference_style((0, (1, 2))))
    handles.append(Line2D([], [], **reference_style((0, (1, 2))), label="static"))
    left.set(xscale="log", xlabel="wavenumber / cm⁻¹", ylabel="permittivity")
    left.set_xlim(spectrum.wavenumber[1], spectrum.wavenumber[-1])
    _draw_distribution(right, polarizations)
    notes = spectrum.notes
    title = f"Permittivity {notes['static']}"
    head(left, titled(title, spectrum.preliminary), [*handles, band_entry()], width=WIDTH)
    lines = [f"{notes['dynamics']}; {notes['data']}; ε∞ {notes['optical']}", f"errors: {notes['standard errors']}"]
    foot(figure, "\n".join(lines))
    return figure


def _draw_distribution(axes: Axes, polarizations: np.ndarray) -> None:
    """Histograms of the components, and the normal distribution of the same width around zero."""
    largest = float(np.abs(polarizations).max(initial=0.0)) or 1.0
    edges = np.linspace(-1.05 * largest, 1.05 * largest, BINS + 1)
    for component, name in enumerate(AXES):
        heights, _ = np.histogram(polarizations[:, component], edges, density=True)
        axes.stairs(heights, edges, color=COLOURS[component], linewidth=1.2, label=name)
    width = float(np.sqrt(np.square(polarizations).mean())) or 1.0
    places = np.linspace(edges[0], edges[-1], 200)
    normal = np.exp(-np.square(places / width) / 2) / (width * np.sqrt(2 * np.pi))
    axes.plot(places, normal, **reference_style((0, (4, 2))), label="normal")
    axes.set(xlabel="polarization / C m⁻²", yticks=[])
    axes.set_ylim(0, 1.25 * axes.get_ylim()[1])
    axes.legend(loc="upper left", ncols=2, fontsize=8, frameon=False)
