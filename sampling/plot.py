"""Pictures of free-energy profiles with error bands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from ase.units import kB

from ..pictures import COLOURS, LEGEND, WIDTH, band, foot, head, panels, reach, write_png
from .profile import FreeEnergyProfile, common_edges


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
    for number, (name, profile) in enumerate(profiles.items()):
        colour = COLOURS[number % len(COLOURS)]
        known = np.where(np.isfinite(profile.standard_error), profile.free_energy, np.nan)
        axes.plot(profile.coordinate, known, color=colour, linewidth=1.2, label=name, zorder=3)
        # what was seen too rarely for an error
        axes.plot(profile.coordinate, profile.free_energy, color=colour, linewidth=0.8, linestyle=":", zorder=2)
        band(axes, profile.coordinate, profile.free_energy, profile.standard_error, colour)
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
    scale.tick_params(labelsize=9)
    if len(profiles) > 1:
        axes.legend(loc="upper left", **LEGEND)
    if title:
        head(axes, title)
    foot(figure, note or _note_of(first))
    write_png(figure, image)


def _note_of(profile: FreeEnergyProfile) -> str:
    """Data and errors in one line."""
    return "; ".join(filter(None, (profile.notes.get(topic, "") for topic in ("data", "estimator", "standard errors"))))
