"""What is timed: beadwise and its peers, each as a function of the positions of all beads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from ase import Atoms
from beadwise.errors import BeadwiseError
from beadwise.model import Batch, Model, load, shipped_models
from beadwise.model.evaluators import with_precision
from beadwise.model.model import Repulsion
from beadwise.model.outputs import Layout
from beadwise.model.radial import RadialBasis, RadialForm
from beadwise.pyx.tensor_head import DensityShape, feature_sizes, head_from_features

CUTOFF, RADIAL, L_MAX = 4.5, 8, 6  # of the random model and of featomic
WANTS = {
    "energy, forces, virial": ("energy", "forces", "virial"),
    "… and dipole, polarizability": ("energy", "forces", "virial", "dipole", "polarizability"),
    "… and Born charges": ("energy", "forces", "virial", "dipole", "polarizability", "born_charges"),
}


class PeerError(Exception):
    """A peer that cannot be timed here, with the reason."""


class Contender(ABC):
    """Something that evaluates all beads of one system."""

    most_repetitions = 10**9
    most_beads = 10**9

    def __init__(self, program: str, task: str):
        self.program, self.task = program, task

    @abstractmethod
    def evaluate(self, positions: np.ndarray) -> None:
        """Evaluate positions (beads, atoms, 3) in Å."""


class Beadwise(Contender):
    """Our model; every instance has neighbour lists of its own."""

    def __init__(self, model: str | None, task: str, structure: Atoms, threads: int, precision: str = "double"):
        super().__init__("beadwise" if precision == "double" else f"beadwise, {precision}", task)
        try:
            self.model = with_precision(random_model() if model is None else load(model), precision, str(model))
        except BeadwiseError as error:
            raise PeerError(str(error)) from error
        self.model.threads = threads
        self.structure = structure

    def batch(self, positions: np.ndarray) -> Batch:
        """What i-PI's beads become."""
        cells = np.broadcast_to(self.structure.cell.array, (len(positions), 3, 3))
        return Batch(self.structure.numbers, positions, cells, self.structure.pbc)

    def evaluate(self, positions: np.ndarray) -> None:
        self.model.evaluate(self.batch(positions), WANTS[self.task])


class Nep(Contender):
    """A neuroevolution potential with the compiled CPU code of nep-adapters, all beads in one call."""

    def __init__(self, path: Path, operation: str, task: str, structure: Atoms):
        super().__init__("NEP", task)
        try:
            from nep_adapters import NEPCalculator
        except ImportError as error:
            raise PeerError("nep-adapters is not installed (pip install nep-adapters)") from error
        if not path.is_file():
            raise PeerError(f"no file {path.name} in the folder given by --peers")
        calculator = NEPCalculator(path)
        self.operation = getattr(calculator.model, operation)
        self.types, _, self.box, self.periodic = calculator.compose_structures(structure)

    def evaluate(self, positions: np.ndarray) -> tuple:
        """Energy, forces and virial of each atom, if that is its operation."""
        beads, atoms, _ = positions.shape
        boxes, periodic = np.repeat(self.box, beads, axis=0), np.repeat(self.periodic, beads, axis=0)
        types, counts = np.tile(self.types, beads), np.full(beads, atoms, dtype=np.int32)
        return self.operation(types, boxes, positions.reshape(-1, 3), counts, periodic)


class Featomic(Contender):
    """featomic's power spectrum with its gradients, bead after bead; contracting them with weights is not counted."""

    most_repetitions = 4
    most_beads = 1  # a bead's gradients take a good part of a gigabyte

    def __init__(self, structure: Atoms):
        super().__init__("featomic", "power spectrum, gradients")
        try:
            from featomic import SoapPowerSpectrum
        except ImportError as error:
            raise PeerError("featomic is not installed (pip install featomic)") from error
        radial = {"type": "Gto", "max_radial": RADIAL - 1}
        self.calculator = SoapPowerSpectrum(
            cutoff={"radius": CUTOFF, "smoothing": {"type": "ShiftedCosine", "width": 0.5}},
            density={"type": "Gaussian", "width": 0.3},
            basis={"type": "TensorProduct", "max_angular": L_MAX, "radial": radial},
        )
        self.structure = structure.copy()

    def evaluate(self, positions: np.ndarray) -> None:
        for bead in positions:
            self.structure.positions = bead
            self.calculator.compute(self.structure, gradients=["positions"])


def random_model() -> Model:
    """A model of random weights and the usual size: what a model answers does not change how long it takes."""
    rng = np.random.default_rng(0)
    shape = DensityShape(2, RADIAL, L_MAX)
    radial = RadialBasis.of_primitives(RadialForm(CUTOFF, 0.3, 0.7, 2.0, 3.0), 2, RADIAL)
    heads = {}
    for name, head in Layout(()).heads.items():
        weights = 1e-3 * rng.normal(size=2 * sum(feature_sizes(head.order, shape)))
        heads[name] = head_from_features(head.order, shape, weights)
    return Model((1, 8), L_MAX, radial, heads, Repulsion(np.full((2, 2), 0.8), 1.0))


def default_model() -> str | None:
    """The shipped water model, or None where this checkout has none."""
    return "water" if "water" in shipped_models() else None


def contenders(model: str | None, peers: Path, structure: Atoms, threads: int) -> tuple[list[Contender], list[str]]:
    """Everything that can be timed here, and why the rest cannot."""
    found: list[Contender] = [Beadwise(model, task, structure, threads) for task in WANTS]
    skipped = []
    makers = [
        *(partial(Beadwise, model, task, structure, threads, "single") for task in WANTS),
        lambda: Nep(peers / "nep4_water_pes.txt", "calculate", "energy, forces, virial", structure),
        lambda: Nep(peers / "nep4_water_dipole.txt", "dipoles", "dipole", structure),
        lambda: Featomic(structure),
    ]
    for make in makers:
        try:
            found.append(make())
        except PeerError as reason:
            skipped.append(str(reason))
    return found, skipped


def only(found: Sequence[Contender], program: str, task: str) -> Contender | None:
    """The contender of that name, if it can be timed."""
    return next((one for one in found if (one.program, one.task) == (program, task)), None)
