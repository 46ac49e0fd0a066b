"""ε(ω) from the correlation function of the dipole, as a table with errors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...with_errors import with_error
from ..conditions import Conditions
from ..estimates import Estimate, estimate, jackknife, refuse_longer_window
from ..spectrum import Column, Spectrum
from ..units import ANGSTROM, ELEMENTARY_CHARGE, SPEED_OF_LIGHT, VACUUM_PERMITTIVITY, angular_frequency, thermal_energy
from ..window import Window
from .constant import BOUNDARY, DielectricConstant, Known, dielectric_tensor
from .fluctuations import Fluctuations

POINTS = 241
SHARES = 10.0  # of a series; the correlation function is known as far as one of them
RELAXATIONS_OF_WINDOW = 20.0  # beyond which a correlation function is noise
MOST_LAGS = 50_000  # more would fill the memory
LAGS_AT_ONCE = 4096


def lags_for(recorded: float, timestep: float) -> int:
    """Highest lag of the correlation function of the dipole, of a series of this length, both times in fs."""
    return min(max(int(recorded / SHARES / timestep), 1), MOST_LAGS)


def suiting_window(trajectories: Sequence[Fluctuations], relaxation_time: float) -> Window:
    """A tenth of the shortest series, or 20 relaxation times where that is less."""
    timestep = trajectories[0].timestep
    lags = min(
        lags_for(min(one.samples for one in trajectories) * timestep, timestep), trajectories[0].correlation.lags
    )
    longest = RELAXATIONS_OF_WINDOW * relaxation_time if relaxation_time > 0 else math.inf
    return Window("hann", max(min(lags * timestep, longest), timestep))


def frequencies(timestep: float, longest: float, highest: float) -> np.ndarray:
    """Wavenumbers in cm⁻¹: 0, then equally spaced in their logarithm, up to `highest` or what the samples resolve."""
    lowest = 1 / (4 * SPEED_OF_LIGHT * longest)
    resolved = 1 / (2 * SPEED_OF_LIGHT * timestep)
    return np.concatenate([[0.0], np.geomspace(lowest, max(min(highest, resolved), 2 * lowest), POINTS - 1)])


def relaxation(correlation: np.ndarray, timestep: float, window: Window, wavenumber: np.ndarray) -> np.ndarray:
    """C(0) + iω ∫_0^∞ e^{iωt} C(t) dt = −∫ e^{iωt} dC/dt dt, C being linear between samples.

    At ω = 0 it is C(0) exactly, whatever the window; e^{−t/τ} gives 1/(1 − iωτ).

    Parameters
    ----------
    correlation : ndarray of float64, shape (…, lags + 1)
    timestep : float
        In fs.
    window : Window
        That takes C to zero.
    wavenumber : ndarray of float64, shape (frequencies,)
        In cm⁻¹.

    Returns
    -------
    ndarray of complex128, shape (…, frequencies)
    """
    omega = angular_frequency(wavenumber)
    lags = correlation.shape[-1] - 1
    windowed = correlation * window.values(lags, timestep)
    windowed[..., -1] = 0.0
    falls = -np.diff(windowed, axis=-1)
    total = np.zeros((*correlation.shape[:-1], len(omega)), dtype=np.complex128)
    for first in range(0, lags, LAGS_AT_ONCE):
        middles = (np.arange(first, min(first + LAGS_AT_ONCE, lags)) + 0.5) * timestep
        total += falls[..., first : first + LAGS_AT_ONCE] @ np.exp(1j * middles[:, None] * omega)
    return total * np.sinc(omega * timestep / 2 / np.pi)


def dielectric_spectrum(
    trajectories: Sequence[Fluctuations],
    conditions: Conditions,
    window: Window | None = None,
    highest: float = 4500.0,
    optical_permittivity: float | None = None,
) -> tuple[Spectrum, DielectricConstant]:
    """ε(ω) = ε∞ + β/(3ε0V) [⟨M²⟩ + iω ∫ e^{iωt} ⟨M(0)·M(t)⟩ dt], ⟨M⟩ removed, and the static permittivity.

    Parameters
    ----------
    trajectories : sequence of Fluctuations
        One for each trajectory, with the same lags.
    conditions : Conditions
    window : Window, optional
        By default a tenth of the shortest trajectory, or 20 relaxation times where that is less.
    highest : float
        Wavenumber in cm⁻¹.
    optical_permittivity : float, optional
        ε∞; None for that of the polarizabilities.

    Returns
    -------
    spectrum : Spectrum
        ``real`` and ``imaginary``; the notes say the rest.
    constant : DielectricConstant

    Raises
    ------
    SeriesError
        If ε∞ is not known.
    NotComputedError
        If there are too few samples, or all trajectories are shorter than the window.
    """
    constant = dielectric_tensor(trajectories, conditions.temperature, optical_permittivity)
    window = window or suiting_window(trajectories, constant.units.relaxation_time)
    lags = min(window.lags(conditions.timestep), trajectories[0].correlation.lags)
    refuse_longer_window(max(one.samples for one in trajectories), lags, conditions.timestep, window)
    known = estimate([one.correlation for one in trajectories]).up_to(lags)
    grid = frequencies(conditions.timestep, window.length, highest)
    optical = float(constant.isotropic_optical.value)
    scale = _scale(known, constant, conditions, optical)

    def columns(correlation: np.ndarray) -> np.ndarray:
        values = optical + scale * relaxation(correlation, conditions.timestep, window, grid)
        return np.stack([values.real, values.imag], axis=-2)

    values, errors = jackknife(columns, known)
    errors[0, 0] = constant.isotropic.error
    data = {name: Column(values[k], errors[k], "") for k, name in enumerate(("real", "imaginary"))}
    spectrum = Spectrum("dielectric", "Permittivity", grid, data, _notes(constant, conditions, window, known))
    return spectrum, constant


def _scale(known: Estimate, constant: DielectricConstant, conditions: Conditions, optical: float) -> float:
    """ε − ε∞ of a unit of the correlation function; at constant pressure so that ε(0) is the static one."""
    zero = float(known.values[0])
    if zero > 0:
        return (float(constant.isotropic.value) - optical) / zero
    unit = (ELEMENTARY_CHARGE * ANGSTROM) ** 2 / (3 * VACUUM_PERMITTIVITY * constant.volume * ANGSTROM**3)
    return unit / thermal_energy(conditions.temperature)


def _notes(constant: DielectricConstant, conditions: Conditions, window: Window, known: Estimate) -> dict[str, str]:
    """What is said beside the columns; the static permittivity is the first of it."""
    samples = float(known.pairs[:, 0].sum())
    beads = conditions.beads > 1
    notes = {
        "static": _text(constant.isotropic),
        "tensor xx yy zz yz xz xy": _six(constant.tensor),
        **_notes_of_optical(constant),
        "boundary": BOUNDARY,
        "dynamics": conditions.label,
        "estimator": "fluctuations of the mean over beads" if beads else "classical",
        "data": f"{samples * conditions.timestep / 1000:.6g} ps, a sample every {conditions.timestep:g} fs",
        "volume": f"{constant.volume:.7g} Å³",
        "standard errors": constant.units.note,
        "polarization": f"{_text(constant.polarization)} C/m² (√⟨M²⟩/V), {_text(constant.mean_magnitude)} (⟨|M|⟩/V)",
        "Binder ratio": f"{_text(constant.binder)} (⟨M⁴⟩/⟨M²⟩²; 5/3 of a normal distribution)",
        "window": str(window),
    }
    if not constant.units.is_long_enough:
        notes["preliminary"] = f"{len(constant.units.sums)} {constant.units.name} of too few relaxation times"
    return notes


def _notes_of_optical(constant: DielectricConstant) -> dict[str, str]:
    if constant.optical_is_given:
        return {"optical": f"{float(constant.isotropic_optical.value):.6g}, as given"}
    return {
        "optical": f"{_text(constant.isotropic_optical)}, from polarizabilities",
        "optical tensor xx yy zz yz xz xy": _six(constant.optical),
    }


def _text(known: Known) -> str:
    return with_error(f"{float(known.value):.4g}", float(known.error))


def _six(tensor: Known) -> str:
    places = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
    return ", ".join(_text(Known(tensor.value[place], tensor.error[place])) for place in places)
