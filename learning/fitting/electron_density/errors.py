"""What a fitted density is worth: errors on frames that were not fitted, by integrals over space and in energies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.units import Bohr, Hartree

from ....model.electron_density.grids import Quadrature, density_on
from ....model.electron_density.model import DensityModel, dipoles, solved
from .labels import Densities

POOR = 0.05  # of the electrons: from here on something is wrong with the labels
MOST_INTEGRALS = 100  # frames whose errors are integrated over space


@dataclass(frozen=True)
class DensityErrors:
    """Errors on some frames, against the densities that the labels have in the same functions.

    Parameters
    ----------
    frames : int
    moved : float
        Mean over frames of ∫|ρ − ρ_label| / N.
    worst : float
        The largest of them.
    quadrature : float
        Largest relative error of ∫ρ_label on the same points.
    in_metric : float
        Root mean square of (δc M δc)½ over that of (c M c)½, in the metric of the fit.
    shift : float
        Root mean square of the electrons that the constraint takes away, before which the density is fitted.
    dipole, worst_dipole : float
        Root mean square error of a component, and the largest |δμ|, in e·Å.
    hartree : float
        Root mean square error of ½ cᵀJc in eV, against the same of the labels.
    robust : float
        Root mean square error in eV of wᵀc − ½ cᵀJc against that of the label's unconstrained fit in J, ½ wᵀJ⁻¹w;
        NaN without Coulomb projections.
    """

    frames: int
    moved: float
    worst: float
    quadrature: float
    in_metric: float
    shift: float
    dipole: float
    worst_dipole: float
    hartree: float
    robust: float

    def lines(self) -> list[str]:
        """For people."""
        found = [
            f"{self.frames} frames that were not fitted, against the densities of the labels in the same functions:",
            f"  ∫|δρ|/N          {100 * self.moved:9.4f} % in the mean, {100 * self.worst:.4f} % at most (points: "
            f"{self.quadrature:.0e})",
            f"  in the metric    {100 * self.in_metric:9.4f} % of its root mean square",
            f"  electrons        {self.shift:9.2e} before they are made exact, root mean square",
            f"  dipole           {self.dipole / Bohr:9.5f} e·bohr per component, root mean square; at most "
            f"{self.worst_dipole / Bohr:.5f}",
            f"  ½cᵀJc            {1e3 * self.hartree:9.2f} meV, root mean square",
        ]
        if np.isfinite(self.robust):
            found.append(f"  wᵀc − ½cᵀJc      {1e3 * self.robust:9.2f} meV, root mean square, against ½wᵀJ⁻¹w")
        if not self.moved < POOR:
            found.append(
                f"warning: {100 * self.moved:.3g} % of the electrons are in the wrong place; are basis, p_order and "
                "units those of the densities?"
            )
        return found


def density_errors(model: DensityModel, densities: Sequence[Densities]) -> DensityErrors:
    """Compare densities, dipoles and Hartree energies with those of the labels."""
    frames = sum(own.batch.beads for own in densities)
    step = -(-frames // MOST_INTEGRALS)
    moved: list[tuple[float, float]] = []
    pairs: dict[str, list[np.ndarray]] = {name: [] for name in ("metric", "dipole", "hartree", "robust", "shift")}
    labels_square, place = 0.0, 0
    for own in densities:
        found = model.constrained(own.batch)
        rest = found.coefficients - own.coefficients
        pairs["metric"].append(_squares(found.metrics, rest))
        labels_square += float(_squares(found.metrics, own.coefficients).sum())
        pairs["shift"].append(found.shifts)
        pairs["dipole"].append(found.dipoles - dipoles(own.functions, own.batch, own.coefficients))
        coulomb = found.metrics if model.metric == "coulomb" else own.metrics("coulomb")
        halves = [Hartree / 2 * _squares(coulomb, one) for one in (found.coefficients, own.coefficients)]
        pairs["hartree"].append(halves[0] - halves[1])
        if (projections := own.projections.get("coulomb")) is not None:
            robust = Hartree * (projections * found.coefficients).sum(axis=1) - halves[0]
            exact = Hartree / 2 * (projections * solved(coulomb, projections)).sum(axis=1)
            pairs["robust"].append(robust - exact)
        for frame in range(own.batch.beads):
            if place % step == 0:
                moved.append(_moved(own, frame, found.coefficients[frame]))
            place += 1
    of_moved, of_points = np.array(moved).T
    of_dipoles = np.concatenate(pairs["dipole"])
    squares = np.concatenate(pairs["metric"])
    return DensityErrors(
        frames,
        float(of_moved.mean()),
        float(of_moved.max()),
        float(of_points.max()),
        float(np.sqrt(max(squares.sum(), 0.0) / labels_square)),
        _root(pairs["shift"]),
        _root(pairs["dipole"]),
        float(np.linalg.norm(of_dipoles, axis=1).max()),
        _root(pairs["hartree"]),
        _root(pairs["robust"]),
    )


def _moved(own: Densities, frame: int, coefficients: np.ndarray) -> tuple[float, float]:
    """∫|ρ − ρ_label| / N of a frame, and the relative error of ∫ρ_label by the same points."""
    positions = own.batch.positions[frame] / Bohr
    points, weights = Quadrature().of(own.batch.numbers, positions)
    both = np.stack([own.coefficients[frame], coefficients - own.coefficients[frame]])
    label, rest = density_on(own.functions.basis, own.batch.numbers, positions, both, points)
    electrons = own.coefficients[frame] @ own.functions.charges
    return float(np.abs(rest) @ weights / electrons), float(abs(label @ weights / electrons - 1))


def _squares(metrics: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    return np.einsum("fp,fpq,fq->f", coefficients, metrics, coefficients)


def _root(values: list[np.ndarray]) -> float:
    return float(np.sqrt(np.mean(np.concatenate(values) ** 2))) if values else np.nan
