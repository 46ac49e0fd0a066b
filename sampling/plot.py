"""Pictures of free-energy profiles with error bands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from ase.units import kB
from matplotlib.artist import Artist
from matplotlib.lines import Line2D

from ..pictures import (
    COLOURS,
    PRELIMINARY,
    SMALL,
    WIDTH,
    band,
    band_entry,
    curve_style,
    foot,
    head,
    panels,
    reach,
    write_png,
)
from .profile import FreeEnergyProfile, common_edges

WITHOUT_ERROR = curve_style(PRELIMINARY, is_preliminary=True, has_band=False) | {"linewidth": 1.0, "zorder": 2}


def plot_profiles(
    profiles: Mapping[str, FreeEnergyProfile], image: Path, variable: str, title: str = "", note: str = ""
) -> None:
    """Draw profiles, in eV on the left and in k_B T of the first profile on the right.

    Parameters
    ----------
    profiles : mapping of str to FreeEnergyProfile
        By the name in the legend; all with the same edges.
    image : Path
        The PNG to write; it is replaced at once, so that a viewer never sees half of it.
    variable : str
        Name of the variable and its unit, below the horizontal axis.
    title, note : str
        Above and below the picture; by default the note says data and errors of the first profile.

    Raises
    ------
    SamplingError
        If there is no profile, or edges differ.
    PictureError
        If the file cannot be written.
    """
    edges = common_edges(profiles)
    first = next(iter(profiles.values()))
    figure, (axes,) = panels((WIDTH, 4.2), grid="y")
    handles: list[Artist] = []
    for number, (name, profile) in enumerate(profiles.items()):
        style = curve_style(COLOURS[number % len(COLOURS)])
        known = np.where(np.isfinite(profile.standard_error), profile.free_energy, np.nan)
        (line,) = axes.plot(profile.coordinate, known, label=name, **style)
        handles += [line] if len(profiles) > 1 else []
        axes.plot(profile.coordinate, _without_error(profile), **WITHOUT_ERROR)
        band(axes, profile.coordinate, profile.free_energy, profile.standard_error, style["color"])
    handles += [band_entry()] if any(np.isfinite(own.standard_error).any() for own in profiles.values()) else []
    if any((np.isfinite(own.free_energy) & ~np.isfinite(own.standard_error)).any() for own in profiles.values()):
        handles += [Line2D([], [], **WITHOUT_ERROR, label="too few samples for an error")]
    thermal_energy = kB * first.temperature
    scale = axes.twinx()
    scale.set_ylabel(f"F / k$_B$T at {first.temperature:g} K")
    axes.set_ylabel("free energy / eV")
    axes.set_xlabel(variable)
    axes.set_xlim(edges[0], edges[-1])
    ends = np.array([reach(profile.free_energy, profile.standard_error) for profile in profiles.values()])
    highest, lowest = ends[:, 0].max(), ends[:, 1].min()
    margin = 0.05 * (highest - lowest) + 0.1 * thermal_energy  # a curve may be flat
    limits = np.array([lowest - margin, highest + margin])
    axes.set_ylim(*limits)
    scale.set_ylim(*limits / thermal_energy)
    scale.spines["top"].set_visible(False)
    scale.tick_params(labelsize=SMALL)
    head(axes, title, handles)
    foot(figure, note or _note_of(first))
    write_png(figure, image)


def _without_error(profile: FreeEnergyProfile) -> np.ndarray:
    """The parts of a profile that were seen too rarely for an error, joined to those beside them."""
    has_error = np.isfinite(profile.standard_error)
    beside = has_error.copy()
    beside[1:] &= has_error[:-1]
    beside[:-1] &= has_error[1:]
    return np.where(beside, np.nan, profile.free_energy)


def _note_of(profile: FreeEnergyProfile) -> str:
    """Data and errors in one line."""
    return "; ".join(filter(None, (profile.notes.get(topic, "") for topic in ("data", "estimator", "standard errors"))))
