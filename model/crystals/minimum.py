"""The minimum of a crystal in its cell: a few hundred steps of L-BFGS, then Newton's with the Hessian.

Librations and lattice modes are so soft beside bonds that methods without the Hessian need thousands of steps for
them.  The Hessian is needed anyway, costs 6N evaluations in batches, and serves all Newton steps near the minimum.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms
from ase.optimize import LBFGS

from ...progress import Progress
from ..calculator import Calculator
from ..response import Evaluator
from ..structures import Batch
from .hessian import DISPLACEMENT, RawHessian, hessian_of
from .reference import CrystalError

ROUGH_FORCE = 0.02  # eV/Å, from which on Newton's steps go to the minimum
ROUGH_STEPS = 500
MOST_HESSIANS = 4
NEWTON_STEPS = 40
LONGEST_STEP = 0.1  # Å, of an atom
SOFTEST = 1e-3  # eV/Å²: no mode is taken for softer in a Newton step
STAGE = "steps to the minimum"


@dataclass(frozen=True)
class Minimum:
    """A minimum and the Hessian there.

    Parameters
    ----------
    structure : Batch
        Of one structure.
    energy : float
        In eV.
    largest_force : float
        On an atom in eV/Å: what is left of it.
    hessian : RawHessian
    """

    structure: Batch
    energy: float
    largest_force: float
    hessian: RawHessian


def minimum_of(
    evaluator: Evaluator,
    structure: Batch,
    floats: bool,
    displacement: float = DISPLACEMENT,
    largest_force: float = 1e-4,
    advance: Progress | None = None,
) -> Minimum:
    """Move atoms to the minimum that the structure belongs to, with the cell as it is.

    Parameters
    ----------
    evaluator : Evaluator
        With energy and forces.
    structure : Batch
        Of one structure.
    floats : bool
        Whether the crystal may be moved as a whole, so that no step does.
    displacement : float
        Of the differences of the Hessian, in Å.
    largest_force : float
        That may be left on an atom, in eV/Å.
    advance : callable, optional
        Told how far it is.

    Raises
    ------
    CrystalError
        If the forces stay larger.
    StructureError
        If a structure on the way cannot be evaluated.
    """
    structure = _roughly(evaluator, structure, advance)
    for _ in range(MOST_HESSIANS):
        hessian = hessian_of(evaluator, structure, displacement, advance)
        before = structure.positions
        structure = _newton(evaluator, structure, hessian.symmetric(floats), floats, largest_force)
        if np.abs(structure.positions - before).max() <= displacement:
            break
    else:
        hessian = hessian_of(evaluator, structure, displacement, advance)
    answer = evaluator.evaluate(structure, ("energy", "forces"))
    left = _largest(_without_drift(answer.forces, floats))
    if not left <= largest_force:
        raise CrystalError(
            f"a force of {left:.3g} eV/Å is left on an atom; at most {largest_force:g} eV/Å may be, so start "
            "from a structure nearer to the minimum"
        )
    return Minimum(structure, float(answer.energy[0]), left, hessian)


def _roughly(evaluator: Evaluator, structure: Batch, advance: Progress | None) -> Batch:
    """L-BFGS (D. C. Liu, J. Nocedal, Math. Program. 45, 503 (1989)) of ASE until forces are small."""
    info = {} if structure.charge is None else {"charge": structure.charge}
    atoms = Atoms(structure.numbers, structure.positions[0], cell=structure.cells[0], pbc=structure.periodic, info=info)
    atoms.calc = Calculator(evaluator)
    optimiser = LBFGS(atoms, logfile=io.StringIO(), maxstep=LONGEST_STEP)
    if advance is not None:
        optimiser.attach(lambda: advance(STAGE, optimiser.get_number_of_steps(), 0))
    optimiser.run(fmax=ROUGH_FORCE, steps=ROUGH_STEPS)
    return replace(structure, positions=atoms.positions[None])


def _newton(evaluator: Evaluator, structure: Batch, hessian: np.ndarray, floats: bool, largest_force: float) -> Batch:
    """Steps Φ⁻¹F with one Hessian, as long as they make the forces smaller; downhill also along unstable modes."""
    stiffness, modes = np.linalg.eigh(hessian)
    inverse = 1 / np.maximum(np.abs(stiffness), SOFTEST)
    best, least = structure, np.inf
    for _ in range(NEWTON_STEPS):
        forces = _without_drift(evaluator.evaluate(structure, ("forces",)).forces, floats)
        if _largest(forces) >= least:
            break
        best, least = structure, _largest(forces)
        if least <= 1e-3 * largest_force:
            break
        step = (modes @ (inverse * (modes.T @ forces.reshape(-1)))).reshape(1, -1, 3)
        step *= min(1.0, LONGEST_STEP / max(_largest(step), 1e-300))
        structure = replace(structure, positions=structure.positions + step)
    return best


def _without_drift(forces: np.ndarray, floats: bool) -> np.ndarray:
    return forces - forces.mean(axis=1, keepdims=True) if floats else forces


def _largest(vectors: np.ndarray) -> float:
    """Length of the longest vector."""
    return float(np.linalg.norm(vectors, axis=-1).max())
