"""Small models with random weights, and random structures for them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from beadwise.model import Batch, Model
from beadwise.model.members import Members
from beadwise.model.model import Repulsion
from beadwise.model.radial import RadialBasis, RadialForm
from beadwise.potentials.invariant_network import InvariantNetwork
from beadwise.properties.curves import EnergyCurves
from beadwise.properties.density_of_states import CHANNELS
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
    own_heads = {name: head_from_features(known[name][0], shape, weights[name], known[name][2]) for name in heads}
    for place, start in enumerate(average_curve() if "density_of_states.0" in heads else ()):
        name = f"density_of_states.{place}"
        own_heads[name] = replace(own_heads[name], offset=own_heads[name].offset + start)
    return Model(
        numbers,
        l_max,
        basis,
        own_heads,
        Repulsion(np.full((len(numbers), len(numbers)), 0.7), 0.5),
        network=random_network(rng, shape, hidden) if hidden else None,
        groups=tuple(groups),
        metadata=metadata or {},
        curves=random_curves(len(numbers)) if "density_of_states.0" in heads else None,
    )


def with_members(model: Model, heads: Sequence[str], factors: dict[str, float] | None = None) -> Model:
    """The model with three members, whose deviations in some heads are other random weights, without their sum."""
    others = [random_model(seed, heads=heads).heads for seed in (1, 2, 3)]
    deviations = {}
    for name in heads:
        mean = model.heads[name]
        linear = np.array([one[name].linear for one in others])
        weights = np.array([one[name].weights for one in others])
        deviations[name] = tuple(
            replace(mean, offset=0 * mean.offset, linear=own, weights=its)
            for own, its in zip(linear - linear.mean(axis=0), weights - weights.mean(axis=0), strict=True)
        )
    return replace(model, members=Members(deviations, factors or {}))


def random_curves(species: int, points: int = 80) -> EnergyCurves:
    """An axis from −8 to 7.8 eV with random smooth curves on it, which are orthonormal."""
    rng = np.random.default_rng(3)
    energies = -8.0 + 0.2 * np.arange(points)
    bumps = np.exp(-0.5 * (energies - np.linspace(-5, 5, CHANNELS)[:, None] + rng.normal(0, 0.1, (CHANNELS, 1))) ** 2)
    basis = np.linalg.qr((bumps * np.exp(-0.5 * (energies / 3) ** 6)).T)[0].T
    return EnergyCurves(-8.0, 0.2, np.ascontiguousarray(basis), 0.1, (1.0,) * species)


def average_curve() -> np.ndarray:
    """Coefficients of a curve of one atom that holds three electrons and is nowhere negative to speak of."""
    curves = random_curves(1)
    return curves.form.components(3 / np.sqrt(8 * np.pi) * np.exp(-0.5 * (curves.energies / 2) ** 2))


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
