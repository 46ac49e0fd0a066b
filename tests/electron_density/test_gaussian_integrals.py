"""Integrals of two functions, moments and the density itself: against quadratures, and against PySCF's water."""

import numpy as np
import pytest
from ase.units import Bohr
from beadwise.errors import BeadwiseError
from beadwise.model.electron_density.basis import AuxiliaryBasis, Functions, Shell
from beadwise.model.electron_density.grids import Quadrature, density_on
from beadwise.model.electron_density.integrals import boys, metric_matrix, radial_integral
from beadwise.model.electron_density.model import dipoles, solved, with_electrons
from beadwise.pyx.coupling import real_harmonics
from density_models import LABELS, WATER, isolated, small_basis, whole_basis
from scipy.integrate import quad
from scipy.special import spherical_jn

POSITIONS = np.array(LABELS["positions"])
APART = np.array([[0.0, 0.0, 0.0], [0.9, 0.4, -0.7]])  # bohr


def two_shells(l1, l2):
    """Hydrogen and oxygen with one contracted shell of any l each, and an s shell."""
    return AuxiliaryBasis(
        {
            1: (Shell(0, (1.0,), (1.0,)), Shell(l1, (0.7, 1.9), (0.6, 0.5))),
            8: (Shell(0, (1.2,), (1.0,)), Shell(l2, (1.1,), (1.0,))),
        },
        {1: 1.0, 8: 8.0},
    )


@pytest.mark.parametrize("order", [0, 1, 4, 8])
def test_boys_function(order):
    """Against its definition, where t is small, and where it is large."""
    for t in (0.0, 1e-16, 1e-9, 0.3, 4.0, 40.0):
        exact = quad(lambda u, t=t: u ** (2 * order) * np.exp(-t * u * u), 0, 1, epsabs=1e-15)[0]
        assert boys(order, np.array([t]))[0] == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize(("order", "steps"), [(0, 0), (1, 0), (2, 1), (0, 3), (4, 2)])
def test_radial_integrals(order, steps):
    width, distance = 0.4, 1.7

    def exact(power):
        def integrand(k):
            return k**power * np.exp(-width * k * k) * spherical_jn(order, k * distance)

        return quad(integrand, 0, 30, epsabs=1e-14, limit=200)[0] / distance**order

    own = [
        radial_integral(name, order, steps, np.array(width), np.array(distance**2)) for name in ("overlap", "coulomb")
    ]
    assert own[0] == pytest.approx(exact(2 + order + 2 * steps), rel=1e-10)
    assert own[1] == pytest.approx(4 * np.pi * exact(order + 2 * steps), rel=1e-10)


@pytest.mark.parametrize("momenta", [(0, 1), (1, 2), (2, 2), (3, 4), (4, 4), (1, 3)])
def test_overlaps_by_quadrature(momenta):
    """The twin integrates the functions on points, whose values know nothing of the transforms."""
    basis, numbers = two_shells(*momenta), np.array([1, 8])
    points, weights = Quadrature(70, 20).of(numbers, APART)
    functions = Functions(basis, numbers)
    values = density_on(basis, numbers, APART, np.eye(functions.count), points)
    slow = (values * weights) @ values.T
    fast = metric_matrix(basis, numbers, APART[None], "overlap")[0]
    np.testing.assert_allclose(fast, slow, atol=2e-8)  # what these points have of l = 8
    np.testing.assert_allclose(np.diag(fast), 1.0, atol=1e-13)
    np.testing.assert_allclose(functions.charges, values @ weights, atol=1e-8)
    moments = np.einsum("fp,px,p->fx", values, points, weights)
    np.testing.assert_allclose(functions.dipoles(APART[None])[0], moments, atol=1e-8)


@pytest.mark.parametrize("momenta", [(0, 0), (1, 2), (2, 4)])
def test_coulomb_by_fourier_quadrature(momenta):
    """∫ d³k 4π/k² times the transforms of both, on a product grid of k, against the closed form."""
    basis, numbers = two_shells(*momenta), np.array([1, 8])
    k, of_k = np.polynomial.legendre.leggauss(80)
    k, of_k = 5 * (k + 1), 5 * of_k
    heights, of_heights = np.polynomial.legendre.leggauss(28)
    turns = np.arange(32) * np.pi / 16
    height, turn = (own.ravel() for own in np.meshgrid(heights, turns, indexing="ij"))
    flat = np.sqrt(1 - height**2)
    sphere, of_sphere = (
        np.stack([flat * np.cos(turn), flat * np.sin(turn), height], axis=1),
        np.repeat(of_heights, 32) * np.pi / 16,
    )
    points = (k[:, None, None] * sphere).reshape(-1, 3)
    weights = (4 * np.pi * of_k[:, None] * of_sphere).ravel() / (2 * np.pi) ** 3
    harmonics = real_harmonics(np.tile(sphere, (len(k), 1)), 4).T
    transforms = []
    for number, position in zip((1, 8), APART, strict=True):
        phase = np.exp(-1j * points @ position)
        for shell in basis.shells[number]:
            radial = shell.transform @ np.exp(-np.outer(1 / (4 * np.array(shell.exponents)), (points**2).sum(axis=1)))
            radial = (-1j) ** shell.momentum * radial * np.linalg.norm(points, axis=1) ** shell.momentum
            rows = slice(shell.momentum**2, (shell.momentum + 1) ** 2)
            transforms.append(harmonics[rows] * radial * phase)
    whole = np.concatenate(transforms)
    slow = ((whole.conj() * weights) @ whole.T).real
    fast = metric_matrix(basis, numbers, APART[None], "coulomb")[0]
    np.testing.assert_allclose(fast, slow, atol=2e-8 * np.abs(slow).max())


def test_atoms_far_apart_repel_as_charges():
    basis, numbers = small_basis(), np.array([1, 8])
    far = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 60.0]])
    functions, metric = Functions(basis, numbers), metric_matrix(basis, numbers, far[None], "coulomb")[0]
    s_ours, s_theirs = functions.places(1, 0)[0, 0, 0], functions.places(8, 0)[0, 1, 0]
    assert metric[s_ours, s_theirs] == pytest.approx(
        functions.charges[s_ours] * functions.charges[s_theirs] / 60, rel=1e-12
    )


def test_water_of_quantum_chemistry():
    """Numbers of PBE/def2-SVP water in def2-universal-jfit, whose projections PySCF made; all to the digits given."""
    basis, batch = whole_basis(), isolated(WATER, POSITIONS)
    functions = Functions(basis, WATER)
    order = functions.labels_order()
    metrics = {name: metric_matrix(basis, WATER, POSITIONS[None] / Bohr, name) for name in ("coulomb", "overlap")}
    labels = {name: np.array(LABELS[f"{name}_projections"])[order][None] for name in metrics}
    fits = {name: solved(metrics[name], labels[name]) for name in metrics}
    assert (functions.charges @ fits["coulomb"][0], functions.charges @ fits["overlap"][0]) == pytest.approx(
        (10.0035, 10.030), abs=5e-4
    )

    def energy(coefficients):
        return 0.5 * coefficients[0] @ metrics["coulomb"][0] @ coefficients[0]

    exact = LABELS["hartree_energy"]
    assert energy(fits["coulomb"]) - exact == pytest.approx(-9.3e-5, abs=1e-6)
    assert energy(fits["overlap"]) - exact == pytest.approx(0.061, abs=5e-4)
    constrained, _ = with_electrons(fits["coulomb"], metrics["coulomb"], functions.charges, 10.0)
    assert functions.charges @ constrained[0] == pytest.approx(10, abs=1e-12)
    assert energy(constrained) - exact == pytest.approx(-8.2e-3, abs=1e-4)
    robust = labels["coulomb"][0] @ constrained[0] - energy(constrained)
    assert robust - exact == pytest.approx(-9.4e-5, abs=1e-6)
    moments = [dipoles(functions, batch, own)[0] / Bohr for own in (fits["coulomb"], constrained)]
    np.testing.assert_allclose(moments[0], [0.4593, 0.5934, 0], atol=6e-5)  # as PySCF's functions have on its grid
    np.testing.assert_allclose(moments[1], [0.4614, 0.5962, 0], atol=6e-5)
    np.testing.assert_allclose(LABELS["dipole"], [0.4661, 0.6022, 0], atol=6e-5)
    own = fits["coulomb"][0]
    square = LABELS["square_of_density"] - 2 * labels["overlap"][0] @ own + own @ metrics["overlap"][0] @ own
    assert square == pytest.approx(1.117526e-3, abs=2e-7)  # by the same formula there, 1.117371e-3 on a grid
    conditions = [np.linalg.cond(metrics[name][0]) for name in metrics]
    assert conditions == pytest.approx([1.1e5, 2.7e3], rel=0.05)


def test_points_hold_the_electrons():
    """The quadrature of space finds charge and ∫ρ² of a real density as the closed integrals do."""
    basis = whole_basis()
    functions = Functions(basis, WATER)
    metric = metric_matrix(basis, WATER, POSITIONS[None] / Bohr, "overlap")
    projections = np.array(LABELS["overlap_projections"])[functions.labels_order()][None]
    own = solved(metric, projections)[0]
    points, weights = Quadrature().of(WATER, POSITIONS / Bohr)
    values = density_on(basis, WATER, POSITIONS / Bohr, own, points)
    assert values @ weights == pytest.approx(functions.charges @ own, rel=2e-6)
    assert values**2 @ weights == pytest.approx(own @ metric[0] @ own, rel=2e-5)


def test_functions_that_are_one():
    """Two atoms at one place, and two equal shells."""
    basis = small_basis()
    numbers, functions = np.array([1, 1]), Functions(small_basis(), np.array([1, 1]))
    metric = metric_matrix(basis, numbers, np.zeros((1, 2, 3)), "overlap")
    with pytest.raises(BeadwiseError, match="atoms must be apart"):
        solved(metric, functions.charges[None])
