"""An equivariant network in the compiled kernel: its twin, finite differences, the symmetries of physics."""

from copy import copy

import numpy as np
import pytest
import twin
from beadwise.pyx.coupling import real_harmonics
from beadwise.pyx.kernel import Kernel
from equivariant_twin import network_outputs, random_layer, random_message
from scipy.spatial.transform import Rotation
from test_kernel import CELLS, CUTOFF, Setup, structure, wigner
from test_kernel_arguments import changed

ORDERS = (0, 1, 0, 2)


class NetworkSetup(Setup):
    """A random model with an equivariant network, and heads without weights or with them."""

    def __init__(
        self, channels=8, l_network=3, widths=(16, 8), l_sent=None, sent=8, seed=0, scalars=(0, 2), tensors=(1, 3),
        **given,
    ):  # fmt: skip
        super().__init__(seed=seed, heads=[(order, 1) for order in ORDERS], **given)
        rng = np.random.default_rng(seed + 100)
        sizes = {"channels": channels, "l_max": l_network, "widths": widths, "scalars": scalars, "tensors": tensors}
        self.network = [random_layer(rng, self.kinds, self.channels, **sizes)], None
        if l_sent is not None:
            radial = self.channels // self.kinds
            message = random_message(rng, self.kinds, radial, channels, widths[-1], l_network, l_sent, sent)
            second = random_layer(rng, self.kinds, sent + channels, **sizes)
            self.network = [*self.network[0], second], message
        without = [(order, 0 * offset, 0 * linear, []) for order, offset, linear, _ in self.heads]
        self.kernel = self.make(without, self.network)
        self.with_heads = self.make(self.heads, self.network)
        self.only_pairs = self.make(without, None)

    def make(self, heads, equivariant, network=None):
        groups = np.arange(self.kinds, dtype=np.int32)
        return Kernel(
            self.table, self.pair_table, self.pair_cutoff, self.l_max, self.cutoff, 0.4, groups, heads, network,
            equivariant,
        )  # fmt: skip

    def twin(self, species, positions, cell, periodic):
        """What the slow twin gives, with the density of the last evaluation."""
        edges, energies = [], np.zeros(len(species))
        for i, j, vector in twin.neighbour_vectors(positions, cell, periodic, CUTOFF):
            distance = np.linalg.norm(vector)
            pair = species[i], species[j]
            harmonics = real_harmonics(vector[None] / distance, self.l_max)[0]
            edges.append((i, j, twin.hermite(self.table[pair], CUTOFF, distance)[0], harmonics))
            energies[i] += 0.5 * twin.hermite(self.pair_table[pair], CUTOFF, distance)[0]
        found = network_outputs(self.network, species, self.density[0], ORDERS, edges)
        found[:, 0] += energies
        return found


@pytest.fixture(scope="module")
def with_messages():
    return NetworkSetup(l_max=3, l_sent=2)


@pytest.fixture(params=["one layer", "messages"], scope="module")
def setup(request, with_messages):
    return with_messages if request.param == "messages" else NetworkSetup(l_max=3)


@pytest.mark.parametrize(
    ("name", "channels", "l_network", "l_max", "l_sent"),
    [
        ("cubic", 8, 3, 3, None),
        ("skewed", 16, 2, 3, None),
        ("molecule", 32, 3, 4, None),
        ("small", 24, 4, 4, None),
        ("cubic", 8, 3, 3, 0),
        ("skewed", 16, 2, 3, 1),
        ("molecule", 32, 3, 4, 2),
        ("small", 8, 4, 4, 3),
        ("slab", 8, 2, 2, 1),
    ],
)
def test_values_agree_with_the_twin(name, channels, l_network, l_max, l_sent):
    setup = NetworkSetup(channels, l_network, l_max=l_max, kinds=3, l_sent=l_sent, sent=16 if channels == 16 else 8)
    species, positions, cell, periodic = structure(name, atoms=5, kinds=3)
    setup.evaluate(species, positions, cell, periodic)
    expected = setup.twin(species, positions, cell, periodic)
    np.testing.assert_allclose(setup.values[0], expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("name", CELLS)
def test_gradients_agree_with_finite_differences(setup, name):
    species, positions, cell, periodic = structure(name)
    setup.evaluate(species, positions, cell, periodic)
    gradients, strains = setup.gradients[0].copy(), setup.strains[0].copy()
    rng, step = np.random.default_rng(0), 1e-5
    for _ in range(3):
        moves, strain = rng.normal(size=positions.shape), rng.normal(size=(3, 3))
        values = []
        for sign in (1, -1):
            deformed = np.eye(3) + sign * step * strain
            values.append(
                setup.totals(species, positions @ deformed.T + sign * step * moves, cell @ deformed.T, periodic)
            )
        numeric = (values[0] - values[1]) / (2 * step)
        analytic = np.einsum("cax,ax->c", gradients, moves) + np.einsum("cxy,xy->c", strains, strain)
        np.testing.assert_allclose(analytic, numeric, rtol=2e-7, atol=2e-7 * np.abs(numeric).max())


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("handedness", [1, -1])
def test_outputs_rotate_and_invert(setup, name, handedness):
    species, positions, cell, periodic = structure(name)
    before = setup.evaluate(species, positions, cell, periodic).values[0].copy()
    rotation = handedness * Rotation.random(random_state=3).as_matrix()
    after = setup.evaluate(species, positions @ rotation.T, cell @ rotation.T, periodic).values[0]
    first = 0
    for order in ORDERS:
        block = slice(first, first + 2 * order + 1)
        expected = before[:, block] @ wigner(order, rotation).T
        np.testing.assert_allclose(after[:, block], expected, atol=1e-10 * np.abs(before[:, block]).max())
        first += 2 * order + 1


@pytest.mark.parametrize("name", ["skewed", "slab", "molecule"])
def test_translation_permutation_and_image_change_nothing(setup, name):
    species, positions, cell, periodic = structure(name)
    rng = np.random.default_rng(5)
    reference = setup.evaluate(species, positions, cell, periodic)
    values, gradients = reference.values[0].copy(), reference.gradients[0].copy()
    order = rng.permutation(len(species))
    shift = rng.integers(-3, 4, size=(len(species), 3)) * np.array(periodic)
    for s, p, places in [
        (species, positions + rng.normal(size=3), slice(None)),
        (species, positions + shift @ cell, slice(None)),
        (species[order], positions[order], order),
    ]:
        setup.evaluate(s, p, cell, periodic)
        np.testing.assert_allclose(setup.values[0], values[places], atol=1e-10 * np.abs(values).max())
        np.testing.assert_allclose(setup.gradients[0], gradients[:, places], atol=1e-10 * np.abs(gradients).max())


@pytest.mark.parametrize("threads", [1, 3])
def test_beads_and_threads_give_what_single_beads_give(setup, threads):
    species, positions, cell, periodic = structure("cubic")
    beads = positions + 0.05 * np.random.default_rng(2).normal(size=(5, *positions.shape))
    single = [copy(setup.evaluate(species, bead, cell, periodic)) for bead in beads]
    single = [(one.values[0], one.gradients[0], one.strains[0]) for one in single]
    setup.evaluate(species, beads, cell, periodic, threads=threads)
    for own, expected in zip((setup.values, setup.gradients, setup.strains), zip(*single, strict=True), strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("parts", [3, 11])
def test_parts_add_up_to_the_whole(setup, parts):
    species, positions, cell, periodic = structure("skewed")
    beads = positions + 0.05 * np.random.default_rng(2).normal(size=(2, *positions.shape))
    setup.evaluate(species, beads, cell, periodic)
    whole = [setup.values.copy(), setup.gradients.copy(), setup.strains.copy()]
    sums = [np.zeros_like(own) for own in whole]
    for part in range(parts):
        setup.evaluate(species, beads, cell, periodic, part=part, parts=parts)
        sums = [a + b for a, b in zip(sums, (setup.values, setup.gradients, setup.strains), strict=True)]
    for own, expected in zip(sums, whole, strict=True):
        np.testing.assert_allclose(own, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_only_what_is_wanted_is_written_and_linear_heads_are_added(setup):
    species, positions, cell, periodic = structure("skewed")
    network, both, pairs = (
        setup.evaluate(species, positions, cell, periodic, kernel=kernel).values.copy()
        for kernel in (setup.kernel, setup.with_heads, setup.only_pairs)
    )
    linear = Setup(l_max=3, heads=[(order, 1) for order in ORDERS])
    linear = linear.evaluate(species, positions, cell, periodic).values
    network -= pairs  # which both have
    np.testing.assert_allclose(both, linear + network, atol=1e-12 * np.abs(both).max())
    wanted = [False, True, False, False]
    setup.evaluate(species, positions, cell, periodic, combinations=np.zeros((0, 10)), want_head=wanted)
    np.testing.assert_allclose(setup.values[..., 1:4], network[..., 1:4], atol=1e-12 * np.abs(network).max())
    assert not setup.values[..., [0, *range(4, 10)]].any()


@pytest.mark.parametrize("l_sent", [None, 1])
def test_heads_that_a_network_does_not_read_are_what_they_were(l_sent):
    setup = NetworkSetup(l_max=3, l_network=2, scalars=(2,), tensors=(), l_sent=l_sent)
    linear = Setup(l_max=3, heads=[(order, 1) for order in ORDERS])
    species, positions, cell, periodic = structure("skewed", atoms=5)
    for part in range(2):
        given = {"part": part, "parts": 2}
        setup.evaluate(species, positions, cell, periodic, kernel=setup.with_heads, **given)
        linear.evaluate(species, positions, cell, periodic, **given)
        others = [0, 1, 2, 3, *range(5, 10)]
        for own, expected in ((setup.gradients, linear.gradients), (setup.strains, linear.strains)):
            scale = np.abs(expected).max()
            np.testing.assert_allclose(own[:, others], expected[:, others], rtol=0, atol=1e-13 * scale)
            assert np.abs(own[:, 4] - expected[:, 4]).max() > 1e-3 * scale
        np.testing.assert_array_equal(setup.values[..., others], linear.values[..., others])


@pytest.mark.parametrize(
    ("path", "wrong", "message"),
    [
        ((0, 0, 0), np.zeros((2, 4, 16, 12)), "contraction of layer 0"),
        ((0, 0, 0), np.zeros((2, 5, 16, 8)), "contraction of layer 0"),
        ((0, 0, 2), np.zeros((2, 4, 8, 16)), "mixing of layer 0"),
        ((0, 0, 1, 0, 0), 4, "l1 of path 0 of three of layer 0"),
        ((0, 0, 1, 1, 3), np.zeros((1, 1, 1)), "coupling of path 1 of three"),
        ((0, 0, 3, 0, 4), np.zeros((2, 4)), "weights of path 0 of four"),
        ((0, 0, 4), [], "hidden of layer 0"),
        ((0, 0, 5), None, "scalars of layer 0"),
        ((0, 0, 3), 3, "four of layer 0"),
        ((0, 0, 4, 0, 0), np.zeros((2, 104, 12)), "weights of hidden layer 0"),
        ((0, 0, 5, 0, 0), 1, "head of scalar 0"),
        ((0, 0, 5, 0, 0), 4, "head of scalar 0"),
        ((0, 0, 5, 0, 2), np.zeros((2, 16)), "final of scalar 0"),
        ((0, 0, 6, 1, 0), 2, "head of tensor 1"),
        ((0, 0, 6, 1, 2), np.zeros((2, 8, 8)), "weights of tensor 1"),
        ((0, 1, 0), np.zeros((2, 4, 8, 8)), "contraction of layer 1"),
        ((1,), None, "layers of equivariant has 2 entries"),
        ((1, 0), np.zeros((2, 2, 4, 8, 12)), "radial of the message"),
        ((1, 1, 1, 0), None, "linear of order 1 of send"),
        ((1, 1, 0, 1), np.zeros((2, 16)), "bias of order 0 of send"),
        ((1, 2, 0, 1), 3, "l2 of path 0 of paths of the message"),
        ((1, 2, 0, 4), np.zeros((2, 16)), "weights of path 0 of paths of the message"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_by_name(with_messages, path, wrong, message):
    setup = with_messages
    with pytest.raises((ValueError, TypeError), match=message):
        setup.make(setup.heads, changed(setup.network, path, wrong))


def test_a_network_of_each_kind_in_one_kernel_is_refused(with_messages):
    setup = with_messages
    with pytest.raises(ValueError, match="both network and equivariant"):
        setup.make(setup.heads, setup.network, network=(None, None, None))
