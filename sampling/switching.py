"""From a harmonic crystal to the potential itself by integration over λ, and by MBAR over the same samples.

V_λ = (1 − λ) V_har + λ V gives A − A_har = ∫_0^1 ⟨V − V_har⟩_λ dλ (J. G. Kirkwood, J. Chem. Phys. 3, 300 (1935)),
with P beads of the mean of V − V_har over beads.  The integrand falls, as its slope is −β var(V − V_har), and may be
steep at both ends: λ = 10y³ − 15y⁴ + 6y⁵ crowds the nodes of a Gauss–Legendre rule in y there, dλ = 30 y² (1 − y)² dy.
As λ enters linearly, a sample's V − V_har gives its energy at every λ, so that MBAR (M. R. Shirts, J. D. Chodera,
J. Chem. Phys. 129, 124105 (2008)) needs no rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from ase.units import kB

from .errors import SamplingError
from .jackknife import blocks_of, error_without_blocks
from .mass_integration import gauss_legendre_ratios
from .multistate import Multistate, Window

SMOOTH, PLAIN = "smooth", "plain"
PATHS = (SMOOTH, PLAIN)
AT_A_NODE, WRITTEN = 1e-5, 1e-8  # relative, of λ and of 1 − λ; and what files leave of a λ near 1
FEWEST_BLOCKS = 8
FEWEST_SMOOTH = 3  # dλ/dy is of degree 4, and n nodes are exact up to 2n − 1


@dataclass(frozen=True)
class SwitchIntegration:
    """A − A_har of all atoms in eV by a rule over λ.

    Parameters
    ----------
    difference, standard_error : float
        The error is that of the samples, not of the rule.
    couplings, means, standard_errors, weights : ndarray of float64, shape (runs,)
        λ, increasing; ⟨V − V_har⟩ in eV with its error; weight in the difference.
    rule : str
        ``Gauss-Legendre``, of y or of λ itself, or ``trapezoidal``.
    """

    difference: float
    standard_error: float
    couplings: np.ndarray
    means: np.ndarray
    standard_errors: np.ndarray
    weights: np.ndarray
    rule: str

    @property
    def rises(self) -> list[tuple[float, float, float]]:
        """Neighbours between which the integrand rises, which it cannot: both λ, and the rise over its error."""
        steps = np.diff(self.means) / np.maximum(np.hypot(self.standard_errors[1:], self.standard_errors[:-1]), 1e-300)
        pairs = zip(self.couplings[:-1], self.couplings[1:], steps, strict=True)
        return [(float(low), float(high), float(step)) for low, high, step in pairs if step > 0]


@dataclass(frozen=True)
class SwitchMultistate:
    """A − A_har of all atoms in eV by MBAR.

    Parameters
    ----------
    difference, standard_error : float
        The error is from leaving out one block of all runs after the other.
    overlap : float
        1 for runs that sample the same, 0 for two groups without common samples.
    """

    difference: float
    standard_error: float
    overlap: float


def switch_nodes(runs: int, path: str = SMOOTH) -> tuple[np.ndarray, np.ndarray]:
    """The λ of so many runs, and the weights of their means.

    Parameters
    ----------
    runs : int
    path : "smooth" or "plain"
        ``smooth`` for λ = 10y³ − 15y⁴ + 6y⁵, ``plain`` for λ = y, which suits what is nearly harmonic only.

    Returns
    -------
    couplings, weights : ndarray of float64, shape (runs,)
        λ, increasing.

    Raises
    ------
    SamplingError
        If there is no run, no such path, or there are fewer than 3 runs for ``smooth``.
    """
    if path not in PATHS:
        raise SamplingError(f"the path is {path!r}; it must be one of {', '.join(PATHS)}")
    if path == SMOOTH and runs < FEWEST_SMOOTH:
        raise SamplingError(
            f"{runs} λ are too few for the path {SMOOTH}, whose weights add up to 1 from {FEWEST_SMOOTH} on; {PLAIN} "
            "suits any number"
        )
    y, weights = gauss_legendre_ratios(runs)
    if path == PLAIN:
        return y, weights
    return y**3 * (10 - 15 * y + 6 * y**2), weights * 30 * y**2 * (1 - y) ** 2


def integrate_over_switch(
    couplings: np.ndarray, means: np.ndarray, standard_errors: np.ndarray
) -> SwitchIntegration | None:
    """A − A_har by the rule that suits the λ of some runs.

    Parameters
    ----------
    couplings, means, standard_errors : ndarray of float64, shape (runs,)
        λ in any order, ⟨V − V_har⟩_λ in eV and its errors.

    Returns
    -------
    SwitchIntegration or None
        None where λ are neither the nodes of a rule nor reach from 0 to 1, for the trapezoidal one: then there is only
        MBAR.

    Raises
    ------
    SamplingError
        If λ repeat or are outside, numbers are not finite or do not belong together.
    """
    couplings, means, errors = (np.asarray(own, dtype=np.float64) for own in (couplings, means, standard_errors))
    if couplings.ndim != 1 or not couplings.size or not couplings.shape == means.shape == errors.shape:
        raise SamplingError(f"λ have the shape {couplings.shape}, means {means.shape}; (runs,) is needed for both")
    if not ((couplings >= 0) & (couplings <= 1)).all() or len(np.unique(couplings)) < len(couplings):
        raise SamplingError(f"λ are {couplings.tolist()}; they must differ from each other, from 0 to 1")
    if not (np.isfinite(means).all() and np.isfinite(errors).all()):
        raise SamplingError(f"means are {means.tolist()} with errors {errors.tolist()}; all must be finite")
    order = np.argsort(couplings)
    couplings, means, errors = couplings[order], means[order], errors[order]
    found = _rule_of(couplings)
    if found is None:
        return None
    rule, weights = found
    return SwitchIntegration(
        difference=float(weights @ means),
        standard_error=float(np.linalg.norm(weights * errors)),
        couplings=couplings,
        means=means,
        standard_errors=errors,
        weights=weights,
        rule=rule,
    )


def _rule_of(couplings: np.ndarray) -> tuple[str, np.ndarray] | None:
    """The rule of increasing λ, with its weights; None if there is none."""
    for path, rule in ((SMOOTH, "Gauss-Legendre over y, λ = 10y³ − 15y⁴ + 6y⁵"), (PLAIN, "Gauss-Legendre over λ")):
        if path == SMOOTH and len(couplings) < FEWEST_SMOOTH:
            continue
        nodes, weights = switch_nodes(len(couplings), path)
        allowed = np.maximum(AT_A_NODE * np.minimum(nodes, 1 - nodes), WRITTEN)
        if (np.abs(couplings - nodes) <= allowed).all():
            return rule, weights
    if len(couplings) > 1 and couplings[0] == 0 and couplings[-1] == 1:
        gaps = np.diff(couplings)
        return "trapezoidal", (np.append(gaps, 0) + np.append(0, gaps)) / 2
    return None


def multistate_over_switch(
    couplings: Sequence[float], differences: Sequence[np.ndarray], temperature: float, blocks: int = 16
) -> SwitchMultistate:
    """A − A_har by MBAR over the samples of all runs.

    Parameters
    ----------
    couplings : sequence of float
        λ of each run.
    differences : sequence of ndarray of float64, shape (samples,)
        V − V_har in eV of each run, of the mean over beads, in the order of time.
    temperature : float
        In K.
    blocks : int
        Contiguous parts of each run; the error is from leaving out the same part of all runs, one after the other.

    Raises
    ------
    SamplingError
        If pymbar is missing, numbers do not belong together, runs have fewer samples than blocks, or do not overlap.
    """
    if not (np.isfinite(temperature) and temperature > 0):
        raise SamplingError(f"the temperature is {temperature} K; it must be positive")
    if blocks < FEWEST_BLOCKS:
        raise SamplingError(f"{blocks} blocks say too little about an error; at least {FEWEST_BLOCKS} are needed")
    reduced = [np.asarray(own, dtype=np.float64) / (kB * temperature) for own in differences]
    if min(len(own) for own in reduced) < blocks:
        raise SamplingError(f"a run has {min(len(own) for own in reduced)} samples; at least {blocks} are needed")
    levels = np.asarray(couplings, dtype=np.float64)
    states = Multistate([Window(own[:, None], levels[:, None] * own, np.zeros(len(own))) for own in reduced])
    every = np.concatenate(reduced)
    block_of = np.concatenate([blocks_of(len(own), blocks) for own in reduced])

    def difference(kept: np.ndarray | None = None) -> float:
        return float(-scipy.special.logsumexp(states.log_weights(kept) - every))  # weights are those of λ = 0

    return SwitchMultistate(
        difference=kB * temperature * difference(),
        standard_error=kB * temperature * error_without_blocks(difference, block_of),
        overlap=states.overlap,
    )
