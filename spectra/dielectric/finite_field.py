"""The static permittivity from the mean dipole in a static field, which needs no fluctuations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import SeriesError
from ..errors import NotComputedError
from ..units import ANGSTROM, ELEMENTARY_CHARGE, VACUUM_PERMITTIVITY

BLOCKS = 16
SAME = 1e-9  # of the largest field
STRENGTH = ELEMENTARY_CHARGE / ANGSTROM / VACUUM_PERMITTIVITY  # of e/(V Å) over ε0


def permittivity_in_field(
    dipoles: Sequence[np.ndarray],
    fields: Sequence[Sequence[float]],
    volume: float,
    optical_permittivity: float = 1.0,
) -> tuple[float, float]:
    """ε = ε∞ + (d⟨M⟩/dE)/(ε0 V) of runs in static fields, in a conductor, and its standard error.

    The response of a body of volume V to the field in it (Umari, Pasquarello, Phys. Rev. Lett. 89, 157602 (2002)), as
    the slope of the straight line of least squares through the means of all runs, ``Σ (E − Ē)⟨M⟩ / Σ (E − Ē)²``.  A
    dipole that is there without a field, as that of a polar body, falls out; what is even in the field does, too, of
    opposite fields.  What is odd and of a higher order stays: a strong field saturates.

    Parameters
    ----------
    dipoles : sequence of ndarray of float64, shape (samples, 3)
        One array for each run, equilibrated, in e·Å; for path integrals the mean over the beads.  Of a field of second
        order, where dipoles are those in the field, α·E is in them.
    fields : sequence of (float, float, float)
        E of each run in V/Å, all along one line, and not all the same; best E and −E.  One may be zero.
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
        If there are not three finite numbers for the field of each run, all are the same, or they are not along one
        line.
    NotComputedError
        If a run has fewer samples than blocks.
    """
    try:
        own = np.asarray(fields, dtype=np.float64)
    except ValueError as error:
        raise SeriesError(f"fields {fields!r}; three numbers are needed for each run") from error
    if own.shape != (len(dipoles), 3) or not len(own):
        raise SeriesError(f"{len(dipoles)} runs and fields of shape {own.shape}; three numbers are needed for each run")
    if not np.isfinite(own).all():
        raise SeriesError(f"fields {own.tolist()} V/Å; finite ones are needed")
    sizes = np.linalg.norm(own, axis=1)
    if np.abs(own - own[0]).max() <= SAME * sizes.max():
        raise SeriesError(
            f"{len(own)} runs in the field {own[0].tolist()} V/Å alone: a dipole that is there without a field cannot "
            "be told from the response; runs in two fields that differ are needed, best E and −E"
        )
    line = own[sizes.argmax()] / sizes.max()
    if np.abs(np.cross(own, line)).max() > SAME * sizes.max():
        raise SeriesError(f"fields {own.tolist()} V/Å; all must be along one line, as E and −E")
    if not volume > 0:
        raise SeriesError(f"a volume of {volume:g} Å³; it must be positive")
    places = own @ line
    places = places - places.mean()
    total, variance = 0.0, 0.0
    for dipole, place in zip(dipoles, places, strict=True):
        samples = np.asarray(dipole, dtype=np.float64)
        if samples.ndim != 2 or samples.shape[1] != 3 or not np.isfinite(samples).all():
            raise SeriesError(f"dipoles of shape {samples.shape}; three finite numbers are needed in each row")
        if len(samples) < BLOCKS:
            raise NotComputedError(f"{len(samples)} samples of the dipole are too few; at least {BLOCKS} are needed")
        along = samples @ line
        means = np.array([block.mean() for block in np.array_split(along, BLOCKS)])
        total += place * along.mean()
        variance += place**2 * means.var(ddof=1) / BLOCKS
    scale = STRENGTH / (volume * float(np.square(places).sum()))
    return optical_permittivity + scale * total, scale * float(np.sqrt(variance))
