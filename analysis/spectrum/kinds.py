"""Kinds of spectra by name; the command line starts with it, so it imports nothing that takes time."""

from __future__ import annotations

FROM_SERIES = ("ir", "raman", "sfg")  # of dipoles and polarizabilities: also while i-PI runs
LIVE = (*FROM_SERIES, "dielectric")  # kept current while i-PI runs
KINDS = (*FROM_SERIES, "dos", "dielectric")
WITH_OPTICAL = ("ir", "dielectric")  # that a permittivity at optical frequencies is part of
HARMONIC = "harmonic"  # exact for Kubo line shapes; the names are those of beadwise.spectra.quantum
CORRECTIONS = ("standard", HARMONIC, "schofield", "none")
OPTIONS_OF_ONE_KIND = {"laser": "raman", "inner": "sfg", "outer": "sfg", "near": "sfg"}
