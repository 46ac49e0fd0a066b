"""Our correlation function and that of ``i-pi-getacf``, of a process whose own is known: exp(−t/τ)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from beadwise.spectra import Correlation, Estimate, estimate
from scipy import fft
from scipy.signal import lfilter

RELAXATION = 50  # τ in steps
LAGS = 100
BLOCK = 400
SERIES = 240  # independent, three to each atom
BLOCKS = 15


def ornstein_uhlenbeck(series: int, steps: int, relaxation: float, seed: int) -> np.ndarray:
    """Stationary series of unit variance, exactly ⟨x x(t)⟩ = exp(−t/τ); shape (steps, series)."""
    decay = np.exp(-1 / relaxation)
    kicks = np.random.default_rng(seed).normal(size=(steps, series))
    kicks[1:] *= np.sqrt(1 - decay**2)
    return lfilter([1.0], [1.0, -decay], kicks, axis=0)


def circular(lag: np.ndarray, block: int, relaxation: float) -> np.ndarray:
    """What a Fourier transform without zero padding gives in expectation: the end of a block meets its beginning."""
    share = lag / block
    return (1 - share) * np.exp(-lag / relaxation) + share * np.exp(-(block - lag) / relaxation)


def write_xyz(path: Path, series: np.ndarray) -> None:
    """As i-PI writes vectors, three components to an atom."""
    with open(path, "w") as file:
        for number, frame in enumerate(series.reshape(len(series), -1, 3)):
            file.write(
                f"{len(frame)}\n# CELL(abcABC): 9 9 9 90 90 90  Step: {number}  Bead: 0 x_centroid{{atomic_unit}}\n"
            )
            file.writelines("H {:.9e} {:.9e} {:.9e}\n".format(*vector) for vector in frame)


def from_getacf(folder: Path, series: np.ndarray, lags: int, block: int) -> np.ndarray:
    """What i-PI's tool makes of the series, mean over the components, at the lags 0 … `lags` − 1."""
    write_xyz(folder / "series.xyz", series)
    command = [sys.executable, str(Path(sys.executable).with_name("i-pi-getacf")), "-oprefix", "out"]
    command += ["-ifile", "series.xyz", "-mlag", str(lags), "-bsize", str(block)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    values = np.loadtxt(folder / "out_acf.data")[:, 1]
    return values * 2 * np.pi / 3  # its prefactor is dt/2π, and it adds up three components


def correlate(series: np.ndarray, lags: int) -> Estimate:
    """Ours, the columns as trajectories."""
    return estimate([Correlation(lags).compute(column) for column in series.T])


@pytest.fixture(scope="module")
def series() -> np.ndarray:
    return ornstein_uhlenbeck(SERIES, BLOCK * BLOCKS, RELAXATION, seed=1)


@pytest.fixture(scope="module")
def tool(series, tmp_path_factory) -> np.ndarray:
    return from_getacf(tmp_path_factory.mktemp("getacf"), series, LAGS + 1, BLOCK)


@pytest.fixture(scope="module")
def ours(series) -> Estimate:
    return correlate(series, LAGS)


def test_ours_is_exact_within_its_errors(ours):
    deviations = ours.values - np.exp(-np.arange(LAGS + 1) / RELAXATION)
    assert np.abs(deviations / ours.standard_error).max() < 4
    assert ours.standard_error.max() < 0.01


def test_errors_between_blocks_of_one_series():
    one = ornstein_uhlenbeck(1, 400_000, RELAXATION, seed=2)
    found = estimate([Correlation(LAGS).compute(one)])
    assert found.unit == "blocks"
    assert np.abs((found.values - np.exp(-np.arange(LAGS + 1) / RELAXATION)) / found.standard_error).max() < 4


def test_getacf_is_circular(series, tool):
    """To all digits written, it is the transform of blocks that are not padded with zeros."""
    blocks = series.reshape(BLOCKS, BLOCK, SERIES)
    power = np.abs(fft.fft(blocks, axis=1)) ** 2
    unpadded = fft.ifft(power, axis=1).real.mean(axis=(0, 2))[: LAGS + 1] / BLOCK
    np.testing.assert_allclose(tool, unpadded, atol=1e-7)


def test_getacf_is_wrong_by_what_a_circle_makes_of_it(ours, tool):
    lags = np.arange(LAGS + 1)
    exact, expected = np.exp(-lags / RELAXATION), circular(lags, BLOCK, RELAXATION)
    assert (exact[-1], expected[-1]) == pytest.approx((0.1353, 0.1021), abs=5e-5)
    assert np.abs(tool - expected)[1:].max() < 4 * ours.standard_error.max()
    assert exact[-1] - tool[-1] > 4 * ours.standard_error[-1]
