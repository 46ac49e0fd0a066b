"""From files to spectra: what ``beadwise spectrum`` does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ...reading import refusing
from ...reading import shown as quoted
from ...runs.output.series_files import find_sources
from ...spectra import NotComputedError, SeriesError, Spectrum
from ...spectra.checks.repeats import Repeats
from ...spectra.dielectric import FEWEST_PARTS, dielectric_constant
from ...spectra.experiment import marks
from ...spectra.recording import spectrum_of, with_means
from ...spectra.transform import wavenumbers
from ...with_errors import with_error
from ..results import Report, Shown, write_files, written_to
from .checked_series import CheckedSeries
from .recording import check_alike, record
from .request import Request
from .series_conditions import common_conditions, recorded_time
from .velocities import make_density_of_states

HIGHEST_MARKED = 4500.0


def make(request: Request, shown: Shown = iter) -> Report:
    """Make what is asked for, and say what came out.

    Parameters
    ----------
    request : Request
    shown : callable
        Passes trajectories on, one after the other, and shows how far this has come.

    Raises
    ------
    BeadwiseError
        If an i-PI input cannot be used.
    SeriesError
        If the files hold no usable series.
    """
    try:
        if request.kind == "dos":
            return _write(request, make_density_of_states(request, shown), frozenset())
        return _dielectric(request, shown) if request.kind == "dielectric" else _flux_spectrum(request, shown)
    except NotComputedError as error:
        raise SeriesError(str(error)) from error


def _flux_spectrum(request: Request, shown: Shown) -> Report:
    sources = find_sources(request.trajectories, request.reading)
    window = request.make_window(
        recorded_time(source, request.run_of(source.path), request.given, request.skip) for source in sources
    )
    recorders, all_conditions = [], []
    symbols: frozenset[str] = frozenset()
    repeats = Repeats()
    remarks: list[str] = []
    for source in shown(sources):
        run = request.run_of(source.path)
        symbols |= run.symbols if run else frozenset()
        recorder, conditions = record(
            request.kind, source, window, run, request.given, request.distances, request.skip, repeats, remarks
        )
        recorders.append(recorder)
        all_conditions.append(conditions)
    check_alike(recorders)
    common = replace(common_conditions(all_conditions), quantum_correction=request.quantum_correction)
    repeats.refuse_copies()
    grid = wavenumbers(common.timestep, request.highest)
    spectrum = spectrum_of(recorders, common, window, grid, request.optical_permittivity, request.laser_wavenumber)
    if remarks:
        spectrum = replace(spectrum, notes={**spectrum.notes, "files": "; ".join(remarks)})
    return _write(request, spectrum, symbols)


def _write(request: Request, spectrum: Spectrum, symbols: frozenset[str]) -> Report:
    if request.members and not spectrum.has_members:
        raise SeriesError(
            f"'{request.files[0]}' holds no members of a committee for '{request.kind}', whose spectra --members is to "
            "write; extras with members are member_dipoles, member_polarizabilities and committee_pot"
        )

    replaced = _replaced(request, spectrum)

    def draw(image: Path) -> None:
        from ...spectra.plot import plot_spectra  # takes long to import

        highest = min(request.highest, HIGHEST_MARKED)
        plot_spectra({"": spectrum}, image, marks(spectrum.kind, set(symbols)), highest=highest)

    files = write_files(request.stem, {".csv": spectrum.write, ".png": draw})
    members = write_files(request.stem, {".members.csv": spectrum.write_members} if request.members else {})
    notes = [f"  {name}: {note}" for name, note in spectrum.notes.items()]
    written = written_to(files) + "".join(f", members to {path}" for path in members)
    return Report((spectrum.title, *notes, *replaced, written), {**spectrum.as_dict(), "files": [*files, *members]})


def _replaced(request: Request, spectrum: Spectrum) -> list[str]:
    """What to say where a spectrum of another kind has the name that the user gave."""
    path = request.stem.with_name(f"{request.stem.name}.csv")
    if request.output is None or not path.is_file():
        return []
    with refusing(SeriesError, f"cannot read '{path}'"), open(path, encoding="utf-8", errors="replace") as file:
        first = file.readline().strip()
    return [] if first == f"# {spectrum.title}" else [f"  replaced: '{path}', which began with '{quoted(first)}'"]


def _dielectric(request: Request, shown: Shown) -> Report:
    dipoles, all_conditions = [], []
    repeats = Repeats()
    remarks: list[str] = []
    for source in shown(find_sources(request.trajectories, request.reading)):
        series = CheckedSeries(source, request.run_of(source.path), request.given, request.skip, repeats)
        pieces = [samples["dipole"] for samples in series.pieces(partial(_dipole, source.path))]
        if not pieces:
            raise SeriesError(f"'{source.path}' holds no sample")
        dipoles.append(np.concatenate(pieces))
        all_conditions.append(series.conditions)
        remarks += series.remarks
    common = common_conditions(all_conditions)
    repeats.refuse_copies()
    total = sum(map(len, dipoles)) * common.timestep / 1000
    part = total / (len(dipoles) if len(dipoles) >= FEWEST_PARTS else FEWEST_PARTS * len(dipoles))
    value, error = dielectric_constant(dipoles, common.temperature, common.volume, request.optical_permittivity)
    line = (
        f"static dielectric constant {with_error(f'{value:.4g}', error)} ({common.label}, optical permittivity "
        f"{request.optical_permittivity:g}, {total:.4g} ps, error from parts of {part:.3g} ps: too small if the dipole "
        "relaxes as slowly)"
    )
    numbers = {
        "kind": request.kind,
        "value": value,
        "standard_error": error,
        "conditions": common,
        "optical_permittivity": request.optical_permittivity,
        "picoseconds": total,
        "picoseconds_of_a_part": part,
        "notes": remarks,
    }
    return Report((line, *(f"  files: {remark}" for remark in remarks)), numbers)


def _dipole(path: Path, samples: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The dipole; of members alone their mean."""
    found = with_means(samples)
    if "dipole" not in found:
        raise SeriesError(f"'{path}' holds no dipole; it holds {', '.join(samples)}")
    if np.ndim(found["dipole"]) != 2 or np.shape(found["dipole"])[1] != 3:
        raise SeriesError(f"dipole of '{path}' has the shape {np.shape(found['dipole'])}; expected (samples, 3)")
    return {"dipole": found["dipole"]}
