"""The error of the models in a spectrum: what the members of committees make of one and the same trajectory.

It stands beside the sampling error, and the two are never added up: a longer run lowers the one, and more data for the
fit lower the other.  Each member of a committee of properties has a spectrum of its own, as all are evaluated on the
same trajectory.  A member of a committee of potentials has an ensemble of its own, from which the trajectory might have
started; the dynamics is that of the mean of the potentials for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .estimates import Estimate, jackknife
from .units import ELEMENTARY_CHARGE, thermal_energy


@dataclass(frozen=True)
class Members:
    """What the members of one committee say of one column of a spectrum, in its unit.

    Parameters
    ----------
    spectra : ndarray of float64, shape (members, frequencies)
        No member where there is no committee.
    noise : ndarray of float64, shape (members, frequencies)
        Standard errors of their differences from the run.
    """

    spectra: np.ndarray
    noise: np.ndarray

    def __len__(self) -> int:
        return len(self.spectra)

    @property
    def error(self) -> np.ndarray:
        """Standard deviation over members (ddof 1); zero for fewer than two."""
        if len(self) < 2:
            return np.zeros(self.spectra.shape[1:])
        with np.errstate(invalid="ignore"):  # members that are infinite do not differ by a number
            return self.spectra.std(axis=0, ddof=1)

    @property
    def noise_floor(self) -> np.ndarray:
        """What chance adds to the error, in squares.

        Members of the properties share the trajectory, so that they have little of it; weights of potentials have more.
        """
        if len(self) < 2:
            return np.zeros(self.spectra.shape[1:])
        return np.sqrt(np.square(self.noise).sum(axis=0) / (len(self) - 1))


@dataclass(frozen=True)
class ModelError:
    """What committees say of one column of a spectrum.

    Parameters
    ----------
    properties, potentials : Members
        With at least two members of one of them.
    """

    properties: Members
    potentials: Members

    @property
    def total(self) -> np.ndarray:
        """Standard deviation over members, of both committees where there are two."""
        return both_errors(self.properties.error, self.potentials.error, len(self.properties), len(self.potentials))

    @property
    def noise_floor(self) -> np.ndarray:
        """What chance adds to the total, in squares."""
        floors = self.properties.noise_floor, self.potentials.noise_floor
        return both_errors(*floors, len(self.properties), len(self.potentials))

    @property
    def parts(self) -> dict[str, Members]:
        """Both committees by name, where there are two of them."""
        both = {"properties": self.properties, "potentials": self.potentials}
        return both if all(len(members) > 1 for members in both.values()) else {}

    @property
    def label(self) -> str:
        """Its name in a legend, with the number of members."""
        counts = {"members": len(self.properties), "potentials": len(self.potentials)}
        return f"model error ({', '.join(f'{count} {kind}' for kind, count in counts.items() if count)})"


@dataclass(frozen=True)
class CommitteeEstimates:
    """Correlation functions of the members of committees, by the names of those of the run.

    Parameters
    ----------
    properties : sequence of mapping of str to Estimate
        ⟨A_j(0) A_j(t)⟩ of every member of the properties; none without a committee.
    weighted : sequence of mapping of str to Estimate
        ⟨d_i(0) A(0) A(t)⟩ of every member of the potentials, d_i = V_i − V̄ in eV; none without a committee.
    deviations : sequence of Estimate
        ⟨d_i(0)⟩ over the time origins of every lag, in eV, one for each of `weighted`.
    spread : ndarray of float64, shape (potential members,)
        Standard deviation of d_i over the run, in eV.
    """

    properties: Sequence[Mapping[str, Estimate]] = ()
    weighted: Sequence[Mapping[str, Estimate]] = ()
    deviations: Sequence[Estimate] = ()
    spread: np.ndarray = field(default_factory=lambda: np.zeros(0))


def reweighted(
    values: np.ndarray, weighted: np.ndarray, deviations: np.ndarray, reduced_energy: float = 1.0
) -> np.ndarray:
    """Correlation function of an ensemble that differs in its potential, by cumulant expansion to first order.

    ⟨C⟩_i ≈ ⟨C⟩ − [⟨C h_i⟩ − ⟨C⟩⟨h_i⟩] with C = A(0) A(t) and h_i = β (V_i − V̄) at the time origin, a mean over beads
    for path integrals (Ceriotti, Brain, Riordan, Manolopoulos, Proc. R. Soc. A 468, 2 (2012); Imbalzano et al.,
    J. Chem. Phys. 154, 074102 (2021)).  Only the initial conditions are those of member i.

    Parameters
    ----------
    values, weighted, deviations : ndarray of float64, shape (…, lags + 1)
        ⟨C⟩, ⟨C d_i⟩ and ⟨d_i⟩.
    reduced_energy : float
        h_i/d_i, which is β in the unit of `deviations`.
    """
    return values - reduced_energy * (weighted - values * deviations)


def both_errors(
    of_properties: np.ndarray, of_potentials: np.ndarray, property_members: int, potential_members: int
) -> np.ndarray:
    """Standard deviation over the members of two committees.

    σ² = [M_V (M_a − 1) σ_a² + M_a (M_V − 1) σ_aV²]/(M_a M_V − 1) (Imbalzano et al., J. Chem. Phys. 154, 074102 (2021)).
    σ_aV is taken of the property's mean over its members here, not as a mean over each property member's: they differ
    by products of the deviations of both committees, which the cumulant expansion leaves out as well.

    Parameters
    ----------
    of_properties, of_potentials : ndarray of float64, shape (…)
        σ_a and σ_aV.
    property_members, potential_members : int
        M_a and M_V; a committee with fewer than two does not count.
    """
    properties, potentials = max(property_members, 1), max(potential_members, 1)
    parts = potentials * (properties - 1) * np.square(of_properties)
    parts = parts + properties * (potentials - 1) * np.square(of_potentials)
    return np.sqrt(parts / (properties * potentials - 1))


def model_errors(
    columns: Callable[..., np.ndarray],
    run: Mapping[str, Estimate],
    committee: CommitteeEstimates,
    temperature: float,
) -> list[ModelError]:
    """Model error of every column of a spectrum.

    Parameters
    ----------
    columns : callable
        Makes columns (…, columns, frequencies) of correlation functions (…, lags + 1), one for each name of `run`.
    run : mapping of str to Estimate
        Correlation functions of the run, in the order in which `columns` takes them.
    committee : CommitteeEstimates
        With at least two members of one kind.
    temperature : float
        In K.

    Returns
    -------
    list of ModelError, one per column
    """
    beta = ELEMENTARY_CHARGE / thermal_energy(temperature)  # per eV
    whole = list(run.values())

    def of_property(*correlations: np.ndarray) -> np.ndarray:
        """A member's columns less those of the run."""
        return columns(*correlations[len(run) :]) - columns(*correlations[: len(run)])

    def of_potential(*correlations: np.ndarray) -> np.ndarray:
        *others, deviations = correlations
        own, weighted = others[: len(run)], others[len(run) :]
        members = [reweighted(one, other, deviations, beta) for one, other in zip(own, weighted, strict=True)]
        return columns(*members) - columns(*own)

    potentials = zip(committee.weighted, committee.deviations, strict=True)
    with np.errstate(invalid="ignore"):  # where noise makes a column infinite, no member differs by a number
        values = columns(*(estimate.values for estimate in whole))
        found = (
            [jackknife(of_property, *whole, *(member[name] for name in run)) for member in committee.properties],
            [
                jackknife(of_potential, *whole, *(own[name] for name in run), deviations)
                for own, deviations in potentials
            ],
        )
        members = [np.array([values + own[0] for own in pairs]).reshape(-1, *values.shape) for pairs in found]
    noise = [np.array([own[1] for own in pairs]).reshape(-1, *values.shape) for pairs in found]
    both = list(zip(members, noise, strict=True))
    return [ModelError(*(Members(own[:, k], error[:, k]) for own, error in both)) for k in range(len(values))]
