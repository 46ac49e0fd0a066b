"""The static permittivity from fluctuations of the dipole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import SeriesError
from ...jackknife import jackknife_error
from ..errors import NotComputedError
from ..units import ANGSTROM, ELEMENTARY_CHARGE, VACUUM_PERMITTIVITY, thermal_energy
from .fluctuations import (
    COUNT,
    DENSITY,
    DIPOLE,
    FOURTH,
    MAGNITUDE,
    POLARIZATION,
    PRODUCTS,
    SQUARE,
    SUSCEPTIBILITY,
    VOLUME,
    Fluctuations,
)
from .relaxation import Units, units_of

NO_OPTICAL = (
    "the optical permittivity is not known, as the series holds no polarizability whose unit is told; give "
    "--optical-permittivity, 1 for fixed charges"
)
BOUNDARY = "in a conductor (tin foil), as Ewald sums and periodic models have it"
ROUNDING = 1e-12
ISOTROPIC = 9  # place of the mean of the diagonal behind the nine components


@dataclass(frozen=True)
class Known:
    """A number, or a tensor, with its standard error."""

    value: np.ndarray
    error: np.ndarray


@dataclass(frozen=True)
class DielectricConstant:
    """The static permittivity with all that it is made of.

    Parameters
    ----------
    isotropic : Known
        A third of the trace of `tensor`.
    tensor : Known
        Shape (3, 3).
    optical : Known
        ε∞, shape (3, 3), part of `tensor`.
    isotropic_optical : Known
        A third of its trace.
    optical_is_given : bool
        Whether it was said, and does not come from polarizabilities.
    polarization : Known
        √⟨M²⟩/⟨V⟩ in C/m².
    mean_magnitude : Known
        ``⟨|M|⟩/⟨V⟩`` in C/m².
    binder : Known
        ⟨M⁴⟩/⟨M²⟩²: 5/3 of a normal distribution in three directions, 1 of a dipole of one length.
    volume : float
        ⟨V⟩ in Å³.
    units : Units
        What the errors are between.
    """

    isotropic: Known
    tensor: Known
    optical: Known
    isotropic_optical: Known
    optical_is_given: bool
    polarization: Known
    mean_magnitude: Known
    binder: Known
    volume: float
    units: Units


def dielectric_tensor(
    trajectories: Sequence[Fluctuations], temperature: float, optical_permittivity: float | None = None
) -> DielectricConstant:
    """ε_ab = ε∞,ab + β (⟨M_a M_b/V⟩ − ⟨M_a/V⟩⟨M_b⟩)/ε0, in a conductor, and what else the moments of M tell.

    Neumann, Mol. Phys. 50, 841 (1983); at constant pressure it is the response of ⟨M/V⟩ to the energy −E·M.  Of path
    integrals M is the mean over the beads, whose fluctuations are the response of the quantum system (its Kubo
    transform); those of single beads are larger, and are not.  ε∞ = 1 + 4π⟨α/V⟩, α in Å³, the response of the
    electrons to the field in the medium, where nothing else is given.

    Parameters
    ----------
    trajectories : sequence of Fluctuations
    temperature : float
        In K.
    optical_permittivity : float, optional
        ε∞; 1 of fixed charges.

    Raises
    ------
    SeriesError
        If ε∞ is neither given nor follows from polarizabilities.
    NotComputedError
        If there are too few samples.
    """
    if not trajectories or not all(one.samples for one in trajectories):
        raise NotComputedError("0 samples of the dipole are too few; at least 8 are needed")
    if optical_permittivity is None and not all(one.has_polarizability for one in trajectories):
        raise SeriesError(NO_OPTICAL)
    units = units_of(trajectories)
    strength = (ELEMENTARY_CHARGE * ANGSTROM) ** 2 / ANGSTROM**3 / VACUUM_PERMITTIVITY / thermal_energy(temperature)

    def moments(sums: np.ndarray) -> np.ndarray:
        means = sums / sums[..., COUNT]
        products = means[..., PRODUCTS].reshape(*means.shape[:-1], 3, 3)
        removed = means[..., DENSITY][..., :, None] * means[..., DIPOLE][..., None, :]
        optical = means[..., SUSCEPTIBILITY].reshape(products.shape) + np.eye(3)
        if optical_permittivity is not None:
            optical = np.broadcast_to(optical_permittivity * np.eye(3), products.shape)
        covariance = products - (removed + np.swapaxes(removed, -1, -2)) / 2
        tensor = optical + strength * covariance
        square = means[..., SQUARE]
        per_volume = POLARIZATION / means[..., VOLUME]
        return np.concatenate(
            [
                *(_flat(one) for one in (tensor, optical)),
                np.sqrt(square) * per_volume,
                means[..., MAGNITUDE] * per_volume,
                np.divide(means[..., FOURTH], np.square(square), out=np.full_like(square, np.nan), where=square > 0),
            ],
            axis=-1,
        )

    total = units.sums.sum(axis=0)
    values = moments(total)
    errors = jackknife_error(values, moments(total - units.sums), units.sums[:, 0] / total[0])
    errors = np.where(errors > ROUNDING * np.abs(values), errors, 0.0)  # what is the same in every part

    def known(place: slice | int, shape: tuple[int, ...] = ()) -> Known:
        return Known(np.reshape(values[place], shape), np.reshape(errors[place], shape))

    return DielectricConstant(
        isotropic=known(ISOTROPIC),
        tensor=known(slice(0, 9), (3, 3)),
        optical=known(slice(10, 19), (3, 3)),
        isotropic_optical=known(19),
        optical_is_given=optical_permittivity is not None,
        polarization=known(20),
        mean_magnitude=known(21),
        binder=known(22),
        volume=float((total[VOLUME] / total[COUNT])[0]),
        units=units,
    )


def dielectric_constant(
    dipoles: Sequence[np.ndarray], temperature: float, volume: float, optical_permittivity: float = 1.0
) -> tuple[float, float]:
    """ε = ε∞ + β(⟨M²⟩ − ⟨M⟩²)/(3 ε0 V), and its standard error, of series at hand; see `dielectric_tensor`.

    Parameters
    ----------
    dipoles : sequence of ndarray of float64, shape (samples, 3)
        One array for each trajectory, in e·Å; for path integrals the mean over beads.
    temperature : float
        In K.
    volume : float
        In Å³.
    optical_permittivity : float
        ε∞; that of a model with fixed charges is 1.

    Raises
    ------
    NotComputedError
        If there are fewer samples than parts.
    """
    trajectories = []
    for dipole in dipoles:
        trajectories.append(Fluctuations(1.0, 1, volume))
        trajectories[-1].add({"dipole": dipole})
    found = dielectric_tensor(trajectories, temperature, optical_permittivity).isotropic
    return float(found.value), float(found.error)


def _flat(tensor: np.ndarray) -> np.ndarray:
    """Nine components and the mean of the diagonal, shape (…, 10)."""
    nine = tensor.reshape(*tensor.shape[:-2], 9)
    return np.concatenate([nine, np.trace(tensor, axis1=-2, axis2=-1)[..., None] / 3], axis=-1)
