"""From the samples of a trajectory, as they come in, to the correlation functions that its spectra need."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import ClassVar

import numpy as np

from ..errors import SeriesError
from .committee_recording import ENERGIES, CommitteeCorrelations, committee_estimates
from .conditions import Conditions
from .correlation import Correlation
from .estimates import estimate, refuse_longer_window
from .flux import Overlap, central_difference, flux_from_born_charges
from .infrared import infrared_spectrum
from .raman import LASER, invariants, raman_spectrum
from .spectrum import Spectrum
from .sum_frequency import FACES, TERMS, Slab, sum_frequency_spectrum, weighted_fluxes
from .window import Window

MEMBERS_OF = {"dipole": "committee_dipole", "polarizability": "committee_polarizability"}
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
    optional: ClassVar[Mapping[str, tuple[int, ...]]] = {}  # what is taken in where it can be used, and its shape
    members: ClassVar[tuple[str, ...]] = ()  # series of members of committees, which are recorded if they are given

    def __init__(self, timestep: float, window: Window, names: Sequence[str]):
        self.timestep = timestep
        self.correlations = {name: Correlation(window.lags(timestep)) for name in names}
        self._overlap = Overlap()

    @property
    def samples(self) -> int:
        """Fluxes recorded."""
        return next(iter(self.correlations.values())).samples

    def add(self, samples: Mapping[str, np.ndarray]) -> None:
        """Add the next samples, one series for each of `needs`."""
        raise NotImplementedError

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


class DifferenceRecorder(FluxRecorder):
    """Correlates differences of one series, and of every member of a committee that predicts it.

    Samples may hold the members beside the series, ``committee_…`` (samples, members, …), or alone: then the series is
    their mean.  With ``committee_energy`` (samples, members) in eV the initial conditions are weighted with every
    member of a committee of potentials.
    """

    shape: ClassVar[tuple[int, ...]] = ()

    def __init__(self, timestep: float, window: Window, names: Sequence[str]):
        super().__init__(timestep, window, names)
        self.committee = CommitteeCorrelations(timestep, window.lags(timestep), self.members[0])

    def add(self, samples: Mapping[str, np.ndarray]) -> None:
        """Add the next samples.

        Raises
        ------
        SeriesError
            If the series is missing, a shape is another one, or the members are not those of the samples before.
        """
        samples = with_means(samples)
        values = _checked(samples, self.needs[0], self.shape)
        members = self._checked_members(samples, len(values))
        parts = self.parts(central_difference(self._overlap.extend(values), self.timestep))
        for name, part in parts.items():
            self._correlate(name, part)
        self.committee.add(members, parts, self.parts)

    def _checked_members(self, samples: Mapping[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
        """Series of members, as many samples of each as of the series itself."""
        shapes = {self.members[0]: (None, *self.shape), ENERGIES: (None,)}
        members = {name: _checked(samples, name, shapes[name]) for name in self.members if name in samples}
        for name, array in members.items():
            if len(array) != count:
                raise SeriesError(
                    f"samples are {count} of {self.needs[0]} and {len(array)} of {name}; as many of each are needed"
                )
        return members

    def parts(self, flux: np.ndarray) -> dict[str, np.ndarray]:
        """What is correlated of a flux (samples, …), by name."""
        raise NotImplementedError

    def state(self) -> dict[str, np.ndarray]:
        """All that has been recorded, also of members, as arrays that ``numpy.savez`` stores."""
        return super().state() | self.committee.state()

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on where `state` was taken."""
        super().restore(state)
        self.committee.restore(state)


class InfraredRecorder(DifferenceRecorder):
    """⟨Ṁ(0)·Ṁ(t)⟩ from ``dipole``, shape (samples, 3) in e·Å.

    Where there is ``polarizability`` (samples, 3, 3) in Å³ beside it, its mean tells the permittivity of the electrons;
    one of another shape, or that is not finite, is passed over.
    """

    needs = ("dipole",)
    optional: ClassVar[Mapping[str, tuple[int, ...]]] = {"polarizability": (3, 3)}
    members = ("committee_dipole", ENERGIES)
    shape = (3,)

    def __init__(self, timestep: float, window: Window):
        super().__init__(timestep, window, ["dipole"])
        self.polarizability = np.zeros(3)  # sum of the isotropic part in Å³, of how many samples, and samples of all

    def add(self, samples: Mapping[str, np.ndarray]) -> None:
        """Add the next samples, as `DifferenceRecorder.add`."""
        super().add(samples)
        means = with_means(samples)
        count, tensor = len(means["dipole"]), means.get("polarizability")
        self.polarizability[2] += count
        if tensor is not None and np.shape(tensor) == (count, 3, 3) and np.isfinite(tensor).all():
            isotropic = np.trace(np.asarray(tensor, dtype=np.float64), axis1=-2, axis2=-1) / 3
            # one after the other, so that the sum does not depend on the pieces
            self.polarizability[0] = np.add.accumulate(np.concatenate([self.polarizability[:1], isotropic]))[-1]
            self.polarizability[1] += count

    def state(self) -> dict[str, np.ndarray]:
        """All that has been recorded, as arrays that ``numpy.savez`` stores."""
        return super().state() | {"polarizability": self.polarizability.copy()}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on where `state` was taken."""
        super().restore(state)
        self.polarizability = np.array(state["polarizability"])

    def parts(self, flux: np.ndarray) -> dict[str, np.ndarray]:
        """The flux itself."""
        return {"dipole": flux}


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


class RamanRecorder(DifferenceRecorder):
    """Isotropic and anisotropic correlations from ``polarizability``, shape (samples, 3, 3) in Å³."""

    needs = ("polarizability",)
    members = ("committee_polarizability", ENERGIES)
    shape = (3, 3)

    def __init__(self, timestep: float, window: Window):
        super().__init__(timestep, window, ["isotropic", "anisotropic"])

    def parts(self, flux: np.ndarray) -> dict[str, np.ndarray]:
        """Both invariants of the flux."""
        return dict(zip(("isotropic", "anisotropic"), invariants(flux), strict=True))


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


def with_means(samples: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Samples with the mean over members of a dipole or polarizability that is given by members alone."""
    means = {}
    for name in MEMBERS_OF:
        members = samples.get(MEMBERS_OF[name])
        if name not in samples and members is not None and np.ndim(members) > 1:
            means[name] = np.mean(members, axis=1)
    return means | dict(samples)


def _optical_permittivity(recorders: Sequence[FluxRecorder], volume: float) -> float | None:
    """1 + 4π⟨α⟩/V of the samples of all trajectories; None unless each of them has a polarizability."""
    if not all(isinstance(one, InfraredRecorder) for one in recorders):
        return None
    every = [one.polarizability for one in recorders if isinstance(one, InfraredRecorder)]
    total, count, samples = np.sum(every, axis=0)
    return float(1 + 4 * np.pi * total / count / volume) if count and count == samples else None


def can_record(kind: str, names: Collection[str]) -> bool:
    """Whether series of these names are enough for one kind of spectrum."""
    recorder: type[FluxRecorder] = RECORDERS[kind]
    return all(need in names or MEMBERS_OF.get(need) in names for need in recorder.needs)


def _checked(samples: Mapping[str, np.ndarray], name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """One series, whose axes after the first must have these lengths; None is any."""
    if name not in samples:
        raise SeriesError(f"{name} is missing; what was given is {', '.join(samples)}")
    array = np.asarray(samples[name], dtype=np.float64)
    fits = array.ndim == len(shape) + 1 and all(
        length in (None, given) for length, given in zip(shape, array.shape[1:], strict=True)
    )
    if not fits:
        expected = ", ".join("members" if length is None else str(length) for length in shape)
        raise SeriesError(f"{name} has the shape {array.shape}; expected (samples, {expected})")
    return array


RECORDERS: dict[str, type[FluxRecorder]] = {
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
    make: Callable[..., FluxRecorder] = RECORDERS[kind]
    return make(timestep, window)


def spectrum_of(
    recorders: Sequence[FluxRecorder],
    conditions: Conditions,
    window: Window,
    wavenumber: np.ndarray | None = None,
    optical_permittivity: float | None = None,
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
    optical_permittivity : float, optional
        ε∞ for the absorption coefficient; by default that of the polarizabilities, where some were recorded.
    laser : float
        For the Stokes intensity, in cm⁻¹.

    Raises
    ------
    SeriesError
        If there is no recorder, or trajectories have different members.
    NotComputedError
        If one is empty, or all are shorter than the window.
    """
    if not recorders:
        raise SeriesError("there is no trajectory; at least one is needed")
    first = recorders[0]
    lags = min(window.lags(first.timestep), next(iter(first.correlations.values())).lags)
    refuse_longer_window(max(recorder.samples for recorder in recorders), lags, first.timestep, window)
    estimates = {
        name: estimate([recorder.correlations[name] for recorder in recorders]).up_to(lags)
        for name in first.correlations
    }
    committees = [recorder.committee for recorder in recorders if isinstance(recorder, DifferenceRecorder)]
    committee = committee_estimates(committees, list(estimates), lags) if committees else None
    if isinstance(first, InfraredRecorder | BornChargeRecorder):
        is_difference = isinstance(first, InfraredRecorder)
        if optical_permittivity is None:
            optical_permittivity = _optical_permittivity(recorders, conditions.volume)
        return infrared_spectrum(
            estimates["dipole"], conditions, window, wavenumber, is_difference, optical_permittivity, committee
        )
    if isinstance(first, RamanRecorder):
        return raman_spectrum(
            estimates["isotropic"],
            estimates["anisotropic"],
            conditions,
            window,
            wavenumber,
            laser=laser,
            committee=committee,
        )
    assert isinstance(first, SumFrequencyRecorder)
    faces = {(face, term): estimates[f"{face} {term}"] for face in FACES for term in TERMS}
    return sum_frequency_spectrum(faces, conditions, window, first.slab, wavenumber)
