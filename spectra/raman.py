"""Raman spectra from the flux of the polarizability."""

from __future__ import annotations

import numpy as np

from .bands import find_bands, note_of_bands
from .conditions import Conditions
from .estimates import Estimate, jackknife
from .flux import transfer_of_difference
from .model_error import CommitteeEstimates, ModelError, model_errors
from .model_notes import notes_of_model
from .quantum import relative_correction, stokes_factor
from .spectrum import Column, Spectrum, notes_of
from .transform import even_transform, wavenumbers
from .units import angular_frequency, reduced_energy
from .window import Window

LASER = 1e7 / 532.0  # cm⁻¹, the green line of a frequency-doubled Nd:YAG laser
STANDS_FOR_ALL = "parallel"  # of the polarisations, where one curve is shown
POLARISATIONS = ("isotropic", "anisotropic", "parallel", "perpendicular", "unpolarised")


def invariants(polarizability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Isotropic part ᾱ = Tr α/3, and anisotropic part β = α − ᾱ·1.

    Parameters
    ----------
    polarizability : ndarray of float64, shape (samples, 3, 3)

    Returns
    -------
    isotropic : ndarray of float64, shape (samples, 1)
    anisotropic : ndarray of float64, shape (samples, 9)
    """
    mean = np.trace(polarizability, axis1=1, axis2=2) / 3
    rest = polarizability - mean[:, None, None] * np.eye(3)
    return mean[:, None], rest.reshape(-1, 9)


def polarised(isotropic: np.ndarray, anisotropic: np.ndarray) -> np.ndarray:
    """Intensities of the usual geometries, stacked in the order of `POLARISATIONS` along the last but one axis.

    I_VH = FT⟨Tr β β(t)⟩/10 and I_VV = I_iso + 4/3 I_VH (Berne and Pecora, Dynamic Light Scattering, chapter 3;
    McQuarrie, Statistical Mechanics, chapter 21); `anisotropic` here is the part 4/3 I_VH of the parallel spectrum.

    Parameters
    ----------
    isotropic, anisotropic : ndarray of float64, shape (…, frequencies)
        FT⟨ᾱ ᾱ(t)⟩ and FT⟨Tr β β(t)⟩.
    """
    perpendicular = anisotropic / 10
    parallel = isotropic + 4 / 3 * perpendicular
    return np.stack([isotropic, 4 / 3 * perpendicular, parallel, perpendicular, parallel + perpendicular], axis=-2)


def raman_spectrum(
    isotropic: Estimate,
    anisotropic: Estimate,
    conditions: Conditions,
    window: Window,
    wavenumber: np.ndarray | None = None,
    is_difference: bool = True,
    laser: float = LASER,
    committee: CommitteeEstimates | None = None,
) -> Spectrum:
    """Raman spectra with standard errors, and with model errors where there are members.

    From the fluxes of ᾱ and β: the line shape I(ω) = FT⟨α α(t)⟩ is FT⟨α̇ α̇(t)⟩/ω².

    Parameters
    ----------
    isotropic, anisotropic : Estimate
        ⟨d/dt ᾱ · d/dt ᾱ(t)⟩ and ⟨Tr β̇ β̇(t)⟩ in (Å³/fs)².
    conditions : Conditions
    window : Window
    wavenumber : ndarray of float64, optional
        In cm⁻¹, equally spaced from 0; up to 5000 cm⁻¹ by default.
    is_difference : bool
        Whether the fluxes are central differences.
    laser : float
        Of the Stokes intensity, in cm⁻¹.
    committee : CommitteeEstimates, optional
        Of the members, under the names ``isotropic`` and ``anisotropic``.

    Returns
    -------
    Spectrum
        For each of `POLARISATIONS` the reduced intensity βħω·I = (1 − e^{−βħω})·I_quantum under its name, and the
        line shape I under ``lineshape_…``; ``stokes``, the unpolarised Stokes intensity
        (1 − ω/ω_L)⁴ βħω/(1 − e^{−βħω}) I; all in Å⁶·fs; and ``depolarisation``, I_VH/I_VV.
    """
    grid = wavenumbers(conditions.timestep) if wavenumber is None else wavenumber
    with np.errstate(divide="ignore"):
        to_line_shape = 1 / angular_frequency(grid) ** 2
    if is_difference:
        to_line_shape = to_line_shape / transfer_of_difference(grid, conditions.timestep) ** 2
    to_line_shape[grid == 0] = np.nan
    correction = relative_correction(grid, conditions.temperature, conditions.quantum_correction)
    reduced_factor = reduced_energy(grid, conditions.temperature) * correction
    stokes = stokes_factor(grid, conditions.temperature, laser) * correction

    def columns(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        transforms = (even_transform(values, conditions.timestep, window, grid) for values in (first, second))
        shapes = polarised(*(transform * to_line_shape for transform in transforms))
        parallel, perpendicular, unpolarised = (shapes[..., k : k + 1, :] for k in (2, 3, 4))
        with np.errstate(invalid="ignore", divide="ignore"):  # where nothing scatters there is no ratio
            ratio = perpendicular / parallel
        return np.concatenate([shapes * reduced_factor, shapes, unpolarised * stokes, ratio], axis=-2)

    values, errors = jackknife(columns, isotropic, anisotropic)
    names = [*POLARISATIONS, *(f"lineshape_{name}" for name in POLARISATIONS), "stokes", "depolarisation"]
    units = ["A^6 fs"] * (len(names) - 1) + [""]
    notes = notes_of(conditions, window, isotropic)
    notes["intensities"] = (
        "reduced, beta hbar w I(w) = (1 - exp(-beta hbar w)) I_quantum(w), unless the name says lineshape (I itself) "
        f"or stokes ((1 - w/w_laser)^4 I_quantum, laser {laser:.0f} cm⁻¹); I(w) = FT<flux flux(t)>/w^2; parallel = "
        "isotropic + anisotropic, perpendicular = 3/4 anisotropic, unpolarised = parallel + perpendicular"
    )
    models: list[ModelError | None] = [None] * len(names)
    if committee is not None:
        run = {"isotropic": isotropic, "anisotropic": anisotropic}
        of_columns = model_errors(columns, run, committee, conditions.temperature)
        place = names.index(STANDS_FOR_ALL)
        column = (place, STANDS_FOR_ALL, values[place], errors[place])
        notes |= notes_of_model(of_columns, column, grid, committee, conditions.temperature)
        models = [*of_columns]
    data = {name: Column(values[k], errors[k], units[k], models[k]) for k, name in enumerate(names)}
    place = names.index(STANDS_FOR_ALL)
    bands = find_bands(
        grid, values[place], errors[place], lambda *fluxes: columns(*fluxes)[..., place, :], isotropic, anisotropic
    )
    notes |= note_of_bands(bands, STANDS_FOR_ALL)
    return Spectrum("raman", "Raman scattering", grid, data, notes, bands)
