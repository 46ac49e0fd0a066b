"""From files to spectra: what ``beadwise spectrum`` does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..spectra import Conditions, Correlation, SeriesError, Spectrum, Window, estimate
from ..spectra.density_of_states import density_of_states
from ..spectra.dielectric import dielectric_constant
from ..spectra.experiment import marks
from ..spectra.plot import plot_spectra
from ..spectra.recording import FluxRecorder, make_recorder, spectrum_of
from ..spectra.sum_frequency import Slab
from ..spectra.transform import wavenumbers
from .ipi_input import InputError, read_ipi_input
from .run_conditions import RunConditions, read_run_conditions
from .series_files import Arrays, BeadFiles, Frames, find_sources
from .velocity_files import VelocityFile

HIGHEST_MARKED = 4500.0


@dataclass(frozen=True)
class Request:
    """What a user asks of ``beadwise spectrum``.

    Parameters
    ----------
    kind : str
        ``ir``, ``raman``, ``sfg``, ``dos`` or ``dielectric``.
    files : tuple of Path
    source : Path or None
        i-PI input or RESTART; None to look for it beside the files.
    timestep, temperature, volume : float or None
        In fs, K and Å³; None for what `source` says.
    dynamics : str or None
        Name of the dynamics; None for what `source` says.
    window : float
        Length in fs.
    window_shape : str
    highest : float
        Wavenumber in cm⁻¹.
    optical_permittivity : float
    skip : float
        Time at the beginning of each trajectory that is left out, in ps.
    output : Path or None
        Name of the files to write, without the ending; None for one beside the first file.
    """

    kind: str
    files: tuple[Path, ...]
    source: Path | None = None
    timestep: float | None = None
    temperature: float | None = None
    volume: float | None = None
    dynamics: str | None = None
    window: float = 1000.0
    window_shape: str = "hann"
    highest: float = 4500.0
    optical_permittivity: float = 1.77
    skip: float = 0.0
    output: Path | None = None

    @property
    def stem(self) -> Path:
        """Path of the files to write, without the ending."""
        if self.output is not None:
            return self.output.with_name(self.output.name.removesuffix(".csv").removesuffix(".png"))
        name = re.sub(r"_\d+(\.xyz)?$", "", self.files[0].name)
        return self.files[0].with_name(f"{name}.{self.kind}")


def make(request: Request) -> Iterator[str]:
    """Make what is asked for, and say what came out.

    Raises
    ------
    BeadwiseError
        If an i-PI input cannot be used.
    SeriesError
        If the files hold no usable series.
    """
    if request.kind == "dos":
        yield from _write(request, _density_of_states(request), frozenset())
    elif request.kind == "dielectric":
        yield _dielectric(request)
    else:
        yield from _flux_spectrum(request)


def _flux_spectrum(request: Request) -> Iterator[str]:
    window = Window(request.window_shape, request.window)
    recorders: list[FluxRecorder] = []
    all_conditions: list[Conditions] = []
    symbols: frozenset[str] = frozenset()
    for source in find_sources(request.files):
        recorder: FluxRecorder | None = None
        run = _run_of(request, source.path)
        symbols = run.symbols if run else symbols
        left_out = 0
        for samples in source.samples():
            if recorder is None:
                conditions = _conditions(request, run, source)
                slab = Slab(run.cell) if run and request.kind == "sfg" else None
                recorder = make_recorder(request.kind, conditions.timestep, window, slab)
                left_out = round(request.skip * 1000 / conditions.timestep)
                all_conditions.append(conditions)
            length = len(next(iter(samples.values())))
            recorder.add({name: values[left_out:] for name, values in samples.items()})
            left_out = max(0, left_out - length)
        if recorder is None or recorder.samples == 0:
            raise SeriesError(f"'{source.path}' holds too few samples; at least three are needed")
        recorders.append(recorder)
    conditions = _common(all_conditions)
    grid = wavenumbers(conditions.timestep, request.highest)
    spectrum = spectrum_of(recorders, conditions, window, grid, request.optical_permittivity)
    yield from _write(request, spectrum, symbols)


def _run_of(request: Request, path: Path) -> RunConditions | None:
    source = request.source or find_input(path)
    return read_run_conditions(source) if source is not None else None


def find_input(path: Path) -> Path | None:
    """Find the i-PI input of an output: an input, or RESTART, in its folder whose prefix the output has."""
    candidates = [*sorted(path.parent.glob("*.xml")), path.parent / "RESTART"]
    for candidate in candidates:
        try:
            if path.name.startswith(read_ipi_input(candidate).prefix + "."):
                return candidate
        except InputError:
            continue
    return None


def _conditions(request: Request, run: RunConditions | None, source: BeadFiles | Frames | Arrays) -> Conditions:
    """Conditions of a series: what was given counts more than what the input says."""
    given = {
        "temperature": request.temperature,
        "volume": request.volume,
        "dynamics": request.dynamics,
        "timestep": request.timestep,
    }
    if run is not None and isinstance(source, BeadFiles):
        return replace(
            run.of_samples(source.stride or 1), **{name: value for name, value in given.items() if value is not None}
        )
    given["dynamics"] = given["dynamics"] or (run.dynamics if run else "dynamics not named")
    if run is not None:
        given["temperature"] = given["temperature"] or run.temperature
        given["volume"] = given["volume"] or run.volume
    missing = [name for name in ("timestep", "temperature", "volume") if given[name] is None]
    if missing:
        raise SeriesError(
            f"{' and '.join(missing)} of '{source.path}' are not known; give --{' and --'.join(missing)}, "
            "or --input with an i-PI input or RESTART"
        )
    return Conditions(**given)  # type: ignore[arg-type]


def _common(conditions: list[Conditions]) -> Conditions:
    """Conditions of all trajectories, which must agree; volumes are averaged."""
    first = conditions[0]
    volume = float(np.mean([one.volume for one in conditions]))
    for one in conditions:
        if not np.isclose(one.timestep, first.timestep, rtol=1e-9) or one.temperature != first.temperature:
            raise SeriesError(
                f"trajectories have samples every {first.timestep:g} fs at {first.temperature:g} K and every "
                f"{one.timestep:g} fs at {one.temperature:g} K; they must be the same"
            )
    return replace(first, volume=volume)


def _write(request: Request, spectrum: Spectrum, symbols: frozenset[str]) -> Iterator[str]:
    stem = request.stem
    table, image = stem.with_name(stem.name + ".csv"), stem.with_name(stem.name + ".png")
    try:
        spectrum.write(table)
        highest = min(request.highest, HIGHEST_MARKED)
        plot_spectra({"": spectrum}, image, marks(spectrum.kind, set(symbols)), highest=highest)
    except OSError as error:
        raise SeriesError(f"cannot write '{table}': {error.strerror}") from error
    yield spectrum.title
    yield from (f"  {name}: {note}" for name, note in spectrum.notes.items())
    yield f"written to {table} and {image}"


def _dielectric(request: Request) -> str:
    dipoles, conditions = [], []
    for source in find_sources(request.files):
        run = _run_of(request, source.path)
        pieces = []
        for samples in source.samples():
            if "dipole" not in samples:
                raise SeriesError(f"'{source.path}' holds no dipole; it holds {', '.join(samples)}")
            pieces.append(samples["dipole"])
        if not pieces:
            raise SeriesError(f"'{source.path}' holds no sample")
        conditions.append(_conditions(request, run, source))
        dipoles.append(np.concatenate(pieces)[round(request.skip * 1000 / conditions[-1].timestep) :])
    common = _common(conditions)
    value, error = dielectric_constant(dipoles, common.temperature, common.volume, request.optical_permittivity)
    return (
        f"static dielectric constant {value:.4g} +- {error:.2g} ({common.label}, optical permittivity "
        f"{request.optical_permittivity:g}, {sum(map(len, dipoles)) * common.timestep / 1000:.4g} ps)"
    )


def _density_of_states(request: Request) -> Spectrum:
    window = Window(request.window_shape, request.window)
    trajectories: list[dict[str, Correlation]] = []
    all_conditions: list[Conditions] = []
    atoms: dict[str, int] = {}
    for path in request.files:
        run = _run_of(request, path)
        correlations: dict[str, Correlation] = {}
        file = VelocityFile(path)
        for symbols, velocities in file.pieces():
            if not correlations:
                timestep = request.timestep or (run.timestep * file.stride if run else None)
                if timestep is None:
                    raise SeriesError(f"the time between samples of '{path}' is not known; give --timestep or --input")
                atoms = {name: int((symbols == name).sum()) for name in dict.fromkeys(symbols.tolist())}
                correlations = {name: Correlation(window.lags(timestep)) for name in atoms}
                label = request.dynamics or (run.dynamics if run else "dynamics not named")
                all_conditions.append(
                    Conditions(timestep, request.temperature or (run.temperature if run else 300.0), dynamics=label)
                )
            for name, correlation in correlations.items():
                correlation.compute(velocities[:, symbols == name].reshape(len(velocities), -1), reset=False)
        if not correlations:
            raise SeriesError(f"'{path}' holds no velocities")
        trajectories.append(correlations)
    conditions = _common(all_conditions)
    velocity_estimates = {name: estimate([correlations[name] for correlations in trajectories]) for name in atoms}
    return density_of_states(
        velocity_estimates, atoms, conditions, window, wavenumbers(conditions.timestep, request.highest)
    )
