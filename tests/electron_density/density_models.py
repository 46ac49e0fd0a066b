"""Molecules, functions, densities with random weights, and labels of a known form, for tests of electron densities."""

import json
from pathlib import Path

import numpy as np
from beadwise.learning.fitting.electron_density.basis_file import shells_of_file
from beadwise.model import Batch, Model
from beadwise.model.electron_density.basis import AuxiliaryBasis, Functions, Shell
from beadwise.model.electron_density.model import DensityModel
from beadwise.model.model import Repulsion
from beadwise.model.orbitals.surroundings import fitted_surroundings
from beadwise.model.outputs import empty_head
from beadwise.model.radial import RadialBasis, RadialForm
from beadwise.pyx.tensor_head import DensityShape
from places import REPOSITORY

FUNCTIONS = REPOSITORY / "docs" / "water_density" / "h_o.nw"
WATER = np.array([8, 1, 1])
AT_MINIMUM = np.array([[0, 0, 0], [0.9572, 0, 0], [-0.23998721, 0.92662721, 0]])
LABELS = json.loads((Path(__file__).parent / "water_labels.json").read_text())  # of PySCF, docs/water_density/labels.py


def whole_basis():
    """def2-universal-jfit of water: 71 functions up to l = 4."""
    return AuxiliaryBasis(shells_of_file(FUNCTIONS), {1: 1.0, 8: 8.0})


def small_basis():
    """Two elements with few functions, one of them contracted."""
    hydrogen = (Shell(0, (0.6,), (1.0,)), Shell(1, (0.8,), (1.0,)))
    oxygen = (
        Shell(0, (8.0, 2.0), (0.4, 0.7)),
        Shell(0, (0.7,), (1.0,)),
        Shell(1, (1.1,), (1.0,)),
        Shell(2, (0.9,), (1.0,)),
    )
    return AuxiliaryBasis({1: hydrogen, 8: oxygen}, {1: 1.0, 8: 8.0})


def isolated(numbers, positions):
    """A batch of frames without a cell."""
    positions = np.asarray(positions, dtype=float)
    positions = positions[None] if positions.ndim == 2 else positions
    return Batch(np.asarray(numbers), positions, np.zeros((len(positions), 3, 3)), np.zeros(3, dtype=bool))


def shaken(frames, size=0.06, seed=0):
    """Frames about the minimum of water."""
    return AT_MINIMUM + np.random.default_rng(seed).normal(0, size, (frames, 3, 3))


def random_model(basis=None, metric="coulomb", l_max=None):
    """A density of water with random weights."""
    basis = basis or whole_basis()
    l_max, numbers, few = basis.highest if l_max is None else l_max, basis.numbers, 2
    batch = isolated(WATER, shaken(6))
    shape = DensityShape(len(numbers), 3, l_max)
    radial = RadialBasis.of_primitives(RadialForm(4.0, 1.0, 0.8, 2.0, 2.0), len(numbers), 3)
    density = Model(numbers, l_max, radial, {"energy": empty_head(0, shape)}, Repulsion(np.zeros((2, 2)), 1.0))
    coefficients, generator = density.density(batch), np.random.default_rng(1)
    surroundings = {
        number: fitted_surroundings(
            coefficients[:, number == WATER].reshape(-1, shape.harmonics, shape.channels), l_max, 3, 3
        )
        for number in numbers
    }
    model = DensityModel(basis, density, surroundings, few, {}, metric)
    for number in numbers:
        for order, features in model._features(isolated(WATER, AT_MINIMUM), number).items():
            sizes = features.shape[2], len(basis.of_momentum(number, order))
            model.weights[number, order] = generator.normal(0, 0.1, sizes)
    return model


def known_densities(basis, positions):
    """Coefficients that depend on the geometry as densities do: on distances, and on directions of neighbours.

    Of every shell of l = 0 a number and a falloff of the neighbours; of l = 1 the sum of falloffs times directions.
    Everything else is 0.  With ten electrons, by the first s shell of oxygen, in the order of `Functions`.
    """
    functions = Functions(basis, WATER)
    found = np.zeros((len(positions), functions.count))
    vectors = positions[:, None] - positions[:, :, None]  # from the first to the second
    distances = np.linalg.norm(vectors, axis=3) + 1e3 * np.eye(3)
    falloff = np.exp(-distances / 0.8)
    for number in basis.numbers:
        atoms = functions.atoms(number)
        for order in sorted({0, 1} & set(basis.momenta(number))):
            places = functions.places(number, order)
            for shell in range(places.shape[1]):
                if order == 0:
                    found[:, places[:, shell, 0]] = (1.5 if number == 8 else 0.2) + falloff[:, atoms].sum(axis=2)
                else:
                    along = ((1 + shell) * falloff[..., None] * vectors / distances[..., None]).sum(axis=2)
                    found[:, places[:, shell]] = along[:, atoms][:, :, [1, 2, 0]]
    first = functions.places(8, 0)[0, 0, 0]
    found[:, first] += (10 - found @ functions.charges) / functions.charges[first]
    return found


def in_order_of_labels(basis, coefficients, p_order="xyz"):
    """The same numbers as files have them."""
    found = np.empty_like(coefficients)
    found[:, Functions(basis, WATER).labels_order(p_order)] = coefficients
    return found
