"""The permittivity from mean dipoles in a field, of series whose answer is known."""

import numpy as np
import pytest
from beadwise.spectra import NotComputedError, SeriesError
from beadwise.spectra.dielectric import permittivity_in_field
from scipy.signal import lfilter
from wells import COULOMB

VOLUME = 50.0  # Å³
RESPONSE = 0.3  # e·Å for 1 V/Å
EXACT = 1.7 + 4 * np.pi * COULOMB * RESPONSE / VOLUME
FIELD = np.array([0.1, 0.0, -0.2])


def series(field, seed, own=0.0, samples=4000):
    """Dipoles that remember a few samples, about their mean in a field."""
    noise = 0.05 * np.random.default_rng(seed).normal(size=(samples, 3))
    return lfilter([1], [1, -0.5], noise, axis=0) + RESPONSE * np.array(field) + own


def test_the_error_is_that_of_repeats():
    pair = [FIELD, -FIELD]
    found = [
        permittivity_in_field([series(own, 2 * seed + k) for k, own in enumerate(pair)], pair, VOLUME, 1.7)
        for seed in range(100)
    ]
    values, errors = np.array(found).T
    assert abs(values.mean() - EXACT) < 3 * values.std() / 10
    assert 0.6 < np.mean(np.abs(values - EXACT) < errors) < 0.76


def test_opposite_fields_lose_what_is_there_without_one():
    fields = [FIELD, -FIELD, 2 * FIELD, -2 * FIELD]
    own = [series(field, seed, own=0.4) for seed, field in enumerate(fields)]
    value, error = permittivity_in_field(own, fields, VOLUME, 1.7)
    assert abs(value - EXACT) < 2.5 * error


def test_a_polar_body_and_fields_of_one_sign():
    """The slope through all means, as a fit by NumPy has it, of fields that are not balanced, one of them none."""
    fields = [0 * FIELD, FIELD, 3 * FIELD]
    own = [series(field, seed, own=0.4) for seed, field in enumerate(fields)]
    value, error = permittivity_in_field(own, fields, VOLUME, 1.7)
    assert abs(value - EXACT) < 2.5 * error
    size = np.linalg.norm(FIELD)
    slope = np.polyfit([0, size, 3 * size], [one.mean(axis=0) @ FIELD / size for one in own], 1)[0]
    assert value == pytest.approx(1.7 + 4 * np.pi * COULOMB * slope / VOLUME, rel=1e-6)


def test_errors_are_the_same_whatever_the_order_and_the_sign_of_the_line():
    fields = [FIELD, -FIELD, 2 * FIELD]
    own = [series(field, seed, own=0.4) for seed, field in enumerate(fields)]
    first = permittivity_in_field(own, fields, VOLUME)
    np.testing.assert_allclose(permittivity_in_field(own[::-1], fields[::-1], VOLUME), first, rtol=1e-12)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([(0, 0, 0)], "alone: a dipole that is there without a field cannot be told from the response"),
        ([(0, 0, 1)], "1 runs in the field .* two fields that differ are needed, best E and −E"),
        ([(0, 0, 1), (0, 0, 1)], "2 runs in the field .* two fields that differ are needed"),
        ([(0, 0, np.nan)], "finite ones are needed"),
        ([(0, 0, 1), (0, 1, 0)], "must be along one line"),
        ([(0, 0, 1), (0, 1)], "three numbers are needed for each run"),
        ([0, 0, 1], "three numbers are needed for each run"),
    ],
)
def test_fields_that_are_refused(fields, message):
    own = [series(FIELD, 0, samples=40)] * len(fields)
    with pytest.raises(SeriesError, match=message):
        permittivity_in_field(own, fields, VOLUME)


def test_series_that_are_refused():
    with pytest.raises(NotComputedError, match="15 samples of the dipole are too few; at least 16"):
        permittivity_in_field([series(FIELD, 0, samples=15)] * 2, [FIELD, -FIELD], VOLUME)
    with pytest.raises(SeriesError, match=r"dipoles of shape \(40, 2\)"):
        permittivity_in_field([series(FIELD, 0, samples=40)[:, :2]] * 2, [FIELD, -FIELD], VOLUME)
    with pytest.raises(SeriesError, match="must be positive"):
        permittivity_in_field([series(FIELD, 0, samples=40)] * 2, [FIELD, -FIELD], 0.0)
