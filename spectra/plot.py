"""Pictures of spectra: error bands, and the positions that experiment gives as light marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ..pictures import BAND_ALPHA, COLOURS, LEGEND, WIDTH, band, foot, head, panels, reach, write_png
from .spectrum import Column, Panel, Spectrum, panels_of

MARK_COLOUR = "0.72"
BELOW_MARKS: dict[str, Any] = {"borderaxespad": 1.5, **LEGEND}
HATCH_WIDTH = 0.45  # points; by default matplotlib hatches with lines as thick as a spectrum
MODEL_BAND: dict[str, Any] = {"facecolor": "none", "edgecolor": "0.25", "hatch": "//////", "linewidth": 0.5}


def plot_spectra(
    spectra: Mapping[str, Spectrum],
    image: Path,
    marks: Sequence[float] = (),
    lowest: float = 0.0,
    highest: float = 4200.0,
    note: str = "",
) -> None:
    """Draw one spectrum, or several of one kind for comparison, each panel with its error bands.

    Sampling errors are filled, and model errors, where there are members of committees, are hatched.

    Parameters
    ----------
    spectra : mapping of str to Spectrum
        By the name in the legend.
    image : Path
        The PNG to write; it is replaced at once, so that a viewer never sees half of it.
    marks : sequence of float
        Experimental positions in cm⁻¹.
    lowest, highest : float
        Range of the wavenumber in cm⁻¹.
    note : str
        A line below the picture; by default dynamics, window and errors of the first spectrum.

    Raises
    ------
    PictureError
        If the file cannot be written.
    """
    with rc_context({"hatch.linewidth": HATCH_WIDTH}):
        write_png(_figure_of(spectra, marks, (lowest, highest), note), image)


def _figure_of(
    spectra: Mapping[str, Spectrum], marks: Sequence[float], limits: tuple[float, float], note: str
) -> Figure:
    first = next(iter(spectra.values()))
    drawn = panels_of(first)
    figure, all_axes = panels((WIDTH, 0.9 + 2.9 * len(drawn)), len(drawn), grid="y", sharex=True)
    for axes, panel in zip(all_axes, drawn, strict=True):
        _draw_panel(axes, panel, spectra, *limits)
        _draw_marks(axes, marks, *limits)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(loc="upper left", **BELOW_MARKS)
    if bands := _bands_of(spectra):
        lines = all_axes[0].get_legend()
        all_axes[0].legend(handles=bands, loc="upper center", **BELOW_MARKS)
        if lines is not None:
            all_axes[0].add_artist(lines)
    head(all_axes[0], first.title)
    all_axes[-1].set_xlabel("wavenumber / cm⁻¹")
    foot(figure, note or _note_of(first))
    return figure


def _note_of(spectrum: Spectrum) -> str:
    notes = spectrum.notes
    parts = [notes.get("dynamics", ""), notes.get("data", "")]
    return (
        "; ".join(filter(None, parts))
        + f"\nwindow: {notes.get('window', '')}\nstandard errors: {notes.get('standard errors', '')}"
    )


def _draw_panel(axes: Axes, panel: Panel, spectra: Mapping[str, Spectrum], lowest: float, highest: float) -> None:
    tallest, deepest = 0.0, 0.0
    lines = [
        (label, spectrum, *item, number, place)
        for number, (label, spectrum) in enumerate(spectra.items())
        for place, item in enumerate(panel.columns.items())
    ]
    for label, spectrum, name, legend, number, place in lines:
        # one spectrum: a colour for each column; several: a colour for each spectrum
        colour = COLOURS[(place if len(spectra) == 1 else number) % len(COLOURS)]
        dashes = "-" if len(spectra) == 1 or place == 0 else "--"
        column = spectrum[name]
        inside = (spectrum.wavenumber >= lowest) & (spectrum.wavenumber <= highest)
        x, y, error = (array[inside] for array in (spectrum.wavenumber, column.values, column.standard_error))
        text = ", ".join(filter(None, [label if len(spectra) > 1 else "", legend]))
        axes.plot(x, y, color=colour, linestyle=dashes, linewidth=1.2, label=text or None, zorder=3)
        band(axes, x, y, error, colour)
        errors = [error]
        if column.model is not None:
            errors.append(column.model.total[inside])
            axes.fill_between(x, y - errors[1], y + errors[1], **MODEL_BAND, zorder=2.5)
        settled = x > max(lowest, 100.0)  # what rises at ω = 0 would dwarf the rest
        high, low = reach(y[settled], *(own[settled] for own in errors))
        tallest, deepest = max(tallest, high), min(deepest, low)
    axes.set_ylabel(panel.label)
    axes.set_xlim(lowest, highest)
    span = max(tallest - deepest, 1e-300)
    axes.set_ylim(deepest - 0.1 * span if deepest < -0.02 * span else 0.0, tallest + 0.15 * span)
    if deepest < 0:
        axes.axhline(0.0, color="0.6", linewidth=0.7, zorder=1)


def _bands_of(spectra: Mapping[str, Spectrum]) -> list[Patch]:
    """What a legend says of the bands; nothing where there is one kind of band only."""
    columns: list[Column] = [column for spectrum in spectra.values() for column in spectrum.columns.values()]
    labels = list(dict.fromkeys(column.model.label for column in columns if column.model is not None))
    if not labels:
        return []
    sampling = Patch(facecolor="0.4", alpha=BAND_ALPHA, linewidth=0, label="sampling error")
    hatched = [Patch(**MODEL_BAND, label=label) for label in labels]
    return [sampling, *hatched]


def _draw_marks(axes: Axes, marks: Sequence[float], lowest: float, highest: float) -> None:
    inside = [mark for mark in marks if lowest <= mark <= highest]
    for mark in inside:
        axes.axvline(mark, color=MARK_COLOUR, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
        axes.annotate(
            f"{mark:.0f}",
            (mark, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(2, -2),
            textcoords="offset points",
            va="top",
            fontsize=7,
            color="0.55",
        )
    if inside:
        axes.plot([], [], color=MARK_COLOUR, linestyle=(0, (4, 3)), linewidth=0.9, label="experiment, position")
