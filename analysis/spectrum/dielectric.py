"""The permittivity of runs and of other series: from their files to a table, a picture and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...runs.output.series_files import BeadFiles, Source, find_sources
from ...runs.output.volumes import VolumeSeries
from ...spectra import Conditions, SeriesError, Spectrum
from ...spectra.checks.repeats import Repeats
from ...spectra.dielectric import DielectricConstant, Fluctuations
from ...spectra.dielectric.spectrum import dielectric_spectrum, lags_for
from ...spectra.recording import with_means
from ...with_errors import with_error
from ..results import Report, Shown, write_files, written_to
from .checked_series import CheckedSeries
from .conditions import RunConditions
from .request import Request
from .series_conditions import common_conditions, recorded_time

NEEDS = ("dipole", "polarizability")
SHAPES = {"dipole": (3,), "polarizability": (3, 3)}
NO_VOLUMES = (
    "its volume changes, and that of each sample is not known; add <properties filename='cell' stride='1'> [ step, "
    "volume{angstrom3} ] </properties> to the <output> of the run"
)


def make_dielectric(request: Request, shown: Shown) -> Report:
    """Permittivity of the trajectories of a request.

    Parameters
    ----------
    request : Request
    shown : callable
        Passes trajectories on, one after the other, and shows how far this has come.

    Raises
    ------
    InputError
        If an i-PI input cannot be used.
    SeriesError
        If the files hold no usable series, or ε∞ or a volume is not known.
    NotComputedError
        If there are too few samples.
    """
    sources = find_sources(request.trajectories, request.reading)
    recorded = min(
        recorded_time(source, request.run_of(source.path), request.given, request.skip) for source in sources
    )
    repeats = Repeats()
    remarks: list[str] = []
    trajectories, all_conditions = [], []
    for source in shown(sources):
        series = CheckedSeries(source, request.run_of(source.path), request.given, request.skip, repeats)
        trajectories.append(_recorded(series, request, recorded))
        all_conditions.append(series.conditions)
        remarks += series.remarks
    common = common_conditions(all_conditions)
    repeats.refuse_copies()
    is_chosen = request.window is not None or request.resolution is not None
    window = request.make_window([recorded]) if is_chosen else None
    spectrum, constant = dielectric_spectrum(
        trajectories, common, window, request.highest, request.optical_permittivity
    )
    if remarks:
        spectrum = replace(spectrum, notes={**spectrum.notes, "files": "; ".join(remarks)})
    files = write_result(request.stem, spectrum, polarizations_of(trajectories))
    notes = [f"  {name}: {note}" for name, note in spectrum.notes.items() if name != "static"]
    text = with_error(f"{float(constant.isotropic.value):.4g}", float(constant.isotropic.error))
    line = f"static dielectric constant {text} ({common.label})"
    numbers = {**spectrum.as_dict(), **numbers_of(constant, common), "files": files}
    return Report((line, *notes, written_to(files)), numbers)


def numbers_of(constant: DielectricConstant, conditions: Conditions) -> dict[str, Any]:
    """All numbers of a static permittivity for programs."""
    units = constant.units
    return {
        "value": float(constant.isotropic.value),
        "standard_error": float(constant.isotropic.error),
        "tensor": constant.tensor,
        "optical_permittivity": constant.isotropic_optical,
        "optical_tensor": constant.optical,
        "polarization": constant.polarization,
        "mean_magnitude": constant.mean_magnitude,
        "binder_ratio": constant.binder,
        "conditions": conditions,
        "picoseconds": len(units.sums) * units.length / 1000,
        "picoseconds_of_a_part": units.length / 1000,
        "parts": len(units.sums),
        "relaxation_picoseconds": units.relaxation_time / 1000,
    }


def write_result(stem: Path, spectrum: Spectrum, polarizations: np.ndarray) -> list[Path]:
    """Write a table and a picture; their files."""

    def draw(image: Path) -> None:
        from ...pictures import write_png
        from ...spectra.dielectric.plot import draw_permittivity  # takes long to import

        write_png(draw_permittivity(spectrum, polarizations), image)

    return write_files(stem, {".csv": spectrum.write, ".png": draw})


def polarizations_of(trajectories: Sequence[Fluctuations]) -> np.ndarray:
    """Polarizations of all trajectories, shape (samples, 3), in C/m²."""
    return np.concatenate([one.polarizations for one in trajectories])


def _recorded(series: CheckedSeries, request: Request, recorded: float) -> Fluctuations:
    """Sums over one trajectory."""
    source = series.source
    run = request.run_of(source.path)
    volumes = _Volumes(source, run, request.volume)
    found: Fluctuations | None = None

    def choose(samples: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        needed = needed_of(samples, source.path, request.optical_permittivity)
        if request.unit is not None:  # it is that of the dipole alone
            needed = {"dipole": needed["dipole"]}
        return needed | volumes.of_next(len(needed["dipole"]))

    for samples in series.pieces(choose):
        if found is None:
            conditions = series.conditions
            lags = lags_for(recorded, conditions.timestep)
            found = Fluctuations(conditions.timestep, lags, None if volumes.change else conditions.volume)
        found.add(samples)
    if found is None:
        raise SeriesError(f"'{source.path}' holds no sample")
    return found


def needed_of(samples: Mapping[str, np.ndarray], path: Path, optical: float | None) -> dict[str, np.ndarray]:
    """Dipole and, unless ε∞ is given, polarizability; of members alone their mean.

    Raises
    ------
    SeriesError
        If there is no dipole, or a shape is another one.
    """
    found = with_means(samples)
    if "dipole" not in found:
        raise SeriesError(f"'{path}' holds no dipole; it holds {', '.join(samples)}")
    needed = {name: found[name] for name in NEEDS if name in found and (name == "dipole" or optical is None)}
    for name, values in needed.items():
        if np.shape(values)[1:] != SHAPES[name]:
            expected = ", ".join(map(str, SHAPES[name]))
            raise SeriesError(f"{name} of '{path}' has the shape {np.shape(values)}; expected (samples, {expected})")
    lengths = {name: len(values) for name, values in needed.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{length} of {name}" for name, length in lengths.items())
        raise SeriesError(f"'{path}' holds {counts}; as many samples of each are needed")
    return needed


class _Volumes:
    """The volume of each sample of a source, where it changes."""

    def __init__(self, source: Source, run: RunConditions | None, given: float | None):
        self._source, self._run, self._given = source, run, given
        self._file: VolumeSeries | None = None
        self._seen = 0

    @property
    def change(self) -> bool:
        """Whether the volume changes, and nothing else is said; known with the first samples."""
        if self._given is not None:
            return False
        if self._source.volume_of_samples is not None:
            return True
        return self._source.volumes is None and self._run is not None and not self._run.has_constant_volume

    def of_next(self, count: int) -> dict[str, np.ndarray]:
        """Those of the next samples by the name ``volume``; nothing where it is constant."""
        if not self.change:
            return {}
        self._seen += count
        if self._source.volume_of_samples is not None:
            return {"volume": self._source.volume_of_samples[self._seen - count : self._seen]}
        steps = self._source.steps
        if (
            self._run is None
            or self._run.volume_file is None
            or steps is None
            or not isinstance(self._source, BeadFiles)
        ):
            raise SeriesError(f"'{self._source.path}' is of a run at constant pressure: {NO_VOLUMES}; or give --volume")
        self._file = self._file or VolumeSeries(self._run.volume_file)
        found = self._file.take(steps)
        if len(found) < len(steps):
            raise SeriesError(
                f"'{self._file.path}' ends before step {steps[len(found)]}, which '{self._source.path}' holds"
            )
        return {"volume": found}
