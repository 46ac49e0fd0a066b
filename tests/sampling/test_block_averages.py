"""Errors of means of correlated series, and of several runs."""

import numpy as np
import pytest
from beadwise.sampling.block_averages import between_runs, block_average, jackknife_over_blocks


def test_blocks_and_jackknife():
    """An autoregressive series: τ_int = (1 + φ)/2(1 − φ), and errors of many such series cover the truth."""
    rng, phi, count = np.random.default_rng(0), 0.8, 4000
    noise = rng.normal(size=(count, 64))
    series = np.zeros_like(noise)
    for step in range(1, count):
        series[step] = phi * series[step - 1] + noise[step]
    found = block_average([series])
    assert np.median(found.time) == pytest.approx((1 + phi) / (2 * (1 - phi)), rel=0.1)
    assert np.mean(np.square(found.mean / found.error)) == pytest.approx(1, abs=0.45)
    assert found.blocks > 8 and not found.is_short
    values, errors = jackknife_over_blocks([series[:, :2]], lambda means: means**2 + 1)
    np.testing.assert_allclose(values, series[:, :2].mean(axis=0) ** 2 + 1)
    assert (errors > 0).all()
    halves = block_average([series[:2000], series[2000:]])
    np.testing.assert_allclose(halves.mean, found.mean)


def test_runs_that_differ_by_more_than_their_errors():
    rng = np.random.default_rng(1)
    np.testing.assert_allclose(between_runs(np.array([[1.0], [3.0], [8.0]]), np.full(3, 1 / 3)), np.sqrt(13 / 3))
    same = [rng.normal(size=(400, 3)) for _ in range(4)]
    assert (block_average(same).chance > 0.001).all()
    shifted = [own + number for number, own in enumerate(same)]
    found = block_average(shifted)
    assert (found.chance < 1e-6).all()
    np.testing.assert_allclose(found.error, np.std([own.mean(axis=0) for own in shifted], axis=0, ddof=1) / 2)
    _, errors = jackknife_over_blocks(shifted, lambda means: 2 * means)
    assert (errors >= 2 * found.error - 1e-12).all()
    assert (block_average(same[:1]).chance == 1).all()
