"""From averages and free energies of a committee to the numbers and curves that are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..sampling import CommitteeAverage, SamplingError, UncertainDifference, UncertainProfile
from .reweighting_results import Curve, Line


def curve_of_profile(result: UncertainProfile, variable: str) -> Curve:
    """The profile with its lowest value zero; members are those of the normalised −k_B T ln p."""
    profile = result.profile
    return Curve(
        variable, "free energy / eV", profile.coordinate, profile.free_energy, profile.standard_error,
        result.model_error, result.noise_floor, result.members,
    )  # fmt: skip


def lines_of(result: CommitteeAverage, labels: Sequence[str], units: Sequence[str]) -> list[Line]:
    """A line for each column of an average."""
    return [
        Line(
            name=label,
            unit=unit,
            mean=float(result.mean[column]),
            sampling_error=float(result.sampling_error[column]),
            model_error=float(result.model_error[column]),
            noise_floor=float(result.noise_floor[column]),
            members=tuple(result.members[..., column].mean(axis=1).tolist()),
            effective_samples=float(result.effective_samples.min()),
            spread=float(result.spread.max()),
            samples=result.samples,
            details=(
                ("error_of_potentials", float(result.potential_error[column])),
                ("error_of_properties", float(result.property_error[column])),
                ("second_order", float(result.second_order[column])),
            ),
        )
        for column, (label, unit) in enumerate(zip(labels, units, strict=True))
    ]


def lines_of_profile(result: UncertainProfile, variable: str) -> list[Line]:
    """The highest value of a profile whose error is known, and that with the largest model error."""
    profile = result.profile
    known = np.isfinite(profile.standard_error) & np.isfinite(result.model_error)
    if not known.any():
        raise SamplingError("no bin of the profile has known errors; fewer bins or a longer run would have")
    places = [int(np.argmax(np.where(known, one, -np.inf))) for one in (profile.free_energy, result.model_error)]
    return [
        Line(
            name=f"F at {variable} {profile.coordinate[place]:.4g}",
            unit="eV",
            mean=float(profile.free_energy[place]),
            sampling_error=float(profile.standard_error[place]),
            model_error=float(result.model_error[place]),
            noise_floor=float(result.noise_floor[place]),
            members=tuple(result.members[:, place].tolist()),
            effective_samples=float(result.effective_samples.min()),
            spread=float(result.spread.max()),
            samples=profile.samples,
        )
        for place in dict.fromkeys(places)
    ]


def line_of_difference(
    difference: UncertainDifference, ranges: tuple[tuple[float, float], tuple[float, float]], samples: int
) -> Line:
    """The free-energy difference of the second range from the first."""
    (first_low, first_high), (second_low, second_high) = ranges
    return Line(
        name=f"F({second_low:g} to {second_high:g}) − F({first_low:g} to {first_high:g})",
        unit="eV",
        mean=difference.value,
        sampling_error=difference.sampling_error,
        model_error=difference.model_error,
        noise_floor=difference.noise_floor,
        members=tuple(difference.members.tolist()),
        effective_samples=float(difference.effective_samples.min()),
        spread=float(difference.spread.max()),
        samples=samples,
    )


def without_model_error(line: Line) -> Line:
    """The same line, which says nothing about the model."""
    return replace(line, model_error=np.nan, noise_floor=np.nan, members=(np.nan,) * len(line.members), details=())
