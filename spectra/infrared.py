"""Infrared absorption from the flux of the dipole."""

from __future__ import annotations

import numpy as np
import scipy

from ..with_errors import with_error
from .bands import find_bands, note_of_bands
from .conditions import Conditions
from .estimates import Estimate, jackknife
from .flux import transfer_of_difference
from .kramers_kronig import real_permittivity, refractive_index
from .model_error import CommitteeEstimates, ModelError, model_errors
from .model_notes import notes_of_model
from .quantum import HARMONIC, relative_correction
from .spectrum import Column, Spectrum, notes_of
from .transform import even_transform, wavenumbers
from .units import ANGSTROM, ELEMENTARY_CHARGE, FEMTOSECOND, SPEED_OF_LIGHT, VACUUM_PERMITTIVITY, thermal_energy
from .window import Window

NOT_KNOWN = (
    "not known, so that neither alpha nor the refractive index is told; it follows from polarizabilities beside "
    "the dipoles of all samples, or is given by --optical-permittivity"
)


def absorption(
    flux: np.ndarray,
    conditions: Conditions,
    window: Window,
    wavenumber: np.ndarray,
    is_difference: bool = True,
) -> np.ndarray:
    """n(ω)α(ω), refractive index times Napierian absorption coefficient.

    n(ω)α(ω) = β/(6 ε0 c V) ∫ e^{−iωt} ⟨Ṁ(0)·Ṁ(t)⟩ dt (Habershon, Fanourgakis, Manolopoulos, J. Chem. Phys. 129, 074501
    (2008)), with the classical or Kubo-transformed correlation function: no further factor is needed, and what another
    quantum correction than the harmonic one changes is multiplied.

    Parameters
    ----------
    flux : ndarray of float64, shape (…, lags + 1)
        ⟨Ṁ(0)·Ṁ(t)⟩ in (e·Å/fs)².
    conditions : Conditions
    window : Window
    wavenumber : ndarray of float64, shape (frequencies,)
        In cm⁻¹.
    is_difference : bool
        Whether the flux is a central difference, whose transfer function is divided out.

    Returns
    -------
    ndarray of float64, shape (…, frequencies)
        In cm⁻¹.
    """
    transform = even_transform(flux, conditions.timestep, window, wavenumber)
    if is_difference:
        transform = transform / transfer_of_difference(wavenumber, conditions.timestep) ** 2
    transform_in_si = transform * (ELEMENTARY_CHARGE * ANGSTROM / FEMTOSECOND) ** 2 * FEMTOSECOND
    speed_of_light = SPEED_OF_LIGHT / FEMTOSECOND  # in cm/s, which makes cm⁻¹ of the result
    prefactor = 6 * VACUUM_PERMITTIVITY * speed_of_light * conditions.volume * ANGSTROM**3
    correction = relative_correction(wavenumber, conditions.temperature, conditions.quantum_correction)
    return transform_in_si * correction / (prefactor * thermal_energy(conditions.temperature))


def permittivity(
    absorption: np.ndarray, wavenumber: np.ndarray, optical_permittivity: float
) -> tuple[np.ndarray, np.ndarray]:
    """Real and imaginary part of ε(ω): ε'' = c nα/ω, and ε' from it by Kramers–Kronig.

    Parameters
    ----------
    absorption : ndarray of float64, shape (…, frequencies)
        nα in cm⁻¹.
    wavenumber : ndarray of float64, shape (frequencies,)
        In cm⁻¹, equally spaced from 0.
    optical_permittivity : float
        ε∞.
    """
    imaginary = np.zeros_like(absorption)
    imaginary[..., 1:] = absorption[..., 1:] / (2 * np.pi * wavenumber[1:])
    return real_permittivity(imaginary, optical_permittivity), imaginary


def infrared_spectrum(
    flux: Estimate,
    conditions: Conditions,
    window: Window,
    wavenumber: np.ndarray | None = None,
    is_difference: bool = True,
    optical_permittivity: float | None = None,
    committee: CommitteeEstimates | None = None,
) -> Spectrum:
    """Infrared spectrum with standard errors, and with model errors where there are members.

    Parameters
    ----------
    flux : Estimate
        ⟨Ṁ(0)·Ṁ(t)⟩ in (e·Å/fs)².
    conditions : Conditions
    window : Window
    wavenumber : ndarray of float64, optional
        In cm⁻¹, equally spaced from 0; up to 5000 cm⁻¹ by default.
    is_difference : bool
        Whether the flux is a central difference.
    optical_permittivity : float, optional
        ε∞, which the absorption coefficient and the refractive index alone need.
    committee : CommitteeEstimates, optional
        Of the members, under the name ``dipole``.

    Returns
    -------
    Spectrum
        ``n_alpha`` in cm⁻¹, and where ε∞ is known ``alpha`` in cm⁻¹ and ``refractive_index``.
    """
    grid = wavenumbers(conditions.timestep) if wavenumber is None else wavenumber

    def columns(values: np.ndarray) -> np.ndarray:
        n_alpha = absorption(values, conditions, window, grid, is_difference)
        total = np.broadcast_to(scipy.integrate.trapezoid(n_alpha, grid, axis=-1)[..., None], n_alpha.shape)
        if optical_permittivity is None:
            return np.stack([n_alpha, total], axis=-2)
        index = refractive_index(*permittivity(n_alpha, grid, optical_permittivity))
        with np.errstate(divide="ignore", invalid="ignore"):  # noise may make the index zero
            alpha = n_alpha / index
        return np.stack([n_alpha, alpha, index, total], axis=-2)

    values, errors = jackknife(columns, flux)
    last = len(values) - 1
    notes = notes_of(conditions, window, flux)
    notes["flux"] = "central difference of the dipole, its transfer function divided out"
    if not is_difference:
        notes["flux"] = "Born effective charges times velocities"
    integral = with_error(f"{values[last, 0]:.5g}", errors[last, 0], "cm⁻²")
    notes["sum rule"] = f"integral of n alpha from 0 to {grid[-1]:.0f} cm⁻¹ is {integral}"
    if conditions.quantum_correction == HARMONIC:  # with another one the integral is not that of the flux at t = 0
        density = charge_density(values[last, 0], conditions.volume)
        notes["sum rule"] += f", of fixed charges it would be {density:.4g} e^2/Da in the cell"
    names = {"n_alpha": "cm^-1"}
    notes["optical permittivity"] = NOT_KNOWN
    if optical_permittivity is not None:
        notes["optical permittivity"] = f"{optical_permittivity:.4g}, for alpha and the refractive index only"
        names |= {"alpha": "cm^-1", "refractive_index": ""}
    models: list[ModelError | None] = [None] * len(values)
    if committee is not None:
        of_columns = model_errors(columns, {"dipole": flux}, committee, conditions.temperature)
        notes["sum rule"] += f"; its model error is {of_columns[last].total[0]:.2g} cm⁻²"
        column = (0, "n alpha", values[0], errors[0])
        notes |= notes_of_model(of_columns, column, grid, committee, conditions.temperature)
        models = [*of_columns]
    data = {name: Column(values[k], errors[k], unit, models[k]) for k, (name, unit) in enumerate(names.items())}

    def n_alpha_alone(values: np.ndarray) -> np.ndarray:
        return absorption(values, conditions, window, grid, is_difference)

    bands = find_bands(grid, values[0], errors[0], n_alpha_alone, flux)
    notes |= note_of_bands(bands, "n alpha")
    return Spectrum("ir", "Infrared absorption", grid, data, notes, bands)


def sum_rule(charges: np.ndarray, masses: np.ndarray, volume: float) -> float:
    """∫_0^∞ nα dν̃ = Σ q²/m/(4 ε0 c² V) in cm⁻², exact for fixed linear charges in classical, RPMD and TRPMD dynamics.

    The transform at t = 0 with ⟨v²⟩ = 3kT/m, as the centroid's velocity has it too.

    Parameters
    ----------
    charges : ndarray of float64, shape (atoms,)
        In e.
    masses : ndarray of float64, shape (atoms,)
        In Da.
    volume : float
        In Å³.
    """
    return float(np.sum(np.square(charges) / masses)) * _sum_rule_unit(volume)


def charge_density(integral: float, volume: float) -> float:
    """Σ q²/m in e²/Da that would give an integral of nα, in cm⁻²; the inverse of `sum_rule`."""
    return integral / _sum_rule_unit(volume)


def _sum_rule_unit(volume: float) -> float:
    per_mass = ELEMENTARY_CHARGE**2 / scipy.constants.atomic_mass
    per_square_metre = per_mass / (4 * VACUUM_PERMITTIVITY * scipy.constants.c**2 * volume * ANGSTROM**3)
    return per_square_metre / 100**2
