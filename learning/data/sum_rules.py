"""Rules that dipoles, Born charges and polarizabilities must obey, and what a file that breaks them tells.

Born charges are Z*_{i,aβ} = ∂M_β/∂r_ia: rows are displacements, columns components of the dipole.  They add up to the
total charge (acoustic sum rule), and for a finite neutral structure they turn with it:
Σ_i Z*_iᵀ (w × r_i) = w × μ for every axis w, which holds in the right unit and order of indices only.  Dipoles of
periodic cells are known up to e times a lattice vector (King-Smith, Vanderbilt, Phys. Rev. B 47, 1651 (1993)).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ...properties.unit_names import in_own_units
from ...quantity import Unit
from .branches import quanta
from .frame import Frame

DIPOLE, CHARGES, POLARIZABILITY = "dipole", "born_effective_charges", "polarizability"
CHARGE_TOLERANCE = 0.1  # e, of the sum of Born charges
SLOPE_TOLERANCE = 0.05  # of the rotational sum rule; real data are within 0.02
TRANSPOSED = 0.5  # of the residual, below which the other order of the indices is the right one
ASYMMETRY = 0.01  # of a polarizability, relative
SAME_CELL = 0.01  # Å, of lattice vectors: strain changes a dipole, too
LONGEST_STEP = 0.5  # Å, of an atom between two frames of a trajectory
TOO_POLARIZABLE = 2.5  # times the free atoms: molecules have 0.6 to 1.1, and bohr³ taken for Å³ would be 4 to 7
UNITS = ("debye", "e*bohr")
# of free atoms in atomic units: P. Schwerdtfeger, J. K. Nagle, Mol. Phys. 117, 1200 (2019)
FIRST_FREE_ATOMS = (
    4.51, 1.38, 164.1, 37.7, 20.5, 11.3, 7.4, 5.3, 3.74, 2.66, 162.7, 71.2, 57.8, 37.3, 25.0, 19.4, 14.6, 11.1,
)  # fmt: skip
FREE_ATOMS = dict(enumerate(FIRST_FREE_ATOMS, 1)) | {35: 21.0, 53: 32.9}


@dataclass
class SumRules:
    """What the frames of a file say, one after the other."""

    charge_error: float = 0.0
    charge_frame: str = ""
    charges: list[float] = field(default_factory=list)
    turned: list[np.ndarray] = field(default_factory=list)
    turned_otherwise: list[np.ndarray] = field(default_factory=list)
    needed: list[np.ndarray] = field(default_factory=list)
    steps: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)
    jumps: int = 0
    jumps_as_said: int = 0  # of dipoles that are read as known up to quanta
    asymmetric: list[str] = field(default_factory=list)
    negative: list[str] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    origin_dependent: int = 0
    _last: Frame | None = None

    def add(self, frame: Frame) -> None:
        """Take one more frame, in the order of the file."""
        if CHARGES in frame.labels:
            self._add_charges(frame)
        if DIPOLE in frame.labels:
            self.origin_dependent += bool(frame.charge)
            self._add_step(frame)
        if POLARIZABILITY in frame.labels:
            self._add_polarizability(frame)

    def _add_charges(self, frame: Frame) -> None:
        charges = frame.labels[CHARGES]
        if not np.isfinite(charges).all():
            return
        total = charges.sum(axis=0)
        self.charges.append(float(np.trace(total)) / 3)
        error = float(np.abs(total - (frame.charge or 0.0) * np.eye(3)).max())
        if error >= self.charge_error:
            self.charge_error, self.charge_frame = error, frame.name
        if DIPOLE in frame.labels and not frame.atoms.pbc.any() and not frame.charge:
            positions = frame.atoms.positions - frame.atoms.positions.mean(axis=0)
            for axis in np.eye(3):
                moved = np.cross(axis, positions)
                self.turned.append(np.einsum("iab,ia->b", charges, moved))
                self.turned_otherwise.append(np.einsum("iba,ia->b", charges, moved))
                self.needed.append(np.cross(axis, frame.labels[DIPOLE]))

    def _add_step(self, frame: Frame) -> None:
        """The step from the frame before, if both are periodic and near each other."""
        last, self._last = self._last, frame
        atoms = frame.atoms
        if last is None or not atoms.pbc.all() or not np.array_equal(last.atoms.numbers, atoms.numbers):
            return
        if not last.atoms.pbc.all() or np.abs(last.atoms.cell.array - atoms.cell.array).max() > SAME_CELL:
            return
        fractions = atoms.cell.scaled_positions(atoms.positions) - last.atoms.cell.scaled_positions(
            last.atoms.positions
        )
        moved = (fractions - np.round(fractions)) @ atoms.cell.array
        if np.abs(moved).max() > LONGEST_STEP:
            return
        step, is_folded = frame.labels[DIPOLE] - last.labels[DIPOLE], frame.is_folded and last.is_folded
        if CHARGES in frame.labels and CHARGES in last.labels:
            mean = 0.5 * (frame.labels[CHARGES] + last.labels[CHARGES])
            predicted = np.einsum("iab,ia->b", mean, moved)
            otherwise = np.einsum("iba,ia->b", mean, moved)
        else:
            predicted = otherwise = np.full(3, np.nan)
        quantum = frame.quantum if is_folded and frame.quantum is not None else atoms.cell.array
        whole = np.round(quanta(np.where(np.isfinite(predicted), step - predicted, step), quantum))
        self.jumps += bool(whole.any())
        self.jumps_as_said += bool(whole.any() and is_folded)
        self.steps.append((step - whole @ quantum, predicted, otherwise))

    def _add_polarizability(self, frame: Frame) -> None:
        tensor = frame.labels[POLARIZABILITY]
        if not np.isfinite(tensor).all():
            return
        if np.abs(tensor - tensor.T).max() > ASYMMETRY * np.abs(tensor).max():
            self.asymmetric.append(frame.name)
        if np.linalg.eigvalsh(0.5 * (tensor + tensor.T))[0] <= 0:
            self.negative.append(frame.name)
        numbers = frame.atoms.numbers.tolist()
        if not frame.atoms.pbc.any() and set(numbers) <= FREE_ATOMS.keys():
            free = sum(FREE_ATOMS[number] for number in numbers) * in_own_units("au", Unit(length=3))
            self.ratios.append(float(np.trace(tensor)) / 3 / free)

    def findings(self) -> tuple[list[str], list[str]]:
        """What was found, and what is wrong; sentences for people."""
        found: list[str] = []
        wrong: list[str] = []
        for part in (self._of_charges, self._of_rotation, self._of_steps, self._of_polarizability):
            part(found, wrong)
        if self.origin_dependent:
            found.append(
                f"dipoles of {self.origin_dependent} charged frames depend on their origin; a model of them is about a "
                "centre that moves with the atoms"
            )
        return found, wrong

    def _of_charges(self, found: list[str], wrong: list[str]) -> None:
        if not self.charges:
            return
        text = f"Born charges add up to the total charge within {self.charge_error:.2g} e ({self.charge_frame})"
        if self.charge_error <= CHARGE_TOLERANCE:
            found.append(text)
            return
        mean, spread = float(np.mean(self.charges)), float(np.std(self.charges))
        hint = ""
        if abs(round(mean)) >= 1 and abs(mean - round(mean)) + spread < CHARGE_TOLERANCE:
            hint = f"; they add up to {round(mean):+d} e, so say charge = {round(mean)} if these are ions"
        wrong.append(f"{text}, more than {CHARGE_TOLERANCE} e: the acoustic sum rule{hint}")

    def _of_rotation(self, found: list[str], wrong: list[str]) -> None:
        if not self.needed:
            return
        needed, turned, otherwise = (np.ravel(part) for part in (self.needed, self.turned, self.turned_otherwise))
        if not needed.any():
            return
        slope, residual = _fit(turned, needed)
        other_slope, other_residual = _fit(otherwise, needed)
        text = (
            f"rotational sum rule of dipoles and Born charges, {len(needed) // 9} frames: slope {slope:.4f} where 1 is "
            f"right, residual {100 * residual:.2g} %"
        )
        if other_residual < TRANSPOSED * residual:
            wrong.append(
                f"{text}; with the indices of the Born charges exchanged {100 * other_residual:.2g} % and slope "
                f"{other_slope:.4f}: say orders = {{{CHARGES} = 'xx yx zx xy yy zy xz yz zz'}}"
            )
        elif abs(slope - 1) > SLOPE_TOLERANCE:
            wrong.append(f"{text}{_unit_hint(slope)}")
        else:
            found.append(text)

    def _of_steps(self, found: list[str], wrong: list[str]) -> None:
        if not self.steps:
            return
        folded, predicted, otherwise = (np.array(part) for part in zip(*self.steps, strict=True))
        known = np.isfinite(predicted)
        if self.jumps:
            text = (
                f"the dipole jumps by e times a lattice vector in {self.jumps} of {len(self.steps)} steps between near "
                "frames: it is that of a Berry phase, on several branches"
            )
            if known.any() and self.jumps_as_said == self.jumps:
                found.append(f"{text}; a fit finds the branch by the Born charges")
            elif known.any():
                wrong.append(f"{text}, and is not read as one; say dipole_quantum = 'lattice'")
            else:
                wrong.append(f"{text}; unfold it before a fit, or add Born charges, which tell the branch")
        if not known.any():
            return
        slope, residual = _fit(predicted[known], folded[known])
        other_residual = _fit(otherwise[known], folded[known])[1]
        text = (
            f"changes of the dipole and Born charges agree with slope {slope:.3f}, residual {100 * residual:.2g} %, in "
            f"{len(self.steps)} steps between near frames"
        )
        if other_residual < TRANSPOSED * residual:
            wrong.append(f"{text}; with the indices of the Born charges exchanged {100 * other_residual:.2g} %")
        elif hint := _known_factor(slope):  # other slopes are those of steps that are not small
            wrong.append(f"{text}{hint}")
        else:
            found.append(text)

    def _of_polarizability(self, found: list[str], wrong: list[str]) -> None:
        for names, what in ((self.asymmetric, "not symmetric"), (self.negative, "not positive")):
            if names:
                wrong.append(f"the polarizability of {len(names)} frames is {what}, the first {names[0]}")
        if self.ratios:
            ratio = float(np.median(self.ratios))
            text = f"polarizabilities are {ratio:.3g} times those of the free atoms; molecules have 0.6 to 1.1"
            if ratio > TOO_POLARIZABLE:
                wrong.append(f"{text}: say units = {{polarizability = 'bohr^3'}} if that is their unit")
            else:
                found.append(text)


def _fit(values: np.ndarray, needed: np.ndarray) -> tuple[float, float]:
    """Slope of values over what is needed, and what is left of them, relative."""
    values, needed = values.ravel(), needed.ravel()
    square = float(values @ values)
    if square == 0 or not needed.any():
        return 0.0, 1.0
    slope = float(values @ needed) / float(needed @ needed)
    return slope, float(np.sqrt(((values - slope * needed) ** 2).sum() / square))


def _unit_hint(slope: float) -> str:
    """What would make a slope 1."""
    return _known_factor(slope) or ": units or labels differ"


def _known_factor(slope: float) -> str:
    """Which unit of the dipole, or which sign, would make a slope 1; empty if none that is usual."""
    for unit in UNITS:
        factor = in_own_units(unit, Unit(charge=1, length=1))
        if abs(slope / factor - 1) < SLOPE_TOLERANCE:
            return f": the dipoles seem to be in {unit}; say units = {{dipole = '{unit}'}}"
    return ": the sign of one of them is reversed" if abs(slope + 1) < SLOPE_TOLERANCE else ""
