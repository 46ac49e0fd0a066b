"""Small models with random weights, and random structures for them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from beadwise.model import Batch, Model
from beadwise.model.model import Repulsion
from beadwise.model.radial import RadialBasis, RadialForm
from beadwise.potentials.invariant_network import InvariantNetwork
from beadwise.properties.quantities import BUILT_IN
from beadwise.properties.quantities import heads as registered_heads
from beadwise.pyx.tensor_head import DensityShape, feature_sizes, head_from_features

ORDERS = {head.name: head.order for quantity in BUILT_IN for head in quantity.heads}
HEADS = tuple(ORDERS)

FORM = RadialForm(cutoff=3.0, warp_length=0.3, innermost=0.7, decay_length=2.0, decay_power=3.0)


def random_model(
    seed: int = 0,
    numbers: tuple[int, ...] = (1, 8),
    radial: int = 3,
    l_max: int = 2,
    heads: Sequence[str] = HEADS,
    metadata: dict | None = None,
    form: RadialForm = FORM,
    hidden: Sequence[int] = (),
    groups: Sequence[int] = (),
) -> Model:
    """A model of small random weights, the same for the same seed."""
    rng = np.random.default_rng(seed)
    shape = DensityShape(len(numbers), radial, l_max, len(set(groups)))
    basis = RadialBasis.of_primitives(form, len(numbers), radial)
    if groups:  # species of one group differ in their radial functions
        basis = RadialBasis(form, basis.coefficients + 0.3 * rng.normal(size=basis.coefficients.shape))
    known = {name: (head.order, shape, head.parity) for name, (_, head) in registered_heads().items()}

    def weights_of(name: str) -> np.ndarray:
        order, own_shape, parity = known[name]
        return rng.normal(0, 0.02, len(numbers) * sum(feature_sizes(order, own_shape, parity)))

    weights = {name: weights_of(name) for name in (*HEADS, *(name for name in heads if name not in HEADS))}
    return Model(
        numbers,
        l_max,
        basis,
        {name: head_from_features(known[name][0], shape, weights[name], known[name][2]) for name in heads},
        Repulsion(np.full((len(numbers), len(numbers)), 0.7), 0.5),
        network=random_network(rng, shape, hidden) if hidden else None,
        groups=tuple(groups),
        metadata=metadata or {},
    )


def random_network(rng: np.random.Generator, shape: DensityShape, hidden: Sequence[int]) -> InvariantNetwork:
    """A network whose layers are neither linear nor saturated."""
    widths = [sum(feature_sizes(0, shape)[1:]), *hidden]
    layers = [
        (
            rng.normal(0, 1.5 / np.sqrt(inputs), (shape.species, inputs, outputs)),
            rng.normal(size=(shape.species, outputs)),
        )
        for inputs, outputs in itertools.pairwise(widths)
    ]
    return InvariantNetwork(shape, layers, rng.normal(0, 0.2, (shape.species, widths[-1])))


def random_structure(seed: int = 0, molecules: int = 3) -> Atoms:
    """Water molecules side by side in a skewed periodic box, each distorted and turned its own way."""
    rng = np.random.default_rng(seed)
    water = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
    rotations = [np.linalg.qr(rng.normal(size=(3, 3)))[0] for _ in range(molecules)]
    positions = [water @ rotation + [3.0 * place, 0, 0] for place, rotation in enumerate(rotations)]
    cell = [[3.0 * molecules, 0, 0], [0.3, 4.5, 0], [-0.2, 0.4, 4.8]]
    atoms = Atoms("OHH" * molecules, positions=np.concatenate(positions), cell=cell, pbc=True)
    atoms.positions += rng.normal(0, 0.04, atoms.positions.shape)
    return atoms


def labelled(model: Model, atoms: Atoms) -> Atoms:
    """A copy of the structure with all that the model says as labels, where ASE's extended xyz puts them."""
    want = [name for name in model.properties if name != "born_charges"]
    response = model.evaluate(Batch.from_ase(atoms), want)
    results = {name: response[name][0] for name in want if name in ("energy", "forces", "dipole")}
    if "virial" in want:
        stress = -response.virial[0] / atoms.get_volume()
        results["stress"] = stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    copy = atoms.copy()
    copy.calc = SinglePointCalculator(copy, **results)
    if "polarizability" in want:
        copy.info["polarizability"] = response.polarizability[0].ravel()
    return copy
