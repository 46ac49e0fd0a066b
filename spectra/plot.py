"""Pictures of spectra: error bands, and beside them the bands that experiment finds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ..pictures import (
    BAND_LABEL,
    COLOURS,
    HALO,
    REFERENCE,
    SMALLEST,
    WIDTH,
    band,
    band_entry,
    curve_style,
    foot,
    head,
    panels,
    reach,
    titled,
    write_png,
)
from .spectrum import Column, Panel, Spectrum, panels_of

SETTLED = 100.0  # cm⁻¹; what rises below would dwarf the rest
MODEL_BAND: dict[str, Any] = {"facecolor": "none", "edgecolor": "0.25", "hatch": "//////", "linewidth": 0.5}
MARK: dict[str, Any] = {"color": REFERENCE, "linewidth": 0.9, "zorder": 2.8}
MARK_DASHES = (0, (1, 2))
NEAR_ENOUGH = 4.0  # ratio of heights beyond which those of experiment are of another system
Limits = tuple[float, float]


SPLIT = {"raman": 2400.0}  # cm⁻¹, where a spectrum is cut into two, as one of them is far higher


def plot_spectra(
    spectra: Mapping[str, Spectrum],
    image: Path,
    marks: Mapping[float, float] | Sequence[float] = (),
    lowest: float = 0.0,
    highest: float = 4200.0,
    note: str = "",
) -> None:
    """Draw one spectrum, or several of one kind for comparison, each panel with its error bands.

    Sampling errors are filled, and model errors, where there are members of committees, are hatched. What is
    preliminary is dashed, and grey where it has no error band, and the title says why.

    Parameters
    ----------
    spectra : mapping of str to Spectrum
        By the name in the legend.
    image : Path
        The PNG to write; it is replaced at once, so that a viewer never sees half of it.
    marks : mapping of float to float, or sequence of float
        Positions of experimental bands in cm⁻¹, and their heights in the unit of the picture, where they are known.
    lowest, highest : float
        Range of the wavenumber in cm⁻¹.
    note : str
        A line below the picture; by default dynamics, window and errors of the first spectrum.

    Raises
    ------
    PictureError
        If the file cannot be written.
    """
    write_png(draw_spectra(spectra, marks, lowest, highest, note), image)


def draw_spectra(
    spectra: Mapping[str, Spectrum],
    marks: Mapping[float, float] | Sequence[float] = (),
    lowest: float = 0.0,
    highest: float = 4200.0,
    note: str = "",
) -> Figure:
    """Draw as `plot_spectra` does, without writing."""
    first = next(iter(spectra.values()))
    rows = _panels_of(first, is_compared=len(spectra) > 1)
    ranges = _ranges_of(first.kind, lowest, highest)
    heights = marks if isinstance(marks, Mapping) else dict.fromkeys(marks, math.nan)
    width_ratios = [0.6 + (high - low) / (highest - lowest) for low, high in ranges]
    figure, all_axes = panels(
        (WIDTH, 1.4 + 2.3 * len(rows)), len(rows), len(ranges), grid="y", sharex="col", width_ratios=width_ratios
    )
    grid = all_axes.reshape(len(rows), len(ranges))
    colours = _colours_of(rows, spectra)
    kinds_of_marks: set[str] = set()
    for panel, row in zip(rows, grid, strict=True):
        row[0].set_ylabel(panel.label)
        for axes, limits in zip(row, ranges, strict=True):
            _draw_panel(axes, panel, spectra, colours, limits)
            kinds_of_marks |= _draw_marks(axes, heights, limits)
    for axes in grid[-1]:
        axes.set_xlabel("wavenumber / cm⁻¹")
    handles = [
        *_entries_of_curves(rows, spectra, colours),
        *_entries_of_bands(spectra),
        *_entries_of_marks(kinds_of_marks),
    ]
    head(grid[0, 0], titled(first.title, _reasons(spectra)), handles, width=WIDTH)
    parts = [note or _note_of(first), "each range of wavenumbers has its own scale" if len(ranges) > 1 else ""]
    foot(figure, "\n".join(filter(None, parts)))
    return figure


def _panels_of(spectrum: Spectrum, is_compared: bool) -> list[Panel]:
    """What is drawn; where spectra are compared, each quantity in a panel of its own."""
    kinds = panels_of(spectrum)
    if not is_compared:
        return kinds
    return [
        Panel(f"{name}\n{panel.label}" if name else panel.label, {column: name})
        for panel in kinds
        if not panel.follows
        for column, name in panel.columns.items()
    ]


def _ranges_of(kind: str, lowest: float, highest: float) -> list[Limits]:
    split = SPLIT.get(kind, math.inf)
    return [(lowest, split), (split, highest)] if lowest < split < highest else [(lowest, highest)]


def _reasons(spectra: Mapping[str, Spectrum]) -> str:
    """Why spectra are preliminary; of several by their names."""
    reasons = {label: spectrum.preliminary for label, spectrum in spectra.items() if spectrum.preliminary}
    if len(spectra) == 1:
        return "".join(reasons.values())
    return "; ".join(f"{label}, {reason}" for label, reason in reasons.items())


def _note_of(spectrum: Spectrum) -> str:
    notes = spectrum.notes
    parts = [notes.get("dynamics", ""), notes.get("data", "")]
    return (
        "; ".join(filter(None, parts))
        + f"\nwindow: {notes.get('window', '')}\nstandard errors: {notes.get('standard errors', '')}"
    )


def _colours_of(rows: Sequence[Panel], spectra: Mapping[str, Spectrum]) -> dict[str, str]:
    """A colour for each name in the legend: of one spectrum those of its columns, of several their own."""
    names = [name for panel in rows for name in panel.columns.values()] if len(spectra) == 1 else spectra
    return {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(dict.fromkeys(names))}


def _curves(
    panel: Panel, spectra: Mapping[str, Spectrum], colours: Mapping[str, str]
) -> Iterable[tuple[Spectrum, Column, str, dict[str, Any]]]:
    """Spectrum, column, name and style of every curve of a panel."""
    for label, spectrum in spectra.items():
        for key, name in panel.columns.items():
            shown, column = label if len(spectra) > 1 else name, spectrum[key]
            yield spectrum, column, shown, curve_style(colours[shown], bool(spectrum.preliminary), column.has_band)


def _draw_panel(
    axes: Axes, panel: Panel, spectra: Mapping[str, Spectrum], colours: Mapping[str, str], limits: Limits
) -> None:
    tallest, deepest = 0.0, 0.0
    for spectrum, column, _, style in _curves(panel, spectra, colours):
        inside = (spectrum.wavenumber >= limits[0]) & (spectrum.wavenumber <= limits[1])
        x, y, error = (array[inside] for array in (spectrum.wavenumber, column.values, column.standard_error))
        axes.plot(x, y, **style)
        band(axes, x, y, error, style["color"])
        errors = [error]
        if column.model is not None:
            errors.append(column.model.total[inside])
            axes.fill_between(x, y - errors[1], y + errors[1], **MODEL_BAND, zorder=2.5)
        settled = x > max(limits[0], SETTLED)
        high, low = reach(y[settled], *(own[settled] for own in errors))
        tallest, deepest = max(tallest, high), min(deepest, low)
    axes.set_xlim(*limits)
    _scale(axes, tallest, deepest)


def _scale(axes: Axes, tallest: float, deepest: float) -> None:
    """Choose a vertical axis from, or across, zero, with all bands inside."""
    span = max(tallest - deepest, 1e-300)
    axes.set_ylim(deepest - 0.04 * span if deepest < 0 else 0.0, tallest + 0.12 * span)
    if deepest < 0:
        axes.axhline(0.0, color="0.6", linewidth=0.7, zorder=1)


def _entries_of_curves(
    rows: Sequence[Panel], spectra: Mapping[str, Spectrum], colours: Mapping[str, str]
) -> list[Artist]:
    """What a legend says of the curves."""
    curves = [(name, style) for panel in rows for _, _, name, style in _curves(panel, spectra, colours)]
    return [Line2D([], [], **style, label=name) for name, style in dict(curves).items() if name]


def _entries_of_bands(spectra: Mapping[str, Spectrum]) -> list[Artist]:
    """What a legend says of the bands, if there are any."""
    columns = [column for spectrum in spectra.values() for column in spectrum.columns.values()]
    if not any(column.has_band for column in columns):
        return []
    labels = list(dict.fromkeys(column.model.label for column in columns if column.model is not None))
    sampling = f"sampling error, {BAND_LABEL}" if labels else BAND_LABEL
    return [band_entry(sampling), *(Patch(**MODEL_BAND, label=label) for label in labels)]


def _draw_marks(axes: Axes, heights: Mapping[float, float], limits: Limits) -> set[str]:
    """Draw what experiment finds: a line up to its height, or across the panel where none is comparable."""
    inside = {place: height for place, height in heights.items() if limits[0] <= place <= limits[1]}
    top = axes.get_ylim()[1]
    highest = np.nanmax([*inside.values(), -math.inf])
    is_comparable = top / NEAR_ENOUGH < highest < top * NEAR_ENOUGH
    if is_comparable:
        axes.set_ylim(top=max(top, 1.12 * highest))
    kinds = set()
    places = [-math.inf, *sorted(inside), math.inf]
    for place, height in inside.items():
        at = places.index(place)
        has_room = places[at + 1] - place >= place - places[at - 1]  # for its number, on the right
        has_height = is_comparable and math.isfinite(height)
        kinds.add("heights" if has_height else "positions")
        if has_height:
            axes.plot([place, place], [0.0, height], **MARK)
            axes.plot([place], [height], "D", color=REFERENCE, markersize=4.5, zorder=3.5)
        else:
            axes.axvline(place, linestyle=MARK_DASHES, **MARK)
        axes.annotate(
            f"{place:.0f}",
            (place, height) if has_height else (place, 1.0),
            xycoords="data" if has_height else ("data", "axes fraction"),
            xytext=(0, 4) if has_height else (2 if has_room else -2, -1),
            textcoords="offset points",
            ha="center" if has_height else "left" if has_room else "right",
            va="bottom" if has_height else "top",
            fontsize=SMALLEST,
            color=REFERENCE,
            zorder=4,
            path_effects=HALO,
        )
    return kinds


def _entries_of_marks(kinds: set[str]) -> list[Artist]:
    entries: dict[str, Artist] = {
        "heights": Line2D([], [], **MARK, marker="D", markersize=4.5, label="experiment, positions and heights"),
        "positions": Line2D([], [], **MARK, linestyle=MARK_DASHES, label="experiment, positions"),
    }
    return [entry for kind, entry in entries.items() if kind in kinds]
