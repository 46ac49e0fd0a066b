"""Dipoles of periodic cells on the branch that Born charges tell, so that they can be fitted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ....model import Batch, Model
from ....model.training.net_charge import charges_of_atoms
from ....pyx.tensor_head import features
from ...data import Frame
from ...data.branches import quanta
from ..configuration import Configuration, ConfigurationError
from ..head_fit import HeadProblem
from .derivatives import add_derivatives, derivative_label

logger = logging.getLogger(__name__)

DIPOLE = "dipole"
LOWER_L_MAX = 2  # of the first model, which only has to be right within half a quantum
DOUBTFUL = 0.25  # quanta between a label and the first model, from which on the branch may be the wrong one
NEAR_HALF = 0.375  # quanta


def on_one_branch(
    configuration: Configuration,
    model: Model,
    frames: Sequence[Frame],
    told: Callable[[Sequence[Frame], str], Iterable[Frame]] = lambda frames, _: frames,
) -> list[Frame]:
    """Frames whose dipoles stand on the branch of a model that was fitted to the Born charges alone.

    Born charges have no branches.  Their model is a sum of local vectors, so that its dipole is the integral of its own
    Born charges from the structure without one, along any path.

    Parameters
    ----------
    configuration : Configuration
    model : Model
        Before its heads; gives the density.
    frames : sequence of Frame
    told : callable, optional
        Yields the frames and reports after each, under a name.

    Raises
    ------
    ConfigurationError
        If no frame has Born charges, or the labels are half a quantum off, as those of a crystal whose symmetric
        structure has charged planes: then nominal charges are needed.
    """
    frames = list(frames)
    if DIPOLE not in configuration.quantities or not any(is_folded(frame) for frame in frames):
        return frames
    problem = HeadProblem.of(DIPOLE, model, frames, configuration)
    problem = replace(problem, shape=replace(problem.shape, l_max=min(problem.shape.l_max, LOWER_L_MAX)))
    weights = weights_of_derivatives(problem, told(frames, "branches of the dipole"))
    chosen, off = [], {}
    for frame in frames:
        if is_folded(frame):
            assert frame.quantum is not None
            near = predicted(problem, weights, frame)
            own = frame.label_near(DIPOLE, near)
            off[frame.name] = quanta(own - near, frame.quantum)
            frame = replace(frame, labels={**frame.labels, DIPOLE: own})
        chosen.append(frame)
    check_distances(off)
    return chosen


def is_folded(frame: Frame) -> bool:
    """Whether it has a dipole that is known up to whole quanta."""
    return DIPOLE in frame.labels and frame.quantum is not None


def weights_of_derivatives(problem: HeadProblem, frames: Iterable[Frame]) -> np.ndarray:
    """Weights that are fitted to the Born charges alone, shape (features,)."""
    equations, length = problem.empty_equations(), 1.0
    own = problem.quantity, problem.irrep, problem.shape, problem.model
    for frame in frames:
        add_derivatives(equations, *own, frame, problem.metadata, length)
    if equations.rows == 0:
        raise ConfigurationError(
            f"dipoles are known up to e times lattice vectors, and no training frame has "
            f"{derivative_label(problem.quantity)}, which tell the branch; say dipole_quantum = 'none' in [data] if "
            "all are on one"
        )
    return equations.solve(problem.ridge, problem.prior)


def predicted(problem: HeadProblem, weights: np.ndarray, frame: Frame) -> np.ndarray:
    """Dipole of a frame from weights of the head and the charges that move with the atoms, in e·Å."""
    batch, shape = Batch.from_ase(frame.atoms), problem.shape
    density = problem.model.density(batch)[0, :, : shape.harmonics]
    rows = features(problem.irrep.order, shape, density, problem.model.species_indices(batch.numbers))
    charges = charges_of_atoms(problem.metadata, frame.atoms.numbers, frame.charge or 0.0)
    return problem.quantity.form.cartesian(rows @ weights) + charges @ frame.atoms.positions


def check_distances(off: Mapping[str, np.ndarray]) -> None:
    """Look at how far the labels are from the model that chose their branches.

    Parameters
    ----------
    off : mapping of str to ndarray of float64, shape (quanta,)
        Label less model in quanta by the name of the frame.

    Raises
    ------
    ConfigurationError
        If most labels are half a quantum off in a direction.
    """
    for direction in range(max(map(len, off.values()))):
        own = [abs(float(far[direction])) for far in off.values() if direction < len(far)]
        if np.median(own) > NEAR_HALF:
            raise ConfigurationError(
                f"dipoles are half a quantum off in direction {direction}, as those of a crystal are whose symmetric "
                f"structure has charged planes ({np.median(own):.2f} e times the lattice vector in the median of "
                f"{len(own)} frames): say nominal_charges in [dipole], whole numbers as {{K = 1, Nb = 5, O = -2}}"
            )
    farthest = {name: float(np.abs(far).max()) for name, far in off.items()}
    worst = max(farthest, key=lambda name: farthest[name])
    logger.info(
        "dipoles of %d frames are known up to e times lattice vectors; on the branch that Born charges tell they are "
        "within %.2g of a quantum of the model of these alone (%s)",
        len(off), farthest[worst], worst,
    )  # fmt: skip
    doubtful = [name for name, far in farthest.items() if far > DOUBTFUL]
    if doubtful:
        logger.warning(
            "the branch of %d of %d dipoles is doubtful: they are more than %g quanta from what Born charges tell, the "
            "first %s",
            len(doubtful), len(off), DOUBTFUL, doubtful[0],
        )  # fmt: skip
