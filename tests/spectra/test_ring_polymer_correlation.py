"""Correlation functions of harmonic oscillators from ring polymers: closed forms, and ``beadwise run`` with i-PI."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from beadwise.runs.output.bead_series import BeadSeries
from beadwise.runs.units import BOHR_PER_ANGSTROM
from beadwise.spectra import Correlation, Estimate, estimate, jackknife
from ipi.utils.units import unit_to_internal
from oscillators import LENGTH, MASS, SITES, TEMPERATURE, THERMAL_ENERGY, frequency
from places import HELPERS
from scipy.stats import chi2

# physics.md, section 2: wavenumber, the potential energy over kT with 16, 32, 64 beads and exactly, and ⟨q²; q²⟩
POTENTIAL_ENERGY = {
    500.0: (0.717663, 0.718949, 0.719272, 0.719379),
    1600.0: (1.867349, 1.906532, 1.916721, 1.920154),
    3700.0: (3.879652, 4.274952, 4.394204, 4.436229),
}
SQUARES = {500.0: 4.1413, 1600.0: 18.6157, 3700.0: 87.593}
CENTROID_SQUARES = 3.0
CONSTANTS = 2e-6  # so much i-PI's constants differ from those of CODATA, and the digits that the table gives


def ring_frequencies(beads: int) -> np.ndarray:
    """ω_n = 2 (P kT/ħ) sin(nπ/P) of the free ring polymer, in atomic units, where ħ is 1."""
    return 2 * beads * THERMAL_ENERGY * np.sin(np.arange(beads) * np.pi / beads)


def shares(wavenumber: float, beads: int) -> np.ndarray:
    """⟨Q_n²⟩/P of every normal mode in units of kT/mω²: ω²/(ω² + ω_n²)."""
    square = frequency(wavenumber) ** 2
    return square / (square + ring_frequencies(beads) ** 2)


def squares_correlation(wavenumber: float, beads: int, times: np.ndarray) -> np.ndarray:
    """⟨A A(t)⟩ of A = P⁻¹ Σ_k q_k² = P⁻¹ Σ_n Q_n² in ring-polymer dynamics, in units of (kT/mω²)².

    The normal modes are independent and harmonic, of frequency sqrt(ω² + ω_n²), and Gaussian, so that
    ⟨Q_n² Q_n²(t)⟩ = ⟨Q_n²⟩² + 2 ⟨Q_n Q_n(t)⟩².
    """
    share = shares(wavenumber, beads)
    total = np.sqrt(frequency(wavenumber) ** 2 + ring_frequencies(beads) ** 2)
    cosines = np.cos(np.multiply.outer(times, total))
    return share.sum() ** 2 + 2 * (share**2 * cosines**2).sum(axis=-1)


@pytest.mark.parametrize("wavenumber", POTENTIAL_ENERGY)
def test_potential_energy_of_the_ring_polymer(wavenumber):
    *finite, exact = POTENTIAL_ENERGY[wavenumber]
    for beads, expected in zip((16, 32, 64), finite, strict=True):
        assert shares(wavenumber, beads).sum() / 2 == pytest.approx(expected, rel=CONSTANTS)
    half = frequency(wavenumber) / THERMAL_ENERGY / 2
    assert half / np.tanh(half) / 2 == pytest.approx(exact, rel=CONSTANTS)
    assert shares(wavenumber, 1 << 13).sum() / 2 == pytest.approx(exact, rel=CONSTANTS)


@pytest.mark.parametrize("wavenumber", SQUARES)
def test_squares_at_equal_times(wavenumber):
    """The mean over beads, not the centroid: ⟨q²; q²⟩ is Kubo-transformed at t = 0 as it is for q."""
    digits = 5e-5 if SQUARES[wavenumber] < 50 else 5e-4
    limit = squares_correlation(wavenumber, 1 << 13, np.zeros(1))[0]
    assert limit == pytest.approx(SQUARES[wavenumber], abs=1.2 * digits)
    assert squares_correlation(wavenumber, 1, np.zeros(1))[0] == CENTROID_SQUARES
    assert limit == pytest.approx(exact_squares(wavenumber), rel=1e-6)


def exact_squares(wavenumber: float) -> float:
    """Kubo-transformed ⟨q²; q²⟩ at t = 0 of the quantum oscillator, in units of (kT/mω²)², from its energy levels."""
    quantum = frequency(wavenumber) / THERMAL_ENERGY  # βħω
    levels = 400
    ladder = np.diag(np.sqrt(np.arange(1.0, levels + 3)), 1)  # so many that q² is not cut off below `levels`
    position = (ladder + ladder.T) * np.sqrt(quantum / 2)  # in units of sqrt(kT/mω²)
    squares = (position @ position)[:levels, :levels] ** 2
    boltzmann = np.exp(-quantum * np.arange(levels))
    boltzmann /= boltzmann.sum()
    gaps = quantum * np.subtract.outer(np.arange(levels), np.arange(levels))  # β (E_row − E_column)
    kubo = np.where(gaps == 0, 1.0, -np.expm1(-np.abs(gaps)) / np.where(gaps == 0, 1.0, np.abs(gaps)))
    lower = np.minimum.outer(np.arange(levels), np.arange(levels))
    return float((squares * kubo * boltzmann[lower]).sum())


@dataclass(frozen=True)
class Run:
    """Ring-polymer molecular dynamics of the oscillators.

    Parameters
    ----------
    wavenumber : float
        In cm⁻¹.
    beads : int
    timestep : float
        In fs.
    """

    wavenumber: float
    beads: int
    timestep: float
    steps: int = 120
    lags: int = 60

    @property
    def times(self) -> np.ndarray:
        """Of the lags, in atomic units."""
        return np.arange(self.lags + 1) * float(unit_to_internal("time", "femtosecond", self.timestep))

    @property
    def unit(self) -> float:
        """kT/mω² in Å²."""
        return THERMAL_ENERGY / (MASS * frequency(self.wavenumber) ** 2) / BOHR_PER_ANGSTROM**2


RUNS = (Run(500.0, 8, 1.0), Run(1600.0, 12, 0.3))
INPUT = """
<simulation verbosity='low'>
  <output prefix='out'>
    <trajectory filename='extras' flush='1000' extra_type='molecular_dipole,molecular_polarizability'>
      extras
    </trajectory>
    <trajectory filename='total' flush='1000' extra_type='dipole,polarizability'> extras </trajectory>
  </output>
  <total_steps>{run.steps}</total_steps>
  <prng><seed>5</seed></prng>
  <ffsocket mode='unix' name='oscillators' pbc='false'>
    <address>{address}</address> <batch_size>{run.beads}</batch_size>
  </ffsocket>
  <system>
    <initialize nbeads='{run.beads}'>
      <file mode='xyz' units='angstrom'>beads.xyz</file>
      <velocities mode='thermal' units='kelvin'>{temperature}</velocities>
    </initialize>
    <forces><force forcefield='oscillators'/></forces>
    <ensemble><temperature units='kelvin'>{temperature}</temperature></ensemble>
    <motion mode='dynamics'>
      <fixcom>False</fixcom>
      <dynamics mode='nve'><timestep units='femtosecond'>{run.timestep}</timestep></dynamics>
    </motion>
  </system>
</simulation>
"""


def thermal_displacements(run: Run) -> np.ndarray:
    """Draw ring polymers from their exact distribution, so that nothing need be equilibrated.

    Returns
    -------
    ndarray of float64, shape (beads, atoms, 3)
        In Å.
    """
    neighbours = np.eye(run.beads)
    springs = 2 * neighbours - np.roll(neighbours, 1, axis=0) - np.roll(neighbours, -1, axis=0)
    squares, modes = np.linalg.eigh(springs)
    ring = squares * (run.beads * THERMAL_ENERGY) ** 2
    total = frequency(run.wavenumber) ** 2 + ring
    widths = np.sqrt(run.beads * run.unit * frequency(run.wavenumber) ** 2 / total)
    normal = np.random.default_rng(11).normal(size=(run.beads, SITES.size)) * widths[:, None]
    return (modes @ normal).reshape(run.beads, *SITES.shape)


def write_beads(path: Path, positions: np.ndarray) -> None:
    with open(path, "w") as file:
        for frame in positions:
            file.write(f"{len(frame)}\n# CELL(abcABC): {LENGTH} {LENGTH} {LENGTH} 90 90 90 cell{{angstrom}}\n")
            file.writelines("H {:.12f} {:.12f} {:.12f}\n".format(*atom) for atom in frame)


@pytest.fixture(scope="module", params=RUNS, ids=lambda run: f"{run.wavenumber:.0f} cm⁻¹")
def recorded(request, tmp_path_factory) -> tuple[Run, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The run, the extras of its molecules, and those of the whole, in Å and Å²."""
    run, folder = request.param, tmp_path_factory.mktemp("run")
    write_beads(folder / "beads.xyz", SITES + thermal_displacements(run))
    address = f"beadwise-test-{uuid.uuid4().hex[:12]}"
    (folder / "input.xml").write_text(INPUT.format(run=run, address=address, temperature=TEMPERATURE).strip())
    model = f"oscillators:at_{run.wavenumber:.0f}"
    finished = subprocess.run(
        [sys.executable, "-m", "beadwise.driver", "run", "input.xml", "--model", model],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(HELPERS)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stderr
    return run, *(BeadSeries(sorted(folder.glob(f"out.{name}_*"))).read() for name in ("extras", "total"))


def correlated(series: np.ndarray, lags: int) -> Estimate:
    """Correlate every column, (samples, columns), with itself; each is a trajectory of one oscillator."""
    return estimate([Correlation(lags).compute(column) for column in series.T])


def columns_of(samples: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """q and q² of all oscillators, means over the beads, (samples, oscillators)."""
    positions = samples["molecular_dipole"]
    squares = np.diagonal(samples["molecular_polarizability"], axis1=2, axis2=3)
    return positions.reshape(len(positions), -1), squares.reshape(len(squares), -1)


def assert_agrees(found: Estimate, expected: np.ndarray, unit: float) -> None:
    """Every lag within four standard errors, and all together as near as chance lets them be."""
    deviations = found.values / unit - expected
    assert found.unit == "trajectories"
    assert np.abs(deviations / (found.standard_error / unit)).max() < 4
    assert probability(found.without_each / unit, deviations) > 1e-3


def probability(without_each: np.ndarray, deviations: np.ndarray) -> float:
    """Probability of deviations that are as large, with the covariance of the lags from the jackknife.

    An oscillator keeps its amplitude, so that the lags are far from independent: only directions in which they vary
    count, and few lags hold all of them.
    """
    some = slice(0, None, (len(deviations) - 1) // 4)
    apart = without_each[:, some] - without_each[:, some].mean(axis=0)
    variances, directions = np.linalg.eigh((1 - 1 / len(apart)) * apart.T @ apart)
    counts = variances > 1e-3 * variances[-1]
    along = (deviations[some] @ directions)[counts]
    return float(chi2.sf((along**2 / variances[counts]).sum(), counts.sum()))


def frequency_of_steps(run: Run) -> float:
    """ω of the centroid in finite steps: where the cosine vanishes, all oscillators agree so well that it shows.

    The centroid moves by velocity Verlet, whose frequency Ω obeys cos ΩΔt = 1 − (ωΔt)²/2.
    """
    step = run.times[1]
    return np.arccos(1 - (frequency(run.wavenumber) * step) ** 2 / 2) / step


def test_position_is_correlated_as_in_quantum_mechanics(recorded):
    run, samples, _ = recorded
    found = correlated(columns_of(samples)[0], run.lags)
    expected = np.cos(frequency_of_steps(run) * run.times)
    assert np.abs(expected - np.cos(frequency(run.wavenumber) * run.times)).max() < 0.005
    assert_agrees(found, expected, run.unit)
    assert found.standard_error[0] < 0.12 * run.unit


def test_squares_are_correlated_as_in_ring_polymer_dynamics(recorded):
    run, samples, _ = recorded
    found = correlated(columns_of(samples)[1], run.lags)
    assert_agrees(found, squares_correlation(run.wavenumber, run.beads, run.times), run.unit**2)


def test_mean_over_beads_is_not_the_square_of_the_centroid(recorded):
    """At t = 0 the one is ⟨q²; q²⟩ of the quantum oscillator but for the finite number of beads, the other 3."""
    run, samples, _ = recorded
    centroids, squares = columns_of(samples)
    ours, centroid = (correlated(series, run.lags) for series in (squares, centroids**2))
    expected = squares_correlation(run.wavenumber, run.beads, np.zeros(1))[0]
    for found, value in ((ours, expected), (centroid, CENTROID_SQUARES)):
        assert abs(found.values[0] / run.unit**2 - value) < 4 * found.standard_error[0] / run.unit**2
    difference, error = jackknife(lambda ours, centroid: (ours - centroid)[..., :1], ours, centroid)
    assert difference[0] > 5 * error[0]
    assert abs(difference[0] / run.unit**2 - (expected - CENTROID_SQUARES)) < 4 * error[0] / run.unit**2


def test_extras_of_the_whole_are_the_sums_over_molecules(recorded):
    run, samples, total = recorded
    assert len(total["dipole"]) == run.steps + 1
    np.testing.assert_allclose(total["dipole"], samples["molecular_dipole"].sum(axis=1), atol=1e-7)
    np.testing.assert_allclose(total["polarizability"], samples["molecular_polarizability"].sum(axis=1), atol=1e-7)
