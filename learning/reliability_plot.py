"""Whether predicted uncertainties are right: predicted standard deviation against the error that was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.special import erf

from .data import DataError
from .panels import COLOURS, dress, label_decades, log_limits, write_png

BINS = 12
FEWEST_IN_BIN = 20  # fewer errors give a root mean square to no better than 16 %
RESAMPLINGS = 200
PANEL_SIZE = 3.5  # inches
COLUMNS = 2
ROOM_FOR_CAPTION = 0.12  # part of the height
MULTIPLES = (1, 2)
Reliability = tuple[np.ndarray, np.ndarray, str]


def fractions_within(
    sigma: np.ndarray, errors: np.ndarray, multiples: Sequence[float] = MULTIPLES
) -> tuple[float, ...]:
    """Part of the errors that is at most so many times the predicted standard deviation.

    Parameters
    ----------
    sigma, errors : ndarray of float64
        Predicted standard deviations, and errors of the same shape and unit; their sign does not matter.
    multiples : sequence of float

    Returns
    -------
    tuple of float
        One for each multiple; normally distributed errors give those of `gaussian_fraction`.

    Raises
    ------
    DataError
        If the shapes differ or are empty, or a standard deviation is negative or a number not finite.
    """
    sigma, errors = _checked(sigma, errors)
    return tuple(float(np.mean(np.abs(errors) <= multiple * sigma)) for multiple in multiples)


def gaussian_fraction(multiple: float) -> float:
    """Part of normally distributed errors within so many standard deviations: erf(multiple / √2)."""
    return float(erf(multiple / np.sqrt(2)))


def reliability_bins(
    sigma: np.ndarray, errors: np.ndarray, bins: int = BINS, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Root mean square error among predictions of about the same uncertainty.

    Bins hold equal numbers of predictions, in the order of σ.  For a calibrated model the root mean square error of a
    bin is the root mean square σ in it (Levi, Gispan, Giladi, Fetaya, Sensors 22, 5540 (2022)).

    Parameters
    ----------
    sigma, errors : ndarray of float64
        As `fractions_within`.
    bins : int
        Fewer where they would hold fewer than `FEWEST_IN_BIN`.
    seed : int
        Of the resampling.

    Returns
    -------
    predicted : ndarray of float64, shape (bins,)
        Root mean square σ.
    found : ndarray of float64, shape (bins,)
        Root mean square error.
    interval : ndarray of float64, shape (2, bins)
        16th and 84th percentile of ``found`` among bootstrap samples (Efron, Ann. Stat. 7, 1 (1979)), which take the
        errors as independent; those of one frame are not quite.

    Raises
    ------
    DataError
        As `fractions_within`.
    """
    sigma, errors = _checked(sigma, errors)
    order = np.argsort(sigma, kind="stable")
    count = max(1, min(bins, len(order) // FEWEST_IN_BIN))
    rng = np.random.default_rng(seed)
    predicted, found, interval = np.empty(count), np.empty(count), np.empty((2, count))
    for place, members in enumerate(np.array_split(order, count)):
        squares = errors[members] ** 2
        predicted[place] = np.sqrt(np.mean(sigma[members] ** 2))
        found[place] = np.sqrt(squares.mean())
        samples = [rng.choice(squares, len(squares)).mean() for _ in range(RESAMPLINGS)]
        interval[:, place] = np.sqrt(np.percentile(samples, [16, 84]))
    return predicted, found, interval


def plot_reliability(reliabilities: Mapping[str, Reliability], path: str | Path) -> None:
    """Draw the error that was found against the predicted uncertainty, a panel for each property.

    Parameters
    ----------
    reliabilities : mapping of str to tuple (sigma, errors, unit)
        By the name of the property: predicted standard deviations and errors of the same shape, and their unit.
    path : str or Path
        The PNG to write; it is replaced at once, so that a viewer never sees half of it.

    Raises
    ------
    DataError
        If there is no property, its numbers are not as `fractions_within` takes them, or the file cannot be written.
    """
    if not reliabilities:
        raise DataError("there is nothing to plot: no property has uncertainties")
    columns = min(len(reliabilities), COLUMNS)
    rows = -(-len(reliabilities) // columns)
    figure = Figure(figsize=(PANEL_SIZE * columns, PANEL_SIZE * rows), layout="constrained")
    FigureCanvasAgg(figure)
    all_axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (name, (sigma, errors, unit)) in zip(all_axes, reliabilities.items(), strict=False):
        _draw_panel(axes, name, np.asarray(sigma), np.asarray(errors), unit)
    for axes in all_axes[len(reliabilities) :]:
        axes.set_visible(False)
    write_png(figure, path)


def _draw_panel(axes: Axes, name: str, sigma: np.ndarray, errors: np.ndarray, unit: str) -> None:
    """Draw one property."""
    predicted, found, interval = reliability_bins(sigma, errors)
    drawn = np.concatenate([predicted, found, interval.ravel()])
    lowest, highest = log_limits(drawn[drawn > 0])
    highest *= (highest / lowest) ** ROOM_FOR_CAPTION
    dress(axes)
    axes.plot([lowest, highest], [lowest, highest], color="0.55", linewidth=1.0, zorder=1)
    axes.errorbar(
        predicted,
        found,
        yerr=np.maximum([found - interval[0], interval[1] - found], 0.0),
        fmt="o",
        color=COLOURS[0],
        markersize=4.5,
        linewidth=1.1,
        capsize=2.0,
        zorder=3,
    )
    axes.set(xscale="log", yscale="log", xlim=(lowest, highest), ylim=(lowest, highest), aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        label_decades(axis, highest / lowest)
    axes.tick_params(labelsize=8)
    axes.set_title(name, fontsize=10)
    axes.set_xlabel(f"predicted σ / {unit}", fontsize=9)
    axes.set_ylabel(f"root mean square error / {unit}", fontsize=9)
    # in the corner that the points leave free
    too_sure = np.log(np.maximum(found, lowest) / np.maximum(predicted, lowest)).sum() > 0
    x, y, across, up = (0.97, 0.03, "right", "bottom") if too_sure else (0.04, 0.98, "left", "top")
    caption = _caption(sigma, errors)
    axes.text(x, y, caption, ha=across, va=up, transform=axes.transAxes, fontsize=8, linespacing=1.4)


def _caption(sigma: np.ndarray, errors: np.ndarray) -> str:
    """Write the fractions within once and twice σ, beside those of normally distributed errors."""
    found = fractions_within(sigma, errors)
    return "\n".join(
        f"within {multiple}σ: {100 * fraction:.1f} % (Gaussian {100 * gaussian_fraction(multiple):.1f} %)"
        for multiple, fraction in zip(MULTIPLES, found, strict=True)
    )


def _checked(sigma: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as flat float64, refused if they cannot belong together."""
    predicted, found = np.asarray(sigma, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    if predicted.shape != found.shape or predicted.size == 0:
        raise DataError(
            f"uncertainties have shape {predicted.shape} and errors {found.shape}; both need the same, not empty"
        )
    if not (np.isfinite(predicted).all() and np.isfinite(found).all() and predicted.min() >= 0):
        raise DataError(
            f"uncertainties lie between {predicted.min()} and {predicted.max()}, errors between {found.min()} and "
            f"{found.max()}; all must be finite, and no uncertainty negative"
        )
    return predicted.ravel(), found.ravel()
