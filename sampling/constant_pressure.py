"""From constant volume to constant pressure: G(P, T) = A(V0, T) + P V0 + kT ln ρ(V0 | P, T), for any V0.

ρ is the density of the volumes that a run at constant pressure has, in the unit of volume that is the same for all
phases (B. Cheng, M. Ceriotti, Phys. Rev. B 97, 054102 (2018)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from ase.units import kB

from .errors import SamplingError
from .jackknife import blocks_of, error_without_blocks
from .promotion import integrated_autocorrelation_time

FARTHEST = 2.5  # standard deviations of V0 from the mean: beyond, too few samples tell its density
FEWEST_INDEPENDENT = 30
BANDWIDTH = 1.06  # times the standard deviation and the number of independent samples to the power −1/5 (Silverman)
BLOCKS = 16


@dataclass(frozen=True)
class PressureStep:
    """G − A in eV of all atoms.

    Parameters
    ----------
    difference, standard_error : float
    log_density : float
        ln of ρ(V0) in 1/Å³.
    mean_volume, deviation : float
        Of the run, in Å³.
    distance : float
        Of V0 from the mean, in standard deviations.
    independent_samples : int
    """

    difference: float
    standard_error: float
    log_density: float
    mean_volume: float
    deviation: float
    distance: float
    independent_samples: int


def pressure_step(volumes: np.ndarray, volume: float, pressure: float, temperature: float) -> PressureStep:
    """G − A at one volume from the volumes of a run at constant pressure.

    The density is a sum of Gaussian kernels whose centres are drawn towards the mean so far that the variance is that
    of the samples (M. West, J. R. Stat. Soc. B 55, 409 (1993)): of a Gaussian density it then has no bias.  Its error
    is from leaving out blocks of the run.

    Parameters
    ----------
    volumes : ndarray of float64, shape (samples,)
        In Å³, in the order of time.
    volume : float
        V0 in Å³.
    pressure : float
        In eV/Å³.
    temperature : float
        In K.

    Raises
    ------
    SamplingError
        If a number is not finite, samples are too few, or V0 is too far from what was sampled.
    """
    volumes = np.asarray(volumes, dtype=np.float64)
    if volumes.ndim != 1 or len(volumes) < BLOCKS or not np.isfinite(volumes).all() or not (volumes > 0).all():
        raise SamplingError(f"volumes have the shape {volumes.shape}; at least {BLOCKS} finite ones above 0 are needed")
    if not (np.isfinite(temperature) and temperature > 0 and np.isfinite(pressure)):
        raise SamplingError(
            f"the temperature is {temperature} K and the pressure {pressure} eV/Å³; they must be finite"
        )
    deviation = float(volumes.std(ddof=1))
    independent = int(len(volumes) / (2 * integrated_autocorrelation_time(volumes)))
    if independent < FEWEST_INDEPENDENT or deviation == 0:
        raise SamplingError(
            f"{independent} of {len(volumes)} volumes are independent; at least {FEWEST_INDEPENDENT} that differ are "
            "needed, of a longer run"
        )
    distance = float((volume - volumes.mean()) / deviation)
    if not abs(distance) <= FARTHEST:
        raise SamplingError(
            f"the volume {volume:g} Å³ is {distance:.2f} standard deviations from the mean {volumes.mean():g} Å³ of "
            f"the run; at most {FARTHEST:g} are allowed: take a cell near the mean for all that is at constant volume"
        )
    error = error_without_blocks(
        lambda kept: _log_density(volumes[kept], volume, independent), blocks_of(len(volumes), BLOCKS)
    )
    log_density = _log_density(volumes, volume, independent)
    return PressureStep(
        difference=float(pressure * volume + kB * temperature * log_density),
        standard_error=float(kB * temperature * error),
        log_density=log_density,
        mean_volume=float(volumes.mean()),
        deviation=deviation,
        distance=distance,
        independent_samples=independent,
    )


def _log_density(volumes: np.ndarray, volume: float, independent: int) -> float:
    """Logarithm of ρ at one volume."""
    mean, deviation = volumes.mean(), volumes.std()
    relative = min(0.9, BANDWIDTH * independent**-0.2)
    width = relative * deviation
    centres = mean + np.sqrt(1 - relative**2) * (volumes - mean)
    exponents = -0.5 * ((volume - centres) / width) ** 2
    return float(scipy.special.logsumexp(exponents) - np.log(len(volumes) * width * np.sqrt(2 * np.pi)))
