"""From the samples of a trajectory, as they come in, to the correlation functions that its spectra need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from .conditions import Conditions
from .correlation import Correlation
from .errors import NotComputedError, SeriesError
from .estimates import estimate
from .flux import Overlap, central_difference, flux_from_born_charges
from .infrared import WATER_OPTICAL_PERMITTIVITY, infrared_spectrum
from .raman import LASER, invariants, raman_spectrum
from .spectrum import Spectrum
from .sum_frequency import FACES, TERMS, Slab, sum_frequency_spectrum, weighted_fluxes
from .window import Window

FRAMES_AT_ONCE = 50  # of a slab: distances between all molecules of more would fill the memory


class FluxRecorder:
    """Correlates central differences; what is correlated is said by its subclasses.

    Memory is bounded: it holds sums for a bounded number of blocks, and the samples of the last window.

    Parameters
    ----------
    timestep : float
        Between samples, in fs.
    window : Window
        The correlation functions reach as far as it does.
    """

    needs: ClassVar[tuple[str, ...]] = ()

    def __init__(self, timestep: float, window: Window, names: Sequence[str]):
        self.timestep = timestep
        self.correlations = {name: Correlation(window.lags(timestep)) for name in names}
        self._overlap = Overlap()

    @property
    def samples(self) -> int:
        """Fluxes recorded."""
        return next(iter(self.correlations.values())).samples

    def state(self) -> dict[str, np.ndarray]:
        """All that has been recorded, as arrays that ``numpy.savez`` stores."""
        arrays = {"kept": self._overlap.state()}
        for name, correlation in self.correlations.items():
            arrays |= {f"{name}.{key}": array for key, array in correlation.state().items()}
        return arrays

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on where `state` was taken."""
        self._overlap.restore(state["kept"])
        for name in self.correlations:
            own = {key.removeprefix(f"{name}."): state[key] for key in state if key.startswith(f"{name}.")}
            self.correlations[name] = Correlation.from_state(own)

    def _correlate(self, name: str, first: np.ndarray, second: np.ndarray | None = None) -> None:
        if len(first):
            self.correlations[name].compute(first, second, reset=False)


class InfraredRecorder(FluxRecorder):
    """⟨Ṁ(0)·Ṁ(t)⟩ from ``dipole``, shape (samples, 3) in e·Å."""

    needs = ("dipole",)

    def __init__(self, timestep: float, window: Window):
        super().__init__(timestep, window, ["dipole"])

    def add(self, samples: Mapping[str, np.ndarray]) -> None:
        """Add the next samples."""
        dipole = _checked(samples, "dipole", (3,))
        self._correlate("dipole", central_difference(self._overlap.extend(dipole), self.timestep))


class BornChargeRecorder(FluxRecorder):
    """⟨Ṁ(0)·Ṁ(t)⟩ from Born effective charges and velocities, which need no difference.

    ``born_charges`` (samples, beads, atoms, 3, 3) in e and ``velocities`` (samples, beads, atoms, 3) in Å/fs, or both
    without the axis of the beads.
    """

    needs = ("born_charges", "velocities")

    def __init__(self, timestep: float, window: Window):
        super().__init__(timestep, window, ["dipole"])

    def add(self, samples: Mapping[str, np.ndarray]) -> None:
        """Add the next samples."""
        missing = [name for name in self.needs if name not in samples]
        if missing:
            raise SeriesError(f"{missing[0]} are missing; what was given is {', '.join(samples)}")
        self._correlate("dipole", flux_from_born_charges(samples["born_charges"], samples["velocities"]))


class RamanRecorder(FluxRecorder):
    """Isotropic and anisotropic correlations from ``polarizability``, shape (samples, 3, 3) in Å³."""

    needs = ("polarizability",)

    def __init__(self, timestep: float, window: Window):
        super().__init__(timestep, window, ["isotropic", "anisotropic"])

    def add(self, samples: Mapping[str, np.ndarray]) -> None:
        """Add the next samples."""
        polarizability = _checked(samples, "polarizability", (3, 3))
        flux = central_difference(self._overlap.extend(polarizability), self.timestep)
        isotropic, anisotropic = invariants(flux)
        self._correlate("isotropic", isotropic)
        self._correlate("anisotropic", anisotropic)


class SumFrequencyRecorder(FluxRecorder):
    """Correlations of both faces of a slab from dipoles, polarizabilities and positions of its molecules.

    ``molecular_dipole`` (samples, molecules, 3) in e·Å, ``molecular_polarizability`` (samples, molecules, 3, 3) in Å³
    and ``molecular_position`` (samples, molecules, 3) in Å.
    """

    needs = ("molecular_dipole", "molecular_polarizability", "molecular_position")

    def __init__(self, timestep: float, window: Window, slab: Slab):
        self.slab = slab
        super().__init__(timestep, window, [f"{face} {term}" for face in FACES for term in TERMS])

    def add(self, samples: Mapping[str, np.ndarray]) -> None:
        """Add the next samples."""
        molecules = np.shape(samples.get(self.needs[0], np.zeros((0, 0))))[1]
        shapes = ((molecules, 3), (molecules, 3, 3), (molecules, 3))
        series = [_checked(samples, name, shape) for name, shape in zip(self.needs, shapes, strict=True)]
        joined = self._overlap.extend(np.concatenate([one.reshape(*one.shape[:2], -1) for one in series], axis=2))
        for first in range(0, len(joined) - 2, FRAMES_AT_ONCE):
            self._add_frames(joined[first : first + FRAMES_AT_ONCE + 2])

    def _add_frames(self, joined: np.ndarray) -> None:
        """Correlate the fluxes of all frames but the first and the last, shape (frames, molecules, 15)."""
        flux = central_difference(joined[..., :12], self.timestep)
        tensors = flux[..., 3:].reshape(*flux.shape[:2], 3, 3)
        fluxes = weighted_fluxes(flux[..., :3], tensors, joined[1:-1, :, 12:], self.slab)
        for (face, term), (earlier, later) in fluxes.items():
            self._correlate(f"{face} {term}", earlier, later)


def _checked(samples: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name not in samples:
        raise SeriesError(f"{name} is missing; what was given is {', '.join(samples)}")
    array = np.asarray(samples[name], dtype=np.float64)
    if array.shape[1:] != shape:
        raise SeriesError(f"{name} has the shape {array.shape}; expected (samples, {', '.join(map(str, shape))})")
    return array


RECORDERS = {
    "ir": InfraredRecorder,
    "ir_from_born_charges": BornChargeRecorder,
    "raman": RamanRecorder,
    "sfg": SumFrequencyRecorder,
}


def make_recorder(kind: str, timestep: float, window: Window, slab: Slab | None = None) -> FluxRecorder:
    """Make the recorder of one kind of spectrum.

    Parameters
    ----------
    kind : str
        ``ir``, ``ir_from_born_charges``, ``raman`` or ``sfg``.
    timestep : float
        Between samples, in fs.
    window : Window
    slab : Slab, optional
        For ``sfg``.

    Raises
    ------
    SeriesError
        If the kind is unknown, or ``sfg`` is asked for without a slab.
    """
    if kind == "sfg":
        if slab is None:
            raise SeriesError("a sum-frequency spectrum needs a slab: its cell, with the normal along z")
        return SumFrequencyRecorder(timestep, window, slab)
    if kind not in RECORDERS:
        raise SeriesError(f"'{kind}' is no kind of spectrum; allowed are {', '.join(RECORDERS)}")
    return RECORDERS[kind](timestep, window)


def spectrum_of(
    recorders: Sequence[FluxRecorder],
    conditions: Conditions,
    window: Window,
    wavenumber: np.ndarray | None = None,
    optical_permittivity: float = WATER_OPTICAL_PERMITTIVITY,
    laser: float = LASER,
) -> Spectrum:
    """Spectrum of what was recorded.

    Parameters
    ----------
    recorders : sequence of FluxRecorder
        Of the same kind, one for each trajectory.
    conditions : Conditions
    window : Window
        That of the recorders, or a shorter one.
    wavenumber : ndarray of float64, optional
        In cm⁻¹, equally spaced from 0; up to 5000 cm⁻¹ by default.
    optical_permittivity : float
        ε∞ for the absorption coefficient.
    laser : float
        For the Stokes intensity, in cm⁻¹.

    Raises
    ------
    SeriesError
        If there is no recorder.
    NotComputedError
        If one is empty, or all are shorter than the window.
    """
    if not recorders:
        raise SeriesError("there is no trajectory; at least one is needed")
    first = recorders[0]
    lags = min(window.lags(first.timestep), next(iter(first.correlations.values())).lags)
    estimates = {
        name: estimate([recorder.correlations[name] for recorder in recorders]).up_to(lags)
        for name in first.correlations
    }
    reached = next(iter(estimates.values())).pairs.sum(axis=0)
    if not reached[-1]:
        raise NotComputedError(
            f"the series end after {np.count_nonzero(reached) * first.timestep:g} fs; "
            f"the window needs {window.length:g} fs"
        )
    if isinstance(first, InfraredRecorder | BornChargeRecorder):
        is_difference = isinstance(first, InfraredRecorder)
        return infrared_spectrum(
            estimates["dipole"], conditions, window, wavenumber, is_difference, optical_permittivity
        )
    if isinstance(first, RamanRecorder):
        return raman_spectrum(
            estimates["isotropic"], estimates["anisotropic"], conditions, window, wavenumber, laser=laser
        )
    assert isinstance(first, SumFrequencyRecorder)
    faces = {(face, term): estimates[f"{face} {term}"] for face in FACES for term in TERMS}
    return sum_frequency_spectrum(faces, conditions, window, first.slab, wavenumber)
