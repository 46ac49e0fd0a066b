"""Dipoles of periodic cells on the branch that Born charges tell, so that they can be fitted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ....model import Batch, Model
from ....model.training.net_charge import charges_of_atoms, nominal_charges
from ....pyx.tensor_head import features
from ...data import Frame
from ...data.branches import folded, quanta
from ..configuration import Configuration, ConfigurationError
from ..fit_data import nominal_record
from ..head_fit import HeadProblem
from .derivatives import add_derivatives, derivative_label

logger = logging.getLogger(__name__)

DIPOLE = "dipole"
LOWER_L_MAX = 2  # of the first model, which only has to be right within half a quantum
DOUBTFUL = 0.25  # quanta between a label and the first model, from which on the branch may be the wrong one
NEAR_HALF = 0.375  # quanta
WHOLE = 1e-3  # of a lattice vector, as quanta in a file may have few digits


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
        If no frame has Born charges, it is not said what some dipoles are known up to, nominal charges are not whole,
        or the labels are half a quantum off, as those of a crystal whose symmetric structure has charged planes: then
        nominal charges are needed.
    """
    frames = list(frames)
    if DIPOLE not in configuration.quantities:
        return frames
    metadata = {**model.metadata, **nominal_record(configuration)}
    has_nominal = bool(nominal_charges(metadata))
    check_quanta(frames, has_nominal)
    if not any(frame.is_folded for frame in frames):
        return frames
    if has_nominal:
        check_whole(frames, metadata)
    problem = HeadProblem.of(DIPOLE, model, frames, configuration)
    problem = replace(problem, shape=replace(problem.shape, l_max=min(problem.shape.l_max, LOWER_L_MAX)))
    weights = weights_of_derivatives(problem, told(frames, "branches of the dipole"))
    chosen, off = [], {}
    for frame in frames:
        if frame.is_folded:
            assert frame.quantum is not None
            near = predicted(problem, weights, frame)
            own = frame.label_near(DIPOLE, near)
            off[frame.name] = quanta(own - near, frame.quantum)
            frame = replace(frame, labels={**frame.labels, DIPOLE: own})
        chosen.append(frame)
    check_distances(off)
    return chosen


def check_quanta(frames: Sequence[Frame], has_nominal: bool) -> None:
    """Refuse dipoles of periodic frames of which nobody says what they are known up to, where it matters.

    It does beside frames that are folded, and with nominal charges, which tell images of an atom apart.

    Raises
    ------
    ConfigurationError
        Naming the first such frame.
    """
    beside = next((frame.name for frame in frames if frame.is_folded), "")
    if not beside and not has_nominal:
        return
    for frame in frames:
        if DIPOLE in frame.labels and frame.quantum is None and frame.atoms.pbc.any():
            reason = "nominal_charges tell images of an atom apart" if has_nominal else f"that of {beside} is"
            raise ConfigurationError(
                f"nothing says what the dipole of {frame.name}, which is periodic, is known up to, and {reason}: say "
                "dipole_quantum = 'lattice' or 'none' in [data]"
            )


def check_whole(frames: Sequence[Frame], metadata: Mapping[str, object]) -> None:
    """Refuse nominal charges where an atom in another image would change a folded dipole by a part of a quantum.

    Raises
    ------
    ConfigurationError
        Naming the first such frame.
    """
    for frame in frames:
        if not frame.is_folded:
            continue
        charges = np.unique(charges_of_atoms(metadata, frame.atoms.numbers, 0.0))
        lattice = frame.atoms.cell.array[frame.atoms.pbc]
        left = np.linalg.norm(folded(np.multiply.outer(charges, lattice), frame.quantum), axis=-1)
        is_part = (left > WHOLE * np.linalg.norm(lattice, axis=-1)).any(axis=1)
        if is_part.any():
            raise ConfigurationError(
                f"nominal_charges: an atom of {charges[is_part][0]:g} e in another cell changes the dipole of "
                f"{frame.name} by no whole number of what it is known up to; whole nominal_charges are needed"
            )


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
