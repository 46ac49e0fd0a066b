"""Members of a committee of Hamiltonians: which frames each is fitted to, and how far apart they have to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ....model.errors import StructureError
from ....model.orbitals.basis import OrbitalError
from ....model.orbitals.levels import Levels
from ....model.orbitals.model import HamiltonianModel
from ....properties.quantities import GAP, LEVELS, properties
from ...data import DataError
from ..calibration import Reliability
from ..committee_fit import chosen_blocks
from ..sections import CommitteeSettings
from .matrices import Molecules
from .sections import MemberSettings


@dataclass(frozen=True)
class Parts:
    """Parts that the training frames are dealt out to, whose normal equations add up, so that one pass is enough.

    Parameters
    ----------
    of_frames : sequence of ndarray of int, shapes (frames,)
        Of each of the molecules, the part that each frame is in.
    count : int
    chosen : sequence of sequence of int
        The parts that each member is fitted to; empty without members.
    """

    of_frames: Sequence[np.ndarray]
    count: int
    chosen: Sequence[Sequence[int]]


def parts_of(training: Sequence[Molecules], settings: MemberSettings | None) -> Parts:
    """Deal frames out to as many parts as there are members, or to one without members.

    Each member is fitted to a random choice of the parts (Politis, Romano, Ann. Stat. 22, 2031 (1994); for potentials
    Musil, Willatt, Langovoy, Ceriotti, J. Chem. Theory Comput. 15, 906 (2019)).

    Raises
    ------
    DataError
        If there are fewer frames than members.
    ConfigurationError
        If there are too few different choices.
    """
    counts = [own.batch.beads for own in training]
    if settings is None:
        return Parts([np.zeros(count, dtype=int) for count in counts], 1, ())
    frames, members = sum(counts), settings.members
    if frames < members:
        raise DataError(f"{frames} frames to fit; a committee of {members} members needs at least as many")
    generator = np.random.default_rng(settings.seed)
    dealt = np.concatenate([generator.permutation(members) for _ in range(-(-frames // members))])[:frames]
    own = CommitteeSettings(members=members, fraction=settings.fraction, seed=settings.seed)
    return Parts(np.split(dealt, np.cumsum(counts)[:-1]), members, chosen_blocks(members, own, generator))


@dataclass(frozen=True)
class SpreadOfMembers:
    """Errors of levels and gaps beside what members differ by.

    Parameters
    ----------
    found : mapping of str to Reliability
        Of ``orbital_energies`` and, where there is a gap, ``orbital_gap``.
    """

    found: Mapping[str, Reliability]

    def as_dict(self) -> dict[str, dict[str, float | int | str]]:
        """Numbers for JSON, by property."""
        return {name: own.as_dict() for name, own in self.found.items()}

    def lines(self, calibration: float) -> list[str]:
        """For people, in meV."""
        lines = [f"members were set {calibration:.3g} times as far apart, by the levels of these frames:"]
        for name, own in self.found.items():
            numbers = own.as_dict()
            lines.append(
                f"  {name:21}  {1e3 * float(numbers['root_mean_square_uncertainty']):9.3f} meV expected, "
                f"{1e3 * float(numbers['root_mean_square_error']):.3f} meV found, root mean squares; "
                f"{100 * own.fraction_within(1):.0f} % within 1σ (68 % of a Gaussian), "
                f"{100 * own.fraction_within(2):.0f} % within 2σ (95 %)"
            )
        return lines


def calibrated(
    model: HamiltonianModel, molecules: Sequence[Molecules]
) -> tuple[HamiltonianModel, SpreadOfMembers | None]:
    """Set members so far apart that their levels differ by as much as levels are wrong.

    One factor for all, of `beadwise.learning.fitting.calibration.calibration_factor`, by the levels; so a member stays
    a Hamiltonian, and its gap is that of its levels.

    Parameters
    ----------
    model : HamiltonianModel
    molecules : sequence of Molecules
        That were not fitted.

    Returns
    -------
    tuple of HamiltonianModel and SpreadOfMembers or None
        None without members, or without frames.

    Raises
    ------
    DataError
        If members agree on what is wrong.
    """
    if not model.members or not molecules:
        return model, None
    factor = _reliabilities(replace(model, calibration=1.0), molecules)[LEVELS].factor
    model = replace(model, calibration=factor)
    return model, SpreadOfMembers(_reliabilities(model, molecules))


def _reliabilities(model: HamiltonianModel, molecules: Sequence[Molecules]) -> dict[str, Reliability]:
    spreads: dict[str, list[np.ndarray]] = {LEVELS: [], GAP: []}
    errors: dict[str, list[np.ndarray]] = {LEVELS: [], GAP: []}
    for own in molecules:
        try:
            ours, of_members = model.levels_of_members(own.batch)
        except (StructureError, OrbitalError) as error:
            raise DataError(
                f"members of the committee cannot answer for a frame that was set aside: {error}"
            ) from error
        theirs = Levels.of(own.hamiltonian, own.overlap, ours.electrons)
        values = {LEVELS: [one.energies for one in (ours, theirs, *of_members)]}
        if has_gap(ours):
            values[GAP] = [one.gap for one in (ours, theirs, *of_members)]
        for name, (mean, label, *each) in values.items():
            spreads[name].append(np.std(each, axis=0, ddof=1).ravel())
            errors[name].append((mean - label).ravel())
    return {
        name: Reliability(
            str(properties()[name].unit), np.concatenate(spreads[name]), np.concatenate(errors[name]), model.members
        )
        for name in (LEVELS, GAP)
        if spreads[name]
    }


def has_gap(levels: Levels) -> bool:
    """Whether electrons fill levels in pairs, with one above and one below."""
    try:
        return levels.filled > 0
    except OrbitalError:
        return False
