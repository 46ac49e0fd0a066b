"""The mean force on centroids as a correction to a potential: Te PIGS.

Forces at centroids that a path integral visits scatter about their mean; least squares over all of them find that mean
(force matching): F. Musil, I. Zaporozhets, F. Noé, C. Clementi, V. Kapil, J. Chem. Phys. 157, 181102 (2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from ...model import Model
from ...progress import Progress
from ..data import Frame
from ..fitting.bare_model import bare_model, envelope
from ..fitting.configuration import Configuration, DensitySettings, EnergySettings
from ..fitting.energy_fit import energy_rows
from ..fitting.head_fit import HeadProblem
from ..fitting.least_squares import NormalEquations, sum_of
from ..fitting.sections import DataSettings, OutputSettings, RepulsionSettings

BLOCKS = 5  # contiguous parts of the run; each is left out once
RIDGES = (1e-6, 1e-4, 1e-2, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)  # of which cross-validation takes one
RECORD = "pigs"  # in the metadata of the model


@dataclass(frozen=True)
class CorrectionErrors:
    """How well a correction is known, in eV/Å, root mean squares over components.

    Parameters
    ----------
    correction : float
        Of the fitted correction itself: its size.
    scatter : float
        Of the differences that it was fitted to: correction and noise.
    residual : float
        What frames that were left out of a fit differ from it.
    statistical : float
        Standard error of the correction, a jackknife over blocks of the run.
    slope : float
        Of the differences on the predicted correction, in frames that were left out; 1 where it is neither too large
        nor too small.
    ridge : float
        The regularisation with the smallest residual.
    frames : int
    """

    correction: float
    scatter: float
    residual: float
    statistical: float
    slope: float
    ridge: float
    frames: int

    @property
    def noise(self) -> float:
        """What of the residual is no error of the fit: the scatter of the instantaneous force about its mean."""
        return float(np.sqrt(max(self.residual**2 - self.statistical**2, 0.0)))

    @property
    def lines(self) -> tuple[str, ...]:
        """For people."""
        unit = 1000
        return (
            f"{self.frames} frames; quantum nuclei add {unit * self.correction:.0f} ± {unit * self.statistical:.0f} "
            "meV/Å to a component of the force (root mean squares of the correction and of its standard error)",
            f"frames that were left out differ by {unit * self.residual:.0f} meV/Å, of which "
            f"{unit * self.noise:.0f} meV/Å are noise of the instantaneous force; their slope on the correction is "
            f"{self.slope:.2f}",
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What speaks against trusting it."""
        found = []
        if self.statistical > 0.3 * self.correction:
            found.append(
                f"the correction is known to {100 * self.statistical / self.correction:.0f} % only; sample more frames"
            )
        if not 0.8 < self.slope < 1.2:
            found.append(
                f"the slope of left-out forces on the correction is {self.slope:.2f}, not 1; sample more frames"
            )
        return tuple(found)

    def as_dict(self) -> dict[str, Any]:
        """For programs, in eV/Å."""
        return {**asdict(self), "noise": self.noise}


def fit_correction(
    frames: Sequence[Frame],
    density: DensitySettings,
    metadata: dict[str, Any],
    progress: Progress | None = None,
) -> tuple[Model, CorrectionErrors]:
    """Fit the mean of the differences of forces, whose integral is a correction of the energy.

    Parameters
    ----------
    frames : sequence of Frame
        In the order of the run; their forces are the differences.
    density : DensitySettings
    metadata : dict
        Of the model.
    progress : Progress, optional

    Returns
    -------
    model : Model
        The correction, which vanishes for isolated atoms.
    errors : CorrectionErrors
    """
    scatter = _root_mean_square(np.array([frame.labels["forces"] for frame in frames]))
    settings = _configuration(density, EnergySettings(force_error=scatter), metadata)
    bare = bare_model(settings, list(frames))
    problem = HeadProblem.of("energy", bare, frames, settings)
    block = np.arange(len(frames)) * BLOCKS // len(frames)
    equations = [problem.empty_equations() for _ in range(BLOCKS)]
    rows = []
    for count, frame in enumerate(frames):
        if progress:
            progress("correction", count, len(frames))
        gradient = energy_rows(bare, frame)[1]
        rows.append(gradient)
        equations[block[count]].add(-gradient / scatter, frame.labels["forces"].ravel() / scatter)
    if progress:
        progress("correction", len(frames), len(frames))
    targets = [frame.labels["forces"].ravel() for frame in frames]
    found = [_cross_validated(equations, rows, targets, block, ridge) for ridge in RIDGES]
    best = int(np.argmin([one[0] for one in found]))
    residual, slope, statistical = found[best]
    whole = sum_of(equations)
    energy = replace(settings.energy, ridge=RIDGES[best]) if settings.energy else None
    chosen = replace(problem, configuration=replace(settings, energy=energy))
    weights = whole.solve(RIDGES[best])
    size = _root_mean_square(np.concatenate([row @ weights for row in rows]))
    errors = CorrectionErrors(size, scatter, residual, statistical, slope, RIDGES[best], len(frames))
    heads = dict(zip(chosen.names, chosen.solve(whole), strict=True))
    model = replace(bare, heads=heads)
    known = {**metadata, "envelope": envelope(model, frames)}
    known[RECORD] = {**metadata.get(RECORD, {}), **errors.as_dict()}
    return replace(model, metadata=known), errors


def _cross_validated(
    equations: list[NormalEquations], rows: list[np.ndarray], targets: list[np.ndarray], block: np.ndarray, ridge: float
) -> tuple[float, float, float]:
    """Residual and slope of blocks that were left out, and the jackknife error of the forces of all frames."""
    weights = []
    for own in range(BLOCKS):
        others = [one for place, one in enumerate(equations) if place != own]
        weights.append(reduce(_included, others, NormalEquations(*equations[0].right.shape)).solve(ridge))
    without = np.array(weights).T
    squares = products = predicted_squares = variance = 0.0
    for row, target, own in zip(rows, targets, block, strict=True):
        forces = -row @ without
        left_out = forces[:, own]
        squares += np.square(target - left_out).sum()
        products += target @ left_out
        predicted_squares += left_out @ left_out
        variance += (BLOCKS - 1) * forces.var(axis=1).sum()
    count = sum(map(len, targets))
    slope = products / predicted_squares if predicted_squares > 0 else 0.0
    return float(np.sqrt(squares / count)), float(slope), float(np.sqrt(variance / count))


def _included(whole: NormalEquations, part: NormalEquations) -> NormalEquations:
    whole.include(part)
    return whole


def _root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(np.square(values).mean()))


def _configuration(density: DensitySettings, energy: EnergySettings, metadata: dict[str, Any]) -> Configuration:
    """That of a fit of forces alone; the potential that is corrected has a guard against short distances already."""
    return Configuration(
        folder=Path(),
        data=DataSettings(train=["centroids"]),
        density=density,
        lode=None,
        output=OutputSettings(model=""),
        repulsion=RepulsionSettings(strength=0.0),
        energy=energy,
        charges=None,
        network=None,
        equivariant=None,
        quantities={},
        committee=None,
        metadata=metadata,
    )
