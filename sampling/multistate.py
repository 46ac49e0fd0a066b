"""Umbrella windows joined to one unbiased ensemble: the multistate Bennett acceptance ratio.

MBAR (Shirts, Chodera, J. Chem. Phys. 129, 124105 (2008)) is the limit of weighted histograms (WHAM) for bins of no
width. Its equations are solved by pymbar, which is an optional package.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .biased_series import Sampled, samples_of
from .errors import SamplingError

FIRST_SAMPLES = 2000  # of each window, for the solution that the one for all samples starts from
MOST_STEPS = 100
CONVERGED = 1e-9  # in k_B T
NO_OVERLAP = 1e-10  # what rounding leaves of none


@dataclass(frozen=True)
class Window(Sampled):
    """One umbrella window: its samples, and the energy that the bias of every window gives to them.

    Parameters
    ----------
    values : ndarray of float64, shape (samples, beads)
        A collective variable of every bead.
    reduced_biases : ndarray of float64, shape (windows, samples)
        β V_k(x_n) of every window k, this one among them, at the samples of this window.
    log_weights : ndarray of float64, shape (samples,)
        β V of what all windows have in common, as walls; zeros if nothing.
    kind : str
        What it is called; an ensemble of another temperature counts as one, with (β_k − β) U + β_k V as its bias.

    Raises
    ------
    SamplingError
        If the shapes do not belong together, there is no sample, or one of the numbers is not finite.
    """

    values: np.ndarray
    reduced_biases: np.ndarray
    log_weights: np.ndarray
    kind: str = "umbrella window"

    def __post_init__(self) -> None:
        values, log_weights = samples_of(self.values, self.log_weights)
        biases = np.asarray(self.reduced_biases, dtype=np.float64)
        if biases.ndim != 2 or biases.shape[1] != len(values) or not np.isfinite(biases).all():
            wanted = f"finite numbers of the shape (windows, {len(values)}) are needed"
            raise SamplingError(f"biases of {len(values)} samples have the shape {biases.shape}; {wanted}")
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "reduced_biases", biases)
        object.__setattr__(self, "log_weights", log_weights)


class Multistate:
    """Umbrella windows, joined.

    pymbar solves the equations for at most 2000 evenly spaced samples of each window. From there Newton's method, on
    the convex function whose minimum the solution is (Shirts, Chodera 2008, appendix C), reaches that of all samples,
    and that of any part of them, in a few steps.

    Parameters
    ----------
    windows : sequence of Window
        All of them, in the order of the rows of their biases.

    Raises
    ------
    SamplingError
        If pymbar is missing, numbers do not belong together, or windows do not overlap at all.
    """

    def __init__(self, windows: Sequence[Window]) -> None:
        _check(windows)
        self._window_of = np.repeat(np.arange(len(windows)), [window.samples for window in windows])
        biases = np.concatenate([window.reduced_biases for window in windows], axis=1)
        exponents = _first_solution(windows)[:, None] - biases
        highest = exponents.max(axis=0)
        # of order one, whatever the energies are: what follows needs no exponential of large numbers
        self._boltzmann = np.exp(exponents - highest)
        self._common = np.concatenate([window.log_weights for window in windows]) - highest
        self._first = exponents[:, 0] + biases[:, 0]
        self._shifts = np.zeros(len(windows))
        if self.overlap < NO_OVERLAP:
            kind = f"{windows[0].kind}s"
            raise SamplingError(f"{kind} fall into groups without common samples; {kind} between are needed")
        self._shifts = self._solve(np.ones(len(self._window_of), dtype=bool))

    @property
    def free_energies(self) -> np.ndarray:
        """β f_k of every window, that of the first being zero, shape (windows,)."""
        free_energies = self._first + self._shifts
        return free_energies - free_energies[0]

    @property
    def overlap(self) -> float:
        """How well windows are connected: one minus the second eigenvalue of the overlap matrix.

        It is 1 for windows that sample the same and 0 for two groups of windows without common samples (Klimovich,
        Shirts, Mobley, J. Comput. Aided Mol. Des. 29, 397 (2015)).
        """
        counts = np.bincount(self._window_of).astype(np.float64)
        weights = self._weights(self._shifts, counts)[0] * np.sqrt(counts)[:, None]
        eigenvalues = np.linalg.eigvalsh(weights @ weights.T)
        return float(1 - eigenvalues[-2]) if len(eigenvalues) > 1 else 1.0

    def log_weights(self, kept: np.ndarray | None = None) -> np.ndarray:
        """Logarithms of the weights that give averages of the unbiased ensemble.

        Parameters
        ----------
        kept : ndarray of bool, shape (samples,), optional
            The samples of all windows, one window after another, that are used; by default all.

        Returns
        -------
        ndarray of float64, shape (samples,)
            The weights sum to one; what is not kept has none.
        """
        kept = np.ones(len(self._window_of), dtype=bool) if kept is None else kept
        shifts = self._shifts if kept.all() else self._solve(kept)
        counts = np.bincount(self._window_of[kept], minlength=len(shifts)).astype(np.float64)
        logarithms = np.where(kept, self._common - np.log(self._weights(shifts, counts)[1]), -np.inf)
        logarithms -= logarithms.max()
        return logarithms - np.log(np.exp(logarithms).sum())

    def _weights(self, shifts: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights of all samples in every window (windows, samples), and the denominators (samples,)."""
        factors = np.exp(shifts)
        denominators = (counts * factors) @ self._boltzmann
        return factors[:, None] * self._boltzmann / denominators, denominators

    def _solve(self, kept: np.ndarray) -> np.ndarray:
        """The shifts of f_k from the first solution for which weights sum to one in every window."""
        counts = np.bincount(self._window_of[kept], minlength=len(self._shifts)).astype(np.float64)

        def objective(shifts: np.ndarray) -> float:
            denominators = (counts * np.exp(shifts)) @ self._boltzmann
            return float(np.log(denominators[kept]).sum() - counts @ shifts)

        shifts, value = self._shifts, objective(self._shifts)
        for _ in range(MOST_STEPS):
            weights = self._weights(shifts, counts)[0] * kept
            sums = weights.sum(axis=1)
            curvature = np.diag(counts * sums) - np.outer(counts, counts) * (weights @ weights.T)
            # a constant is free: that of the first window stays
            step = np.zeros_like(shifts)
            step[1:] = np.linalg.lstsq(curvature[1:, 1:], (counts * (1 - sums))[1:], rcond=None)[0]
            if np.abs(step).max(initial=0.0) < CONVERGED:
                return shifts
            lower = objective(shifts + step)
            while lower > value + CONVERGED and np.abs(step).max() > CONVERGED:
                step = step / 2
                lower = objective(shifts + step)
            shifts, value = shifts + step, lower
        raise SamplingError(
            f"free energies of {len(shifts)} windows did not converge; too few samples are common to them"
        )


def _check(windows: Sequence[Window]) -> None:
    """Refuse windows that do not belong together."""
    if not windows:
        raise SamplingError("there is no umbrella window; at least one is needed")
    for number, window in enumerate(windows):
        if len(window.reduced_biases) != len(windows):
            given = f"window {number} has biases of {len(window.reduced_biases)} windows"
            raise SamplingError(f"{given}, but there are {len(windows)}; every window needs the bias of every window")


def _first_solution(windows: Sequence[Window]) -> np.ndarray:
    """β f_k by pymbar from at most so many evenly spaced samples of each window, shape (windows,)."""
    # what pymbar says about JAX and about itself when it is imported is not about these windows
    logging.getLogger("pymbar").setLevel(logging.ERROR)
    try:
        from pymbar import MBAR  # optional, and it takes a second
    except ImportError as error:
        raise SamplingError("umbrella windows are joined with pymbar; pip install 'beadwise[sampling]'") from error
    thinned = [window.reduced_biases[:, :: -(-window.samples // FIRST_SAMPLES)] for window in windows]
    counts = np.array([biases.shape[1] for biases in thinned])
    return np.asarray(MBAR(np.concatenate(thinned, axis=1), counts, initialize="zeros").f_k, dtype=np.float64)
