"""Molecules, Hamiltonians with random weights, and matrices of a known form, for tests of orbitals."""

from dataclasses import replace

import numpy as np
from beadwise.model import Batch, Model
from beadwise.model.model import Repulsion
from beadwise.model.orbitals.basis import OrbitalBasis
from beadwise.model.orbitals.blocks import rows_of
from beadwise.model.orbitals.hamiltonian import BlockModel, Features, Weights
from beadwise.model.orbitals.pair_functions import PairFunctions
from beadwise.model.orbitals.surroundings import fitted_surroundings
from beadwise.model.outputs import empty_head
from beadwise.model.radial import RadialBasis, RadialForm
from beadwise.pyx.coupling import real_harmonics
from beadwise.pyx.tensor_head import DensityShape
from scipy.spatial.transform import Rotation

CARBON, HYDROGEN = 1.39, 1.39 + 1.09  # Å from the centre of benzene
SMALL = OrbitalBasis({1: (0,), 6: (0, 1)}, {1: 1.0, 6: 4.0})
RICH = OrbitalBasis({1: (0, 1), 6: (0, 0, 1, 2)}, {1: 1.0, 6: 4.0})
ETHENE_FIT = """
[data]
train = ["ethene.xyz"]
matrices = ["ethene.npz"]
validation = 0.25
unit = "eV"
[density]
cutoff = 4.0
radial = 3
l_max = 2
[hamiltonian]
shells = {H = "s", C = "sp"}
electrons = {H = 1, C = 4}
overlap = OVERLAP
l_max = 2
channels = 2
products = 2
few = 1
pair_radial = 4
pair_l_max = 2
overlap_radial = 6
[output]
model = "NAME.safetensors"
"""


def isolated(numbers, positions):
    """A batch of frames without a cell."""
    positions = np.asarray(positions, dtype=float)
    positions = positions[None] if positions.ndim == 2 else positions
    return Batch(np.asarray(numbers), positions, np.zeros((len(positions), 3, 3)), np.zeros(3, dtype=bool))


def benzene(kekule=0.0, quinoid=0.0):
    """Benzene with D6h symmetry, with alternating bonds, or stretched along one axis; shape (12, 3)."""
    angles = np.arange(6) * np.pi / 3
    shifted = angles + kekule * (-1.0) ** np.arange(6)
    ring = [np.stack([r * np.cos(a), r * np.sin(a), 0 * a], axis=1) for r, a in ((CARBON, shifted), (HYDROGEN, angles))]
    return np.repeat([6, 1], 6), np.concatenate(ring) * [1 + quinoid, 1, 1]


def shaken(positions, frames, size=0.05, seed=0):
    """Frames about a structure."""
    return positions + np.random.default_rng(seed).normal(0, size, (frames, *positions.shape))


def bare_model(basis, batch, l_max=2, channels=3, products=3):
    """A Hamiltonian without weights whose surroundings are those of a batch."""
    numbers = basis.numbers
    shape = DensityShape(len(numbers), 3, l_max)
    radial = RadialBasis.of_primitives(RadialForm(4.0, 1.0, 0.8, 2.0, 2.0), len(numbers), 3)
    nothing = Repulsion(np.zeros((len(numbers), len(numbers))), 1.0)
    density = Model(numbers, l_max, radial, {"energy": empty_head(0, shape)}, nothing)
    coefficients = density.density(batch)
    surroundings = {
        number: fitted_surroundings(
            coefficients[:, batch.numbers == number].reshape(-1, shape.harmonics, shape.channels),
            l_max, channels, products,
        )
        for number in numbers
    }  # fmt: skip
    pairs = PairFunctions(RadialForm(6.0, 1.0, 0.8, 3.0, 1.0), 3, 4)
    return BlockModel(basis, density, surroundings, pairs, 2, {})


def with_random_weights(model, batch, seed=1):
    """The same with weights that no symmetry but that of orbitals restricts."""
    generator, weights = np.random.default_rng(seed), {}
    one = isolated(batch.numbers, batch.positions[0])
    for species, blocks in model.kinds.items():
        for block, (ours, theirs) in Features(model, one).of_blocks(species, blocks, rows_of(species, batch.numbers)):
            own = generator.normal(0, 0.1, ours.shape[2])
            other = block.exchange * own if block.is_of_equals else generator.normal(0, 0.1, theirs.shape[2])
            weights[block] = Weights(own, np.zeros(0) if block.is_on_site else other)
    return replace(model, weights=weights)


def random_model(basis=SMALL, molecule=None, **sizes):
    """A random Hamiltonian of benzene, or of another molecule."""
    numbers, positions = molecule or benzene()
    batch = isolated(numbers, shaken(positions, 4))
    return with_random_weights(bare_model(basis, batch, **sizes), batch)


def turned(matrix, l):  # noqa: E741
    """How harmonics of one l turn, shape (2 l + 1, 2 l + 1): Y(Q r) = D Y(r), from as many directions as needed."""
    directions = Rotation.random(4 * (2 * l + 1), random_state=3).apply([0, 0, 1.0])
    before, after = (real_harmonics(own, l)[:, l * l :] for own in (directions, directions @ matrix.T))
    return np.linalg.lstsq(before, after, rcond=None)[0].T


def turned_orbitals(basis, numbers, matrix):
    """How all orbitals of a molecule turn, block-diagonal."""
    blocks = [turned(matrix, shell) for number in numbers.tolist() for shell in basis.shells[number]]
    found, first = np.zeros((sum(map(len, blocks)),) * 2), 0
    for own in blocks:
        found[first : first + len(own), first : first + len(own)] = own
        first += len(own)
    return found


def tight_binding_matrices(numbers, positions):
    """Matrices that depend on distances and directions of pairs, in the order of quantum chemistry; eV.

    Levels of s and p orbitals and their two-centre integrals that fall off exponentially (J. C. Slater, G. F. Koster,
    Phys. Rev. 94, 1498 (1954), table I); carbon has s and p, hydrogen s.
    """
    found = []
    firsts = np.concatenate([[0], np.cumsum([4 if number == 6 else 1 for number in numbers])])
    for frame in positions:
        matrix = np.zeros((firsts[-1],) * 2)
        for i, own in enumerate(numbers):
            first = firsts[i]
            matrix[first, first] = -18.0 if own == 6 else -13.6
            if own == 6:
                matrix[np.arange(first + 1, first + 4), np.arange(first + 1, first + 4)] = -10.0
            for j in range(len(numbers)):
                if i != j:
                    matrix[first : firsts[i + 1], firsts[j] : firsts[j + 1]] = _pair(
                        own, numbers[j], frame[j] - frame[i]
                    )
        found.append(matrix)
    return np.array(found)


def _pair(first, second, vector):
    distance = np.linalg.norm(vector)
    unit, size = vector / distance, 6.0 * np.exp(-(distance - 1.2) / 0.8)
    block = np.zeros((4, 4))
    block[0, 0] = -size
    block[0, 1:], block[1:, 0] = 1.2 * size * unit, -1.2 * size * unit
    block[1:, 1:] = 1.5 * size * np.outer(unit, unit) - 0.6 * size * (np.eye(3) - np.outer(unit, unit))
    return block[: 4 if first == 6 else 1, : 4 if second == 6 else 1]
