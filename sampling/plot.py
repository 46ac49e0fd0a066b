"""Pictures of free-energy profiles with error bands."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from ase.units import kB
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .profile import FreeEnergyProfile, common_edges

COLOURS = ("#1f5a92", "#c8641e", "#4a8c3f", "#8a4f9e")


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
    """
    edges = common_edges(profiles)
    first = next(iter(profiles.values()))
    figure = Figure(figsize=(8.0, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for number, (name, profile) in enumerate(profiles.items()):
        colour = COLOURS[number % len(COLOURS)]
        below, above = (profile.free_energy + sign * profile.standard_error for sign in (-1, 1))
        known = np.where(np.isfinite(profile.standard_error), profile.free_energy, np.nan)
        axes.plot(profile.coordinate, known, color=colour, linewidth=1.2, label=name, zorder=3)
        # what was seen too rarely for an error
        axes.plot(profile.coordinate, profile.free_energy, color=colour, linewidth=0.8, linestyle=":", zorder=2)
        axes.fill_between(profile.coordinate, below, above, color=colour, alpha=0.25, linewidth=0, zorder=2)
    thermal_energy = kB * first.temperature
    scale = axes.twinx()
    scale.set_ylabel(f"F / k$_B$T at {first.temperature:g} K")
    axes.set_ylabel("free energy / eV")
    axes.set_xlabel(variable)
    axes.set_xlim(edges[0], edges[-1])
    highest = max(float(np.nanmax(profile.free_energy)) for profile in profiles.values())
    # an error band may begin below zero, and a curve may be flat
    limits = np.array([-0.05 * highest - 0.1 * thermal_energy, 1.1 * highest + 0.1 * thermal_energy])
    axes.set_ylim(*limits)
    scale.set_ylim(*limits / thermal_energy)
    scale.spines["top"].set_visible(False)
    axes.spines["top"].set_visible(False)
    axes.grid(axis="y", color="0.93", linewidth=0.6)
    if len(profiles) > 1:
        axes.legend(loc="upper left", fontsize=8.5, frameon=False)
    if title:
        axes.set_title(title, loc="left", fontsize=11)
    figure.supxlabel(note or _note_of(first), fontsize=7.5, color="0.35")
    temporary = image.with_name(f".{image.name}")
    figure.savefig(temporary, format="png", dpi=140)
    os.replace(temporary, image)


def _note_of(profile: FreeEnergyProfile) -> str:
    """Data and errors in one line."""
    return "; ".join(filter(None, (profile.notes.get(topic, "") for topic in ("data", "estimator", "standard errors"))))
