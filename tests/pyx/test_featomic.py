"""The compiled kernel against featomic, an independent implementation of the same density and power spectrum.

The two coincide for delta-like neighbours, no density of the centre itself, and the same radial functions.  featomic
reads those of a tabulated basis and multiplies them by its cutoff function; our table holds the product.  What limits
the agreement is then only the cubic interpolation of both tables and rounding: 1e-12 in values, 1e-10 in derivatives.
"""

import numpy as np
import pytest
from ase import Atoms
from beadwise.pyx.coupling import coupling, pairs
from beadwise.pyx.kernel import Kernel
from test_kernel import structure

featomic = pytest.importorskip(
    "featomic",
    reason="featomic, the independent opinion, is not installed; `pip install featomic` runs this comparison",
)
from featomic import SoapPowerSpectrum, SphericalExpansion  # noqa: E402
from featomic.basis import Gto, TensorProduct  # noqa: E402
from featomic.cutoff import Cutoff, ShiftedCosine  # noqa: E402
from featomic.density import DiracDelta  # noqa: E402
from featomic.splines import Spline, SplinedRadialBasis  # noqa: E402

CUTOFF, WIDTH, L_MAX, RADIAL, INTERVALS = 3.1, 1.24, 4, 8, 4000  # the cutoff function sets in on a node
NUMBERS = (1, 8)
TOLERANCE, SLOPE_TOLERANCE = 1e-11, 1e-9
CELLS = ("cubic", "skewed", "small", "slab", "molecule")
CHANNELS = len(NUMBERS) * RADIAL


@pytest.fixture(scope="module")
def gaussian_orbitals():
    """Values and derivatives of featomic's orthonormal Gaussian orbitals on the grid, (nodes, radial) each."""
    basis = Gto(max_radial=RADIAL - 1, radius=CUTOFF)
    distance = np.linspace(0, CUTOFF, INTERVALS + 1)
    nearly = np.maximum(distance, 1e-9)  # its derivative divides by the distance
    matrix = basis._get_orthonormalization_matrix()
    values, slopes = (
        np.stack([basis.compute_primitive(nearly, n, derivative=order) for n in range(RADIAL)], axis=1) @ matrix.T
        for order in (False, True)
    )
    return distance, values, slopes


@pytest.fixture(scope="module")
def parameters(gaussian_orbitals):
    """What featomic's calculators are given."""
    distance, values, slopes = gaussian_orbitals
    spline = Spline(0, CUTOFF)
    spline.add_points(distance, values, slopes)
    radial = SplinedRadialBasis(spline=spline, max_radial=RADIAL - 1, radius=CUTOFF)
    return {
        "cutoff": Cutoff(radius=CUTOFF, smoothing=ShiftedCosine(width=WIDTH)),
        "density": DiracDelta(center_atom_weight=0.0),
        "basis": TensorProduct(max_angular=L_MAX, radial=radial),
    }


@pytest.fixture(scope="module")
def table(gaussian_orbitals):
    """The same functions times the cutoff function, as the kernel takes them."""
    distance, values, slopes = gaussian_orbitals
    smoothing = ShiftedCosine(width=WIDTH)
    fade, fade_slope = (smoothing.compute(CUTOFF, distance, derivative=order)[:, None] for order in (False, True))
    own = np.stack([values * fade, (slopes * fade + values * fade_slope) * CUTOFF / INTERVALS], axis=1)
    own[-1] = 0.0
    return np.ascontiguousarray(np.broadcast_to(own, (2, 2, *own.shape)))


def evaluate(table, head, name):
    """Values, gradient, strain derivative and density with one scalar head; and the structure as featomic reads it."""
    species, positions, cell, periodic = structure(name)
    atoms = len(species)
    no_pairs = np.zeros((2, 2, INTERVALS + 1, 2)), np.zeros((2, 2))
    kernel = Kernel(table, *no_pairs, L_MAX, CUTOFF, 0.3, np.arange(len(table), dtype=np.int32), [head])
    values, density = np.zeros((1, atoms, 1)), np.zeros((1, atoms, (L_MAX + 1) ** 2, CHANNELS))
    gradients, strains = np.zeros((1, 1, atoms, 3)), np.zeros((1, 1, 3, 3))
    kernel.evaluate(
        species, positions[None].copy(), cell[None].copy(), periodic, [True], np.ones((1, 1, 1)),
        values, gradients, strains, 0.0, 1, density,
    )  # fmt: skip
    frame = as_featomic_reads(np.take(NUMBERS, species), positions, cell, periodic)
    return values[0, :, 0], gradients[0, 0], strains[0, 0], density[0], frame


def as_featomic_reads(numbers, positions, cell, periodic):
    """The structure; featomic knows no mixed periodicity, so a slab is repeated out of reach."""
    if any(periodic) and not all(periodic):
        cell = np.where(np.array(periodic)[:, None], cell, 50.0 * np.eye(3))
    return Atoms(numbers, positions=positions, cell=cell, pbc=any(periodic))


def spherical_expansion(parameters, frame):
    """featomic's coefficients in our order, (atoms, lm, channel)."""
    expansion = SphericalExpansion(**parameters).compute(frame)
    total = np.zeros((len(frame), (L_MAX + 1) ** 2, CHANNELS))
    for key, block in expansion.items():
        l, kind = int(key["o3_lambda"]), NUMBERS.index(int(key["neighbor_type"]))  # noqa: E741
        rows = np.asarray(block.samples["atom"])
        total[rows, l * l : (l + 1) ** 2, kind * RADIAL : (kind + 1) * RADIAL] = block.values
    return total


def power_spectrum(parameters, frame):
    """featomic's power spectrum of all atoms with its derivatives, one column per pair of channels and l."""
    spectrum = SoapPowerSpectrum(**parameters).compute(frame, gradients=["positions", "strain"])
    spectrum = spectrum.keys_to_samples("center_type")
    return spectrum.keys_to_properties(["neighbor_1_type", "neighbor_2_type"]).block()


def scalar_head():
    """A head that only reads the power spectrum, with the same random weights for both species of the centre."""
    weights = np.random.default_rng(5).normal(size=(L_MAX + 1, CHANNELS, CHANNELS))
    weights = weights + np.swapaxes(weights, 1, 2)
    blocks = [
        (l1, l2, True, coupling(l1, l2, 0), np.stack([own] * len(NUMBERS)))
        for (l1, l2), own in zip(pairs(0, L_MAX), weights, strict=True)
    ]
    return (0, np.zeros(len(NUMBERS)), np.zeros((len(NUMBERS), CHANNELS)), blocks), weights


def column_weights(weights, properties):
    """The head's weights for featomic's columns.

    A column is ``(-1)^l / sqrt(2 l + 1) Σ_m c_lm c_lm``; a pair of unlike neighbour species is stored once, times √2.
    The head's coupling to λ = 0 is ``δ / sqrt(2 l + 1)``.
    """
    columns = []
    for first, second, l, n1, n2 in properties.values.tolist():  # noqa: E741
        a, b = NUMBERS.index(first), NUMBERS.index(second)
        factor = (-1) ** l * (1.0 if a == b else np.sqrt(2.0))
        columns.append(factor * weights[l, a * RADIAL + n1, b * RADIAL + n2])
    return np.array(columns)


def assert_close(ours, theirs, tolerance=TOLERANCE):
    scale = np.abs(theirs).max()
    assert scale > 0.1
    np.testing.assert_allclose(ours, theirs, atol=tolerance * scale, rtol=0)


@pytest.mark.parametrize("name", CELLS)
def test_density_agrees_with_the_spherical_expansion(name, table, parameters):
    *_, density, frame = evaluate(table, scalar_head()[0], name)
    assert_close(density, spherical_expansion(parameters, frame))


@pytest.mark.parametrize("name", CELLS)
def test_scalar_head_and_its_derivatives_agree_with_the_power_spectrum(name, table, parameters):
    head, weights = scalar_head()
    values, gradient, strain, _, frame = evaluate(table, head, name)
    block = power_spectrum(parameters, frame)
    columns = column_weights(weights, block.properties)
    expected = np.zeros(len(frame))
    expected[block.samples["atom"]] = block.values @ columns
    assert_close(values, expected)

    by_positions = block.gradient("positions")
    expected = np.zeros((len(frame), 3))
    np.add.at(expected, by_positions.samples["atom"], by_positions.values @ columns)
    assert_close(gradient, expected, SLOPE_TOLERANCE)

    if frame.pbc.all():
        assert_close(strain, (block.gradient("strain").values @ columns).sum(axis=0), SLOPE_TOLERANCE)
