"""Tensors in the frame of a molecule that tumbles: each bead is turned onto the first sample."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from ...runs.input.elements import InputError
from ...runs.input.run_input import RunInput
from ...runs.output.positions import find_bead_trajectory
from .groups import count_molecules


class MolecularFrame:
    """Turns tensors of one molecule into its frame.

    The rotation of each bead brings its positions closest to those of the first sample, mean over beads, weighted by
    masses (Kabsch, Acta Cryst. A 32, 922 (1976)).

    Parameters
    ----------
    run : RunInput
        Of one molecule, which writes the positions of all beads.

    Raises
    ------
    InputError
        If it does not, or bonds of the first sample do not make one molecule.
    """

    def __init__(self, run: RunInput):
        self._run, self._reference = run, np.zeros((0, 3))
        self._masses = run.only_system().atoms.masses

    def turned(self, steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Those samples whose positions are written, in the frame of the molecule.

        Parameters
        ----------
        steps : ndarray of int64, shape (samples,)
        values : ndarray of float64, shape (samples, beads, units, 3, 3) or (samples, beads, units, 3)

        Returns
        -------
        is_there : ndarray of bool, shape (samples,)
        turned : ndarray of float64
        """
        trajectory = find_bead_trajectory(self._run)
        if values.shape[1] != trajectory.beads or values.ndim < 4 or set(values.shape[3:]) != {3}:
            raise InputError(
                "a molecular frame is for vectors and tensors of every bead, with positions of all of them"
            )
        if not len(self._reference):
            self._reference = trajectory.frame(trajectory.steps[0])[0].mean(axis=0)
            pieces = count_molecules(Atoms(self._run.numbers, positions=self._reference))
            if pieces != 1:
                raise InputError(
                    f"the first sample of '{self._run.path}' holds {pieces} molecules, or parts of one that the cell "
                    "cuts; --frame molecule is for one whole molecule"
                )
        is_there = np.isin(steps, trajectory.steps)
        found = []
        for step, own in zip(steps[is_there].tolist(), values[is_there], strict=True):
            turns = np.array([rotation_onto(self._reference, bead, self._masses) for bead in trajectory.frame(step)[0]])
            if own.ndim == 4:
                found.append(np.einsum("bij,bujk,blk->buil", turns, own, turns))
            else:
                found.append(np.einsum("bij,buj->bui", turns, own))
        return is_there, np.array(found).reshape(len(found), *values.shape[1:])


def rotation_onto(reference: np.ndarray, positions: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """The rotation R that makes Σ m |R (r − r̄) − (r_ref − r̄_ref)|² smallest, shape (3, 3); never a reflection.

    Parameters
    ----------
    reference, positions : ndarray of float64, shape (atoms, 3)
    masses : ndarray of float64, shape (atoms,)
    """
    weights = masses / masses.sum()
    first, second = (own - weights @ own for own in (reference, positions))
    left, _, right = np.linalg.svd((weights[:, None] * first).T @ second)
    sign = np.sign(np.linalg.det(left @ right))
    return left @ np.diag([1.0, 1.0, sign]) @ right
