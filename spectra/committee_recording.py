"""The correlation functions of the members of committees, recorded beside those of the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..errors import SeriesError
from .correlation import Correlation
from .estimates import Estimate, estimate
from .flux import Overlap, central_difference
from .model_error import CommitteeEstimates

ENERGIES = "committee_energy"
PROPERTY, WEIGHTED, DEVIATION = "property {member} {name}", "weighted {member} {name}", "deviation {member}"
Parts = Callable[[np.ndarray], Mapping[str, np.ndarray]]  # of a flux what is correlated, by name


class CommitteeCorrelations:
    """Correlations of the fluxes of every property member, and of the run's weighted with every potential member.

    Memory is bounded as that of the run's own correlations, of which each member has a set.

    Parameters
    ----------
    timestep : float
        Between samples, in fs.
    lags : int
        Highest lag, in samples.
    series : str
        Name of the property members' series, shape (samples, members, …); that of the potentials is
        ``committee_energy``, shape (samples, members), in eV.
    """

    def __init__(self, timestep: float, lags: int, series: str):
        self.series = series
        self._timestep = timestep
        self._lags = lags
        self._counts: dict[str, int] = {}  # members by the name of their series, known after the first samples
        self._overlaps = {series: Overlap(), ENERGIES: Overlap()}
        self._correlations: dict[str, Correlation] = {}
        self.moments = np.zeros((3, 0))  # number, sum and sum of squares of V_i − V̄ in eV, of each potential member

    @property
    def counts(self) -> dict[str, int]:
        """Members by the name of their series; a single one, which differs from nothing, does not count."""
        return {name: count for name, count in self._counts.items() if count > 1}

    def add(self, samples: Mapping[str, np.ndarray], run: Mapping[str, np.ndarray], parts: Parts) -> None:
        """Add what the next samples hold of members.

        Parameters
        ----------
        samples : mapping of str to ndarray of float64
            Those of members, (samples, members, …), and any others.
        run : mapping of str to ndarray of float64
            What was correlated of the run for these samples, (fluxes, components) by name.
        parts : callable
            Makes it of a flux.

        Raises
        ------
        SeriesError
            If the members are not those of the samples before.
        """
        counts = {name: samples[name].shape[1] for name in (self.series, ENERGIES) if name in samples}
        if self._correlations and counts != self._counts:
            raise SeriesError(f"samples have {listed(counts)}; those before had {listed(self._counts)}")
        self._counts = counts
        if self.series in self.counts:
            flux = central_difference(self._overlaps[self.series].extend(samples[self.series]), self._timestep)
            for member in range(counts[self.series]):
                for name, own in parts(flux[:, member]).items():
                    self._correlate(PROPERTY.format(member=member, name=name), own, own)
        if ENERGIES in self.counts:
            # the fluxes are those of all samples but the first and the last
            energies = self._overlaps[ENERGIES].extend(samples[ENERGIES])[1:-1]
            self._add_weighted(energies - energies.mean(axis=1, keepdims=True), run)

    def _add_weighted(self, deviations: np.ndarray, run: Mapping[str, np.ndarray]) -> None:
        moments = np.array([np.ones_like(deviations), deviations, np.square(deviations)]).sum(axis=1)
        self.moments = moments + self.moments if self.moments.size else moments
        for member, deviation in enumerate(deviations.T):
            for name, flux in run.items():
                self._correlate(WEIGHTED.format(member=member, name=name), deviation[:, None] * flux, flux)
            # with ones, so that the mean of every lag is that over its own time origins
            self._correlate(DEVIATION.format(member=member), deviation, np.ones_like(deviation))

    def _correlate(self, key: str, first: np.ndarray, second: np.ndarray) -> None:
        correlation = self._correlations.setdefault(key, Correlation(self._lags))
        if len(first):
            correlation.compute(first, second, reset=False)

    def state(self) -> dict[str, np.ndarray]:
        """All that has been recorded, as arrays that ``numpy.savez`` stores; nothing without members."""
        arrays = {"moments of members": self.moments} if self._counts else {}
        for name, count in self._counts.items():
            arrays |= {f"members of {name}": np.array(count), f"kept {name}": self._overlaps[name].state()}
        for key, correlation in self._correlations.items():
            arrays |= {f"{key}.{part}": array for part, array in correlation.state().items()}
        return arrays

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on where `state` was taken; other arrays in it are passed over."""
        known = [name for name in self._overlaps if f"members of {name}" in state]
        self._counts = {name: int(state[f"members of {name}"]) for name in known}
        for name in known:
            self._overlaps[name].restore(state[f"kept {name}"])
        self.moments = np.array(state["moments of members"]) if known else self.moments
        stored: dict[str, dict[str, np.ndarray]] = {}
        for place in state:
            key, _, part = place.rpartition(".")
            if key.startswith(("property ", "weighted ", "deviation ")):
                stored.setdefault(key, {})[part] = state[place]
        self._correlations = {key: Correlation.from_state(own) for key, own in stored.items()}

    def correlation(self, kind: str, member: int, name: str = "") -> Correlation:
        """The correlation of one member."""
        return self._correlations[kind.format(member=member, name=name)]


def committee_estimates(
    committees: Sequence[CommitteeCorrelations], names: Sequence[str], lags: int
) -> CommitteeEstimates | None:
    """Join the members' correlations of several trajectories.

    Parameters
    ----------
    committees : sequence of CommitteeCorrelations
        One for each trajectory.
    names : sequence of str
        Of the run's correlations.
    lags : int
        Highest lag that is wanted.

    Returns
    -------
    CommitteeEstimates or None
        None where there are no members.

    Raises
    ------
    SeriesError
        If trajectories have different members.
    """
    counts = committees[0].counts
    other = next((one.counts for one in committees if one.counts != counts), None)
    if other is not None:
        raise SeriesError(f"trajectories have {listed(counts)} and {listed(other)}; they must be the same")
    if not counts:
        return None

    def joined(kind: str, member: int, name: str = "") -> Estimate:
        return estimate([one.correlation(kind, member, name) for one in committees]).up_to(lags)

    properties, potentials = range(counts.get(committees[0].series, 0)), range(counts.get(ENERGIES, 0))
    return CommitteeEstimates(
        properties=[{name: joined(PROPERTY, member, name) for name in names} for member in properties],
        weighted=[{name: joined(WEIGHTED, member, name) for name in names} for member in potentials],
        deviations=[joined(DEVIATION, member) for member in potentials],
        spread=_spread(np.sum([one.moments for one in committees], axis=0)),
    )


def _spread(moments: np.ndarray) -> np.ndarray:
    """Standard deviations from numbers, sums and sums of squares (3, members)."""
    number, total, squares = moments
    return np.sqrt(np.maximum(squares / number - np.square(total / number), 0.0))


def listed(counts: Mapping[str, int]) -> str:
    """Members in words: ``8 of committee_dipole and 4 of committee_energy``."""
    members = " and ".join(f"{count} of {name}" for name, count in counts.items())
    return f"members ({members})" if members else "no members"
