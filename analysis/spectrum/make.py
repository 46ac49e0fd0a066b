"""From files to spectra: what ``beadwise spectrum`` does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ...reading import refusing
from ...reading import shown as quoted
from ...runs.output.series_files import find_sources
from ...spectra import NotComputedError, SeriesError, Spectrum
from ...spectra.checks.repeats import Repeats
from ...spectra.experiment import marks
from ...spectra.recording import spectrum_of
from ...spectra.transform import wavenumbers
from ..results import Report, Shown, write_files, written_to
from .dielectric import make_dielectric
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
        return make_dielectric(request, shown) if request.kind == "dielectric" else _flux_spectrum(request, shown)
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
            request.kind,
            source,
            window,
            run,
            request.given,
            request.distances,
            request.skip,
            repeats,
            remarks,
            with_optional=request.optical_permittivity is None,
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
