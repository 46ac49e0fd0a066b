"""Bands of spectra: found where they are, with errors that hold, and none where there is only noise."""

import numpy as np
from beadwise.spectra import Conditions, Window
from beadwise.spectra.bands import note_of_bands
from beadwise.spectra.recording import make_recorder, spectrum_of

TIMESTEP = 1.0  # fs
SPEED = 2.99792458e-5  # cm/fs
CONDITIONS = Conditions(TIMESTEP, 300.0, 1000.0, "classical", 1)
WINDOW = Window("hann", 400.0)
LINES = {700.0: 1.0, 1650.0: 0.5, 3400.0: 0.4}  # cm⁻¹, amplitudes of the dipole's flux


def damped(wavenumber, amplitude, samples, random):
    """A dipole that oscillates, kicked at random: a band of a known place and a width of some 50 cm⁻¹."""
    angular, friction = 2 * np.pi * SPEED * wavenumber, 0.01
    turn = np.exp((1j * angular - friction) * TIMESTEP)
    kicks = random.normal(size=(samples, 3)) + 1j * random.normal(size=(samples, 3))
    values = np.zeros((samples, 3), dtype=complex)
    for step in range(1, samples):
        values[step] = turn * values[step - 1] + kicks[step]
    return amplitude / angular * values.real


def spectrum(dipole, kind="ir"):
    recorder = make_recorder(kind, TIMESTEP, WINDOW)
    recorder.add({"dipole": dipole})
    return spectrum_of([recorder], CONDITIONS, WINDOW)


def test_bands_are_where_they_are():
    random = np.random.default_rng(5)
    dipole = sum(damped(place, height, 30000, random) for place, height in LINES.items())
    made = spectrum(dipole)
    bands = made.bands
    assert len(bands) == len(LINES)
    for band, place in zip(bands, LINES, strict=True):
        assert 0.5 < band.position_error < 15 and abs(band.position - place) < 4 * band.position_error + 1
        top = int(np.argmin(np.abs(made.wavenumber - band.position)))
        assert abs(made["n_alpha"].values[top] - band.height) < 0.02 * band.height
        assert 0 < band.height_error < 0.3 * band.height
    assert made.notes["bands"].startswith("maxima of n alpha at ") and made.notes["bands"].count("±") == 3


def test_noise_has_hardly_any_bands():
    found = [spectrum(np.random.default_rng(seed).normal(size=(6000, 3)).cumsum(0)).bands for seed in range(4)]
    assert sum(map(len, found)) <= 4
    assert note_of_bands((), "n alpha") == {}


def test_without_errors_there_are_none():
    random = np.random.default_rng(7)
    made = spectrum(damped(1650.0, 1.0, 450, random))
    assert np.isnan(made["n_alpha"].standard_error).all() and made.bands == () and "bands" not in made.notes
