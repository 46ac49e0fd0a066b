"""Quantum corrections of classical spectra: their formulas, and where they are refused."""

import numpy as np
import pytest
from beadwise.analysis.spectrum import kinds
from beadwise.spectra import Conditions, Correlation, SeriesError, Window, estimate
from beadwise.spectra.infrared import infrared_spectrum
from beadwise.spectra.quantum import CORRECTIONS, quantum_correction, relative_correction
from beadwise.spectra.raman import raman_spectrum
from scipy import constants

GRID = np.array([0.0, 100.0, 1600.0, 3700.0])


def by_hand(name, wavenumber, temperature):
    x = constants.h * constants.c * 100 * wavenumber / (constants.k * temperature)
    if name == "standard":
        return 2 / (1 + np.exp(-x))
    if name == "harmonic":
        return 1.0 if x == 0 else x / (1 - np.exp(-x))
    return np.exp(x / 2) if name == "schofield" else 1.0


@pytest.mark.parametrize("name", CORRECTIONS)
def test_factors_and_detailed_balance(name):
    found = quantum_correction(GRID, 300.0, name)
    np.testing.assert_allclose(found, [by_hand(name, own, 300.0) for own in GRID], rtol=1e-10)
    x = constants.h * constants.c * 100 * GRID / (constants.k * 300.0)
    if name != "none":  # I(ω) = e^{βħω} I(−ω), the classical line shape being even
        np.testing.assert_allclose(found / quantum_correction(-GRID, 300.0, name), np.exp(x), rtol=1e-10)
    np.testing.assert_allclose(relative_correction(GRID[:1], 300.0, name), 1.0)


def test_names_of_the_command_line_are_those_of_the_formulas():
    assert kinds.CORRECTIONS == CORRECTIONS


def series():
    return np.random.default_rng(4).normal(size=(600, 3)).cumsum(axis=0) * 0.01


@pytest.mark.parametrize("name", CORRECTIONS)
def test_spectra_are_multiplied_and_named(name):
    window = Window("hann", 50.0)
    flux = estimate([Correlation(window.lags(1.0)).compute(series())])
    of = {own: Conditions(1.0, 300.0, 1000.0, quantum_correction=own) for own in ("harmonic", name)}
    grid = np.linspace(0, 4000, 81)
    usual, other = (infrared_spectrum(flux, of[own], window, grid) for own in ("harmonic", name))
    factor = relative_correction(grid, 300.0, name)
    np.testing.assert_allclose(other["n_alpha"].values, factor * usual["n_alpha"].values, rtol=1e-12)
    usual, other = (raman_spectrum(flux, flux, of[own], window, grid) for own in ("harmonic", name))
    for column in ("parallel", "stokes"):
        np.testing.assert_allclose(other[column].values, factor * usual[column].values, rtol=1e-12)
    np.testing.assert_array_equal(other["lineshape_parallel"].values, usual["lineshape_parallel"].values)
    said = {"harmonic": "", "none": ", no quantum correction", "schofield": ", Schofield quantum correction"}
    infrared = infrared_spectrum(flux, of[name], window, grid)
    assert ("of fixed charges" in infrared.notes["sum rule"]) == (name == "harmonic")
    assert other.notes["dynamics"] == "classical, 300 K" + said.get(name, f", {name} quantum correction")


def test_what_is_no_correction_of_a_classical_spectrum_is_refused():
    with pytest.raises(SeriesError, match="'wigner'; allowed are standard, harmonic"):
        Conditions(1.0, quantum_correction="wigner")
    with pytest.raises(SeriesError, match="'standard' of TRPMD with 8 beads"):
        Conditions(1.0, dynamics="TRPMD", beads=8, quantum_correction="standard")
    for name in ("Te PIGS, fitted at 500 K (moments of the centroid)", "TRPMD", "dynamics not named"):  # of one bead
        with pytest.raises(SeriesError, match="allowed is harmonic"):
            Conditions(1.0, dynamics=name, quantum_correction="schofield")
    Conditions(1.0, dynamics="classical with a global thermostat", quantum_correction="schofield")
