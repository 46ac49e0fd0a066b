"""Potentials 1/r^p around atoms: far fields, the interior multipole expansion, twins by quadrature, waves and pairs."""

from __future__ import annotations

import numpy as np
import pytest
from beadwise.potentials.lode import direct
from beadwise.potentials.lode.features import LongRange
from beadwise.potentials.lode.power_law import (
    bessel_integral,
    interior_moment,
    potential,
    projections,
    radial_function,
    slope,
    transform,
)
from beadwise.potentials.lode.settings import EXPONENTS, Expansion, LongRangeShape
from beadwise.potentials.lode.solid_harmonics import solid_harmonics
from beadwise.potentials.lode.waves import Waves, half_waves, wave_columns
from beadwise.pyx.coupling import coupling, real_harmonics
from scipy.integrate import quad
from scipy.special import spherical_jn

SKEWED = np.array([[6.0, 0, 0], [0.5, 5.5, 0], [-0.3, 0.7, 6.2]])
SPECIES = np.array([0, 1, 1, 0, 1])
PLACES = np.random.default_rng(1).uniform(0, 5, (5, 3))
SHAPE = LongRangeShape(Expansion((1, 3, 6), 1.2, 2.0, 1, 2), species=2, cutoff=3.5, radial=2)
boundaries = pytest.mark.parametrize("periodic", [True, False], ids=["periodic", "isolated"])


def features_of(positions, periodic=True, cell=SKEWED, species=SPECIES, shape=SHAPE):
    return LongRange(shape, positions, species, cell, [periodic] * 3)


@pytest.mark.parametrize("p", EXPONENTS)
def test_far_potentials_fall_with_p_plus_l(p):
    """A source at R gives R^−(p+l) in the channel l: the exponents to 3 digits, and 2^−(p+l) from R to 2R."""
    values, _ = projections(np.array([200.0, 400.0]), p, 1.0, 3.0, 2, 3)
    ratio = values[1] / values[0]
    exponents = -np.log2(ratio)
    np.testing.assert_allclose(exponents, np.broadcast_to(p + np.arange(4), exponents.shape), atol=5e-4)
    # near-field independence, from 20 to 40 Å: what is left is of the order (radius/R)² and exact for p = 1
    near, far = projections(np.array([20.0, 40.0]), p, 1.0, 1.0, 1, 3)[0]
    np.testing.assert_allclose(far / near, 2.0 ** -(p + np.arange(4.0))[None], rtol=1e-8 if p == 1 else 5e-3)


def test_interior_multipoles_of_charges():
    """p = 1: 4π/(2l+1) R^−(l+1) ∫ r^(l+2) R_nl(r) dr."""
    found, _ = projections(np.array([20.0]), 1, 1.0, 3.0, 2, 3)
    for n, l in np.ndindex(2, 4):  # noqa: E741
        moment = quad(lambda r, n=n, order=l: r ** (order + 2) * radial_function(np.array(r), n, order, 3.0), 0, 3)[0]
        assert interior_moment(n, l, 3.0) == pytest.approx(moment, rel=1e-10)
        assert found[0, n, l] == pytest.approx(4 * np.pi / (2 * l + 1) * 20.0 ** -(l + 1) * moment, rel=5e-11)


@pytest.mark.parametrize("p", EXPONENTS)
def test_the_transform_is_that_of_the_potential(p):
    """V(r) = (2π²)⁻¹ ∫ k² v(k) sin(kr)/(kr) dk; far away it is 1/r^p; the slope is its derivative."""
    for distance in (0.5, 3.0):

        def integrand(k, distance=distance):
            return k * k * transform(np.array(k), p, 1.3) * np.sin(k * distance) / (k * distance)

        back = quad(integrand, 1e-12, 12, limit=400)[0] / (2 * np.pi**2)
        assert potential(np.array(distance), p, 1.3) == pytest.approx(back, abs=1e-10)
    for distance in (1e-5, 0.02, 0.5, 3.0):
        ends = potential(np.array([distance - 1e-6, distance + 1e-6]), p, 1.3)
        assert slope(np.array(distance), p, 1.3) * distance == pytest.approx(np.diff(ends)[0] / 2e-6, abs=1e-8)
    assert potential(np.array(15.0), p, 1.3) == pytest.approx(15.0**-p, rel=1e-10)


def test_integrals_of_bessel_functions():
    for n, l, k in [(0, 0, 0.003), (1, 1, 0.5), (0, 2, 4.0)]:  # noqa: E741

        def integrand(r, n=n, order=l, k=k):
            return r * r * radial_function(np.array(r), n, order, 3.0) * spherical_jn(order, k * r)

        assert bessel_integral(np.array(k), n, l, 3.0) * k**l == pytest.approx(quad(integrand, 0, 3)[0], rel=1e-8)


def test_solid_harmonics():
    vectors = np.random.default_rng(0).normal(size=(6, 3))
    lengths = np.linalg.norm(vectors, axis=1)[:, None]
    values, gradients = solid_harmonics(vectors, 4)
    powers = np.repeat(np.arange(5), 2 * np.arange(5) + 1)
    np.testing.assert_allclose(values, real_harmonics(vectors / lengths, 4) * lengths**powers, atol=1e-12)
    for axis in range(3):
        step = 1e-5 * np.eye(3)[axis]
        difference = (solid_harmonics(vectors + step, 4)[0] - solid_harmonics(vectors - step, 4)[0]) / 2e-5
        np.testing.assert_allclose(gradients[..., axis], difference, atol=1e-8)


def test_columns_of_waves_and_their_gradients():
    expansion = Expansion((1, 3, 6), 1.2, 2.0, 2, 3)
    waves = half_waves(SKEWED, 3.0)[1:]
    assert len(half_waves(SKEWED, 3.0)) * 2 - 1 == count_of_waves(3.0)
    _, gradients = wave_columns(waves, expansion)
    for axis in range(3):
        step = 1e-5 * np.eye(3)[axis]
        ends = [wave_columns(waves + sign * step, expansion)[0] for sign in (1, -1)]
        np.testing.assert_allclose(gradients[..., axis], (ends[0] - ends[1]) / 2e-5, atol=1e-7)


def count_of_waves(longest):
    reciprocal = 2 * np.pi * np.linalg.inv(SKEWED).T
    grid = np.array(list(np.ndindex(13, 13, 13))) - 6
    return int((np.linalg.norm(grid @ reciprocal, axis=1) <= longest).sum())


def test_waves_against_the_sum_over_images():
    """p = 6 converges by itself: the sum over waves is that of all images of every atom, itself included."""
    expansion = Expansion((6,), 1.0, 2.0, 1, 2)
    found = Waves(expansion, SKEWED).pairs(PLACES)[0]
    expected = np.zeros_like(found)
    shifts = (np.array(list(np.ndindex(9, 9, 9))) - 4) @ SKEWED
    for i, j in np.ndindex(3, 3):
        apart = PLACES[j] - PLACES[i] + shifts
        far = np.linalg.norm(apart, axis=1)
        near = far < 22.0
        directions = apart[near] / np.maximum(far[near], 1e-12)[:, None]
        radial = projections(far[near], 6, 1.0, 2.0, 1, 2)[0][:, 0]
        expected[i, j] = (radial[:, [0, 1, 1, 1, 2, 2, 2, 2, 2]] * real_harmonics(directions, 2)).sum(axis=0)
    # beyond 22 Å: 4π/(3·22³ V) times the integral of the radial function, in l = 0 alone
    beyond = 4 * np.pi / (3 * 22.0**3 * abs(np.linalg.det(SKEWED))) * interior_moment(0, 0, 2.0) * np.sqrt(4 * np.pi)
    expected[..., 0] += beyond
    np.testing.assert_allclose(found[:3, :3], expected[:3, :3], atol=2e-7)


def test_two_routes_to_the_same():
    """Structure factors with their adjoints, and pairs of atoms with all derivatives."""
    waves = Waves(Expansion((1, 3, 6), 1.2, 2.0, 2, 2), SKEWED)
    members = np.eye(2)[SPECIES]
    found = waves.potentials(PLACES, SPECIES, 2)
    values, gradients, strains = waves.pairs(PLACES)
    np.testing.assert_allclose(np.einsum("ijc,jb->ibc", values, members), found, atol=1e-13)
    adjoints = np.random.default_rng(3).normal(size=found.shape)
    gradient, strain = waves.pull_back(PLACES, SPECIES, adjoints)
    along = np.einsum("ibc,ijcx,jb->ijx", adjoints, gradients, members)
    np.testing.assert_allclose(along.sum(axis=1) - along.sum(axis=0), gradient, atol=1e-12)
    np.testing.assert_allclose(np.einsum("ibc,ijcxy,jb->xy", adjoints, strains, members), strain, atol=1e-12)


@boundaries
def test_rows_of_a_fit_are_those_of_the_adjoint(periodic):
    own = features_of(PLACES, periodic)
    weights = np.random.default_rng(2).normal(size=(2, SHAPE.features(0)))
    value, gradient, strain = own.scalar_rows()
    adjoints = weights[SPECIES][:, :, None]
    pulled, strained = own.pull_back(0, adjoints)
    assert value @ weights.ravel() == pytest.approx((own.features(0) * adjoints).sum(), abs=1e-12)
    np.testing.assert_allclose((gradient @ weights.ravel()).reshape(-1, 3), pulled, atol=1e-12)
    np.testing.assert_allclose((strain @ weights.ravel()).reshape(3, 3), strained, atol=1e-12)
    assert not own.scalar_rows(with_strain=False)[2].any()


@boundaries
@pytest.mark.parametrize("order", [0, 1, 2])
def test_derivatives_of_features(order, periodic):
    size = SHAPE.features(order)
    adjoints = np.random.default_rng(4).normal(size=(5, size, 2 * order + 1))
    gradient, strain = features_of(PLACES, periodic).pull_back(order, adjoints)

    def total(positions, cell):
        return (adjoints * features_of(positions, periodic, cell).features(order)).sum()

    step = np.zeros((5, 3))
    step[2, 1] = 1e-4
    difference = (total(PLACES + step, SKEWED) - total(PLACES - step, SKEWED)) / 2e-4
    assert gradient[2, 1] == pytest.approx(difference, abs=1e-8)
    np.testing.assert_allclose(gradient.sum(axis=0), 0, atol=1e-12)
    for i, j in [(0, 0), (0, 1), (2, 1)]:
        ends = []
        for sign in (1, -1):
            deformed = np.eye(3)
            deformed[i, j] += sign * 1e-5
            ends.append(total(PLACES @ deformed.T, SKEWED @ deformed.T))
        assert strain[i, j] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-8)


@boundaries
def test_features_turn_as_harmonics(periodic):
    """Rotations, inversion, order of the atoms, images and origin; λ = 1 and 2 as the harmonics of a direction."""
    generator = np.random.default_rng(5)
    turn = -np.linalg.qr(generator.normal(size=(3, 3)))[0]
    order = generator.permutation(5)
    shifts = generator.integers(-2, 3, size=(5, 3)) @ SKEWED if periodic else 0.0
    moved = (PLACES + shifts + [0.3, -4.0, 1.1])[order] @ turn.T
    before = features_of(PLACES, periodic)
    after = features_of(moved, periodic, SKEWED @ turn.T, SPECIES[order])
    probes = np.linalg.qr(generator.normal(size=(3, 3)))[0]
    probes = np.concatenate([probes, (probes + np.roll(probes, 1, axis=0)) / np.sqrt(2)])
    for rank in (0, 1, 2):
        part = slice(rank**2, (rank + 1) ** 2)
        seen = before.features(rank)[order] @ real_harmonics(probes, 2)[:, part].T
        turned = after.features(rank) @ real_harmonics(probes @ turn.T, 2)[:, part].T
        np.testing.assert_allclose(turned, seen, atol=1e-10)


def test_supercells():
    single = features_of(PLACES)
    doubled = LongRange(
        SHAPE, np.concatenate([PLACES, PLACES + SKEWED[0]]), np.tile(SPECIES, 2), SKEWED * [[2], [1], [1]], [True] * 3
    )
    # waves of one cell are those of the other, so that only rounding is between them
    for order in (0, 1, 2):
        both = doubled.features(order)
        np.testing.assert_allclose(both[:5], single.features(order), atol=1e-10)
        np.testing.assert_allclose(both[5:], single.features(order), atol=1e-10)


def test_products_by_loops():
    """Products of λ = 1 beside loops over channels and (m1, m2)."""
    own = features_of(PLACES)
    near = own.density.reshape(5, SHAPE.neighbours, -1)
    far = own.potentials.reshape(5, 2, 3, 1, 9)
    found = own.features(1)[3, SHAPE.potentials :]
    expected = []
    for a, b in SHAPE.pairs(1):
        table = coupling(a, b, 1)
        for channel in range(SHAPE.neighbours):
            for exponent, species in np.ndindex(3, 2):
                sums = np.zeros(3)
                for m1, m2 in np.ndindex(2 * a + 1, 2 * b + 1):
                    sums += near[3, channel, a * a + m1] * far[3, species, exponent, 0, b * b + m2] * table[m1, m2]
                expected.append(sums)
    np.testing.assert_allclose(found, expected, atol=1e-14)


def test_the_table_of_isolated_atoms_reaches_far():
    expansion = Expansion((1, 3), 1.2, 2.0, 1, 2)
    for distance in (7.77, 60.3, 4000.7):
        found = direct.pairs(np.array([[0.0, 0, 0], [0, 0, distance]]), expansion)[0][0, 1].reshape(2, 1, 9)
        along = real_harmonics(np.array([[0.0, 0, 1]]), 2)[0]
        for place, p in enumerate(expansion.exponents):
            radial = projections(np.array([distance]), p, 1.2, 2.0, 1, 2)[0][0, 0]
            np.testing.assert_allclose(found[place, 0], radial[[0, 1, 1, 1, 2, 2, 2, 2, 2]] * along, atol=1e-11)


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"a cell of 1\.25e\+08 Å³ has .*e\+07 waves .*; allowed are 5e\+06"):
        half_waves(500.0 * np.eye(3), 3.0)
    with pytest.raises(ValueError, match=r"periodic directions are .True, True, False.; .* for all three, or none"):
        LongRange(SHAPE, PLACES, SPECIES, SKEWED, [True, True, False])
    with pytest.raises(ValueError, match=r"two atoms are 0\.1 Å apart; at least 0\.2 Å are needed"):
        direct.pairs(np.array([[0.0, 0, 0], [0.1, 0, 0]]), SHAPE.expansion)
