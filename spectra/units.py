"""Units of spectra: series come in e·Å, Å³, Å and fs, spectra are in cm⁻¹, formulas in SI (CODATA, from scipy)."""

from __future__ import annotations

import numpy as np
from scipy import constants

FEMTOSECOND = constants.femto  # s
ANGSTROM = constants.angstrom  # m
ELEMENTARY_CHARGE = constants.e  # C
SPEED_OF_LIGHT = constants.c * 100 * FEMTOSECOND  # cm/fs
VACUUM_PERMITTIVITY = constants.epsilon_0  # F/m


def thermal_energy(temperature: float) -> float:
    """k_B T in J, of a temperature in K."""
    return constants.k * temperature


def angular_frequency(wavenumber: np.ndarray) -> np.ndarray:
    """ω in 1/fs of wavenumbers in cm⁻¹."""
    return 2 * np.pi * SPEED_OF_LIGHT * np.asarray(wavenumber)


def reduced_energy(wavenumber: np.ndarray, temperature: float) -> np.ndarray:
    """βħω of wavenumbers in cm⁻¹ at a temperature in K."""
    return constants.hbar * angular_frequency(wavenumber) / FEMTOSECOND / thermal_energy(temperature)
