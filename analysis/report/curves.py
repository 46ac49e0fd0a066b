"""Spectra and free-energy profiles with their bands and members, as plain data."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase.units import kB

from ...sampling import FreeEnergyProfile
from ...spectra.spectrum import NO_BAND, Column, Spectrum, panels_of
from .statistics import rounded

HIGHEST = 4500.0  # cm⁻¹
MOST_POINTS = 1500
DIGITS = 5
SUBSCRIPT = re.compile(r"\$_\{(\w+)\}\$")


def spectrum_content(spectrum: Spectrum, marks: Sequence[float], samples: int) -> dict[str, Any]:
    """One spectrum, as `beadwise.analysis.report` says."""
    inside = np.flatnonzero(spectrum.wavenumber <= HIGHEST)
    kept = inside[:: -(-len(inside) // MOST_POINTS)]
    panels = [
        {
            "label": SUBSCRIPT.sub(r"<sub>\1</sub>", panel.label),
            "curves": [_curve(label, spectrum[name], kept) for name, label in panel.columns.items()],
        }
        for panel in panels_of(spectrum)
    ]
    notes = dict(spectrum.notes)
    parts = [notes.get("dynamics", ""), notes.get("data", ""), f"standard errors: {notes.get('standard errors', '')}"]
    return {
        "kind": spectrum.kind,
        "title": spectrum.title,
        "preliminary": spectrum.preliminary,
        "bands": list(spectrum.bands),
        "remark": "; ".join(filter(None, parts)),
        "x_label": "wavenumber / cm⁻¹",
        "x": rounded(spectrum.wavenumber[kept], 7),
        "marks": list(marks),
        "notes": notes,
        "samples": samples,
        "panels": panels,
    }


def _curve(name: str, column: Column, kept: np.ndarray) -> dict[str, Any]:
    model = column.model
    members = [] if model is None else [("property", model.properties), ("potential", model.potentials)]
    return {
        "name": name,
        "y": rounded(column.values[kept], DIGITS),
        "error": _known(column.standard_error[kept]),
        "model_error": None if model is None else _known(model.total[kept]),
        "model_label": "" if model is None else model.label,
        "members": [
            {"name": f"{kind} {number}", "y": rounded(values[kept], DIGITS)}
            for kind, own in members
            for number, values in enumerate(own.spectra)
        ],
    }


def profile_content(variable: str, profiles: Mapping[str, FreeEnergyProfile]) -> dict[str, Any]:
    """Free-energy profiles along one variable, as `beadwise.analysis.report` says."""
    first = next(iter(profiles.values()))
    curves = [
        {"name": name, "y": rounded(own.free_energy, DIGITS), "error": _known(own.standard_error)}
        for name, own in profiles.items()
    ]
    topics = ("data", "estimator", "standard errors")
    return {
        "variable": variable,
        "x": rounded(first.coordinate),
        "thermal_energy": kB * first.temperature,
        "preliminary": NO_BAND if all(curve["error"] is None for curve in curves) else "",
        "remark": "; ".join(first.notes[topic] for topic in topics if topic in first.notes),
        "notes": {f"{name}, {topic}": note for name, own in profiles.items() for topic, note in own.notes.items()},
        "curves": curves,
    }


def _known(error: np.ndarray) -> list[float | None] | None:
    """An error; None where nothing of it is known."""
    return rounded(error, DIGITS) if np.isfinite(error).any() else None
