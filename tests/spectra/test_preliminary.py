"""What is preliminary of a spectrum, and why: one rule, which pictures, tables and pages go by."""

import numpy as np
import pytest
from beadwise.spectra import Column, Conditions, Estimate, Spectrum, Window
from beadwise.spectra.spectrum import NO_BAND, notes_of

CONDITIONS, WINDOW = Conditions(1.0), Window("hann", 100.0)


def estimate_of(units):
    return Estimate(np.ones((units, 4)), np.full((units, 4), 50.0), "blocks", 50.0)


def spectrum_of(units):
    known = np.full(3, 0.1 if units > 1 else np.nan)
    notes = notes_of(CONDITIONS, WINDOW, estimate_of(units))
    return Spectrum("ir", "Infrared absorption", np.arange(3.0), {"n_alpha": Column(known, known, "cm^-1")}, notes)


@pytest.mark.parametrize("units, expected", [(1, NO_BAND), (4, "error band of 4 blocks only"), (8, ""), (20, "")])
def test_what_has_too_few_parts_for_a_band_is_preliminary(units, expected, tmp_path):
    spectrum = spectrum_of(units)
    assert spectrum.preliminary == expected
    assert spectrum["n_alpha"].has_band == (units > 1)
    spectrum.write(tmp_path / "a.csv")
    assert (f"# preliminary: {expected}" in (tmp_path / "a.csv").read_text()) == bool(expected)


@pytest.mark.parametrize(
    "units, recorded, expected",
    [(20, 2.4, "2.4 of 10 ps"), (20, 10.0, ""), (1, 0.1, f"{NO_BAND}, 0.1 of 10 ps"), (1, 10.0, NO_BAND)],
)
def test_so_is_what_a_run_has_recorded_in_part(units, recorded, expected):
    assert spectrum_of(units).so_far(recorded, 10.0).preliminary == expected
