"""The static permittivity from the mean dipole in a static field, which needs no fluctuations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import SeriesError
from ..errors import NotComputedError
from ..units import ANGSTROM, ELEMENTARY_CHARGE, VACUUM_PERMITTIVITY

BLOCKS = 16
STRENGTH = ELEMENTARY_CHARGE / ANGSTROM / VACUUM_PERMITTIVITY  # of e/(V Å) over ε0


def permittivity_in_field(
    dipoles: Sequence[np.ndarray],
    fields: Sequence[Sequence[float]],
    volume: float,
    optical_permittivity: float = 1.0,
) -> tuple[float, float]:
    """ε = ε∞ + ⟨M⟩·E/(ε0 V E²) of runs in a static field, in a conductor, and its standard error.

    The response of a body of volume V to the field in it (Umari, Pasquarello, Phys. Rev. Lett. 89, 157602 (2002)).
    Runs in opposite fields are taken together, ``Σ ⟨M⟩·E / Σ E²``: a polarization that is there without a field, and
    all that is even in it, fall out if Σ E = 0.  What is odd and of a higher order stays: a strong field saturates.

    Parameters
    ----------
    dipoles : sequence of ndarray of float64, shape (samples, 3)
        One array for each run, equilibrated, in e·Å; for path integrals the mean over the beads.  Of a field of second
        order, where dipoles are those in the field, α·E is in them.
    fields : sequence of (float, float, float)
        E of each run in V/Å, all along one line.
    volume : float
        In Å³.
    optical_permittivity : float
        ε∞ along E, where dipoles are those without the field of electrons, as ``--field`` has them; 1 of fixed charges,
        and where α·E is in the dipoles.

    Returns
    -------
    value, error : float
        The error comes from 16 blocks of each run, which must be longer than the dipole remembers.

    Raises
    ------
    SeriesError
        If there is not a field for each run, one of them is zero, or they are not along one line.
    NotComputedError
        If a run has fewer samples than blocks.
    """
    own = np.asarray(fields, dtype=np.float64)
    if own.shape != (len(dipoles), 3) or not len(own):
        raise SeriesError(f"{len(dipoles)} runs and fields of shape {own.shape}; three numbers are needed for each run")
    sizes = np.linalg.norm(own, axis=1)
    if not np.isfinite(sizes).all() or not (sizes > 0).all():
        raise SeriesError(f"a field of {sizes.min():g} V/Å; a finite one that is not zero is needed for each run")
    line = own[0] / sizes[0]
    if np.abs(np.cross(own, line)).max() > 1e-9 * sizes.max():
        raise SeriesError(f"fields {own.tolist()} V/Å; all must be along one line, as E and −E")
    if not volume > 0:
        raise SeriesError(f"a volume of {volume:g} Å³; it must be positive")
    total, variance = 0.0, 0.0
    for dipole, field in zip(dipoles, own, strict=True):
        samples = np.asarray(dipole, dtype=np.float64)
        if samples.ndim != 2 or samples.shape[1] != 3 or not np.isfinite(samples).all():
            raise SeriesError(f"dipoles of shape {samples.shape}; three finite numbers are needed in each row")
        if len(samples) < BLOCKS:
            raise NotComputedError(f"{len(samples)} samples of the dipole are too few; at least {BLOCKS} are needed")
        along = samples @ field
        means = np.array([block.mean() for block in np.array_split(along, BLOCKS)])
        total += along.mean()
        variance += means.var(ddof=1) / BLOCKS
    scale = STRENGTH / (volume * float(np.square(sizes).sum()))
    return optical_permittivity + scale * total, scale * float(np.sqrt(variance))
