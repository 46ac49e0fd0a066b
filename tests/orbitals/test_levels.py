"""Levels of matrices that are known in closed form, and what electrons make of them."""

import numpy as np
import pytest
from beadwise.errors import BeadwiseError
from beadwise.model.orbitals.levels import BOLTZMANN, Levels


def ring(bonds=(1.0,) * 6, sites=(0.0,) * 6):
    """The six-site ring with β = −1."""
    matrix = np.diag(np.array(sites, dtype=float))
    for site, bond in enumerate(bonds):
        matrix[site, (site + 1) % 6] = matrix[(site + 1) % 6, site] = -bond
    return matrix[None]


def levels_of(matrix, electrons=6.0):
    return Levels.of(matrix, None, electrons)


def test_the_ring():
    """α ± 2β and α ± β twice; six electrons have 6α + 8β (E. Hückel 1931)."""
    own = levels_of(ring())
    np.testing.assert_allclose(own.energies[0], [-2, -1, -1, 1, 1, 2], atol=1e-14)
    assert own.free_energy(0.0)[0] == pytest.approx(-8.0, abs=1e-13)
    assert own.gap[0] == pytest.approx(2.0, abs=1e-13)


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        (ring(bonds=[1 + 0.1 * (-1) ** k for k in range(6)]), [-2, -1.014889, -1.014889, 1.014889, 1.014889, 2]),
        (
            ring(bonds=[1 + 0.1 * np.cos(np.pi / 3 * (2 * k + 1)) for k in range(6)]),
            [-2.001612, -1.101612, -0.9, 0.9, 1.101612, 2.001612],
        ),
        (
            ring(sites=[0.1 * (-1) ** k for k in range(6)]),
            [-2.002498, -1.004988, -1.004988, 1.004988, 1.004988, 2.002498],
        ),
    ],
    ids=["alternating bonds", "quinoid bonds", "alternating sites"],
)
def test_distorted_rings(matrix, expected):
    np.testing.assert_allclose(levels_of(matrix).energies[0], expected, atol=6e-7)


def test_one_other_site():
    """To first order one of each pair stays, and one moves by h/3; there -1 stays, and −1 + 0.0331."""
    energies = levels_of(ring(sites=[0.1, 0, 0, 0, 0, 0])).energies[0]
    np.testing.assert_allclose(energies[1:3], [-1.0, -0.966880], atol=6e-7)


def random_pair(seed=0, size=7):
    generator = np.random.default_rng(seed)
    matrix, metric = generator.normal(size=(2, size, size))
    return (matrix + matrix.T)[None], (np.eye(size) + 0.05 * (metric @ metric.T))[None]


@pytest.mark.parametrize("temperature", [0.0, 6000.0])
@pytest.mark.parametrize("has_overlap", [False, True])
def test_free_energy_is_differentiated_without_orbitals(temperature, has_overlap):
    """dA = Tr P dH − Tr W dS; Tr P S = N."""
    matrix, metric = random_pair()
    change, of_metric = (own[0] for own in random_pair(1))
    of_metric = of_metric - np.eye(7)
    overlap = metric if has_overlap else None
    own = Levels.of(matrix, overlap, 6.0)
    density, weighted = own.densities(temperature)
    expected = np.sum(density[0] * change) - (np.sum(weighted[0] * of_metric) if has_overlap else 0.0)
    energies = [
        Levels.of(matrix + step * change, metric + step * of_metric if has_overlap else None, 6.0).free_energy(
            temperature
        )[0]
        for step in (-1e-5, 1e-5)
    ]
    assert (energies[1] - energies[0]) / 2e-5 == pytest.approx(expected, abs=1e-7)
    trace = np.sum(density[0] * (metric[0] if has_overlap else np.eye(7)))
    assert trace == pytest.approx(6.0, abs=1e-10)


def test_free_energy_at_a_degenerate_level():
    """The ring with four electrons, half a pair filled: P does not choose among orbitals of one level."""
    own = levels_of(ring(), 4.0)
    change = np.random.default_rng(4).normal(size=(6, 6))
    change = change + change.T
    slope = np.sum(own.densities(3000.0)[0][0] * change)
    energies = [levels_of(ring() + step * change, 4.0).free_energy(3000.0)[0] for step in (-1e-5, 1e-5)]
    assert (energies[1] - energies[0]) / 2e-5 == pytest.approx(slope, abs=1e-7)


def test_entropy_is_the_slope():
    own = Levels.of(*random_pair(), 6.0)
    slope = (own.free_energy(5001.0) - own.free_energy(4999.0)) / 2
    np.testing.assert_allclose(-own.entropy(5000.0), slope, rtol=1e-7)


def test_two_levels():
    """Two electrons in two levels: μ stands in the middle, A = −2kT ln(2 cosh(Δ/4kT)) · … in closed form."""
    own = levels_of(np.diag([-0.5, 0.5])[None], 2.0)
    thermal = BOLTZMANN * 4000.0
    level, filled = own.occupations(4000.0)
    assert level[0] == pytest.approx(0.0, abs=1e-12)
    assert filled[0, 0] == pytest.approx(1 / (1 + np.exp(-0.5 / thermal)), abs=1e-13)
    closed = -2 * thermal * (np.log1p(np.exp(0.5 / thermal)) + np.log1p(np.exp(-0.5 / thermal)))
    assert own.free_energy(4000.0)[0] == pytest.approx(closed, abs=1e-12)


@pytest.mark.parametrize("temperature", [0.0, 1.0, 300.0, 5000.0])
def test_levels_far_apart(temperature):
    """μ stands in the middle of the gap at any temperature, by symmetry."""
    level, filled = levels_of(np.diag([0.0, 10.0])[None], 2.0).occupations(temperature)
    assert level[0] == pytest.approx(5.0, abs=0.4)
    np.testing.assert_allclose(filled[0], [1, 0], atol=1e-4)


def test_levels_of_one_energy_share_electrons():
    own = levels_of(np.diag([0.0, 0.0, 10.0])[None], 2.0)
    for temperature in (0.0, 1.0):
        np.testing.assert_allclose(own.occupations(temperature)[1][0], [0.5, 0.5, 0.0], atol=1e-12)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: levels_of(ring(), 13.0), "13 electrons in 6 orbitals; allowed are 0 to 12"),
        (lambda: levels_of(ring(), 5.0).gap, "5 electrons in 6 levels have no gap"),
        (lambda: levels_of(ring(), 12.0).gap, "12 electrons in 6 levels have no gap"),
        (lambda: Levels.of(ring(), ring(), 6.0), "the overlap has the eigenvalue -2"),
        (lambda: levels_of(ring()).occupations(-1.0), "an electronic temperature of -1 K"),
    ],
)
def test_refusals(ask, words):
    with pytest.raises(BeadwiseError, match=words):
        ask()
