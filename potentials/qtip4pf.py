"""The flexible water potential q-TIP4P/F of Habershon, Markland and Manolopoulos, J. Chem. Phys. 131, 024501 (2009).

A molecule has quartic O–H bonds, ``V = D [x² − x³ + 7/12 x⁴]`` with ``x = α (r − r_eq)``, and a harmonic angle,
``V = k/2 (θ − θ_eq)²``.  Molecules interact by a Lennard-Jones potential between their oxygens and by three point
charges each: +q at the hydrogens and −2q at ``M = γ O + (1 − γ)/2 (H1 + H2)``.  There is no such interaction within a
molecule.  The dipole is linear in the positions, so the charges that M hands on to the atoms are the Born charges.

Two things are not part of the published potential and are chosen here.  The Lennard-Jones potential is multiplied by
``1 − 10 y³ + 15 y⁴ − 6 y⁵``, ``y = (r − onset)/(cutoff − onset)``, from `SWITCH_WIDTH` before the cutoff on, so that
energy and forces go to zero smoothly; nothing is added for what is further away.  In a lattice the charges are summed
by Ewald's method; without one every pair is summed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..constants import AVOGADRO, CALORIE, COULOMB, ELEMENTARY_CHARGE
from ..pyx.water import flexible_water

KILOCALORIE_PER_MOLE = CALORIE * 1e3 / AVOGADRO / ELEMENTARY_CHARGE  # eV

HYDROGEN_CHARGE = 0.5564  # e
GAMMA = 0.73612
BOND_DEPTH = 116.09 * KILOCALORIE_PER_MOLE  # D
BOND_EXPONENT = 2.287  # α, 1/Å
BOND_LENGTH = 0.9419  # r_eq, Å
ANGLE_STIFFNESS = 87.85 * KILOCALORIE_PER_MOLE  # k, eV/rad²
ANGLE = np.radians(107.4)  # θ_eq
WELL_DEPTH = 0.1852 * KILOCALORIE_PER_MOLE  # ε
DIAMETER = 3.1589  # σ, Å
SWITCH_WIDTH = 1.0  # Å

ATOMIC_CHARGES = np.array([-2 * GAMMA, GAMMA, GAMMA]) * HYDROGEN_CHARGE  # Born charges of O, H, H in e

LONGEST_BOND = 2.0  # Å: beyond it the quartic is no bond any more, and the atoms are of different molecules
LOWEST_CELL = 2 * LONGEST_BOND  # Å between faces: the shortest image of a bond is then its only one of such a length
CLOSEST_CHARGES = 0.4  # Å: nearer, H falls into the negative charge of another molecule, where the energy has no bound


@dataclass(frozen=True)
class Fault:
    """Why a bead cannot be evaluated: O and H of a molecule too far apart, molecules that overlap, or a flat cell.

    Parameters
    ----------
    kind : str
        "broken", "overlap" or "flat".
    bead : int
    first, second : int
        The atoms, −1 for a flat cell; an O stands for the negative charge of its molecule.
    distance : float
        Between them, or their charges, or two faces of the cell, in Å.
    """

    kind: str
    bead: int
    first: int
    second: int
    distance: float


def ewald_parameters(accuracy: float, cutoff: float) -> tuple[float, float]:
    """Splitting α and largest wave vector of Ewald's sum, both in 1/Å.

    The interaction that is cut off falls like ``exp(−α² r²)`` in real space and like ``exp(−k²/4α²)`` in waves; both
    are the stated accuracy where they are cut off (Kolafa and Perram, Mol. Simul. 9, 351 (1992)).

    Parameters
    ----------
    accuracy : float
        Between 0 and 1.
    cutoff : float
        Of the real space part, in Å.
    """
    decay = np.sqrt(-np.log(accuracy))
    return decay / cutoff, 2 * decay**2 / cutoff


def evaluate_water(
    positions: np.ndarray,
    cells: np.ndarray,
    periodic: bool,
    cutoff: float,
    accuracy: float,
    want: Sequence[str],
    threads: int = 1,
    electric_field: Sequence[float] = (0.0, 0.0, 0.0),
) -> tuple[dict[str, np.ndarray], Fault | None]:
    """Evaluate a batch of beads.

    Parameters
    ----------
    positions : ndarray of float64, shape (beads, atoms, 3)
        In Å: O, H, H molecule by molecule.  Each atom may be any of its periodic images.
    cells : ndarray of float64, shape (beads, 3, 3)
        Lattice vectors in Å, one per row; ignored if not periodic.
    periodic : bool
        Whether all three directions are periodic, or none.
    cutoff : float
        Between oxygens, in Å, of the Lennard-Jones potential and of the real space part of Ewald's sum.  It may be
        longer than the cell: all images are counted.
    accuracy : float
        Of Ewald's sum, see `ewald_parameters`.
    want : sequence of str
        Any of energy, forces, virial, dipole and born_charges.
    threads : int
        They take whole beads.
    electric_field : sequence of float, length 3
        Static field in V/Å that energy, forces and virial are evaluated in, see `add_field`.

    Returns
    -------
    arrays : dict of str to ndarray of float64
        ``energy`` (beads,) in eV, ``forces`` (beads, atoms, 3) in eV/Å, ``virial`` (beads, 3, 3) in eV, the negative
        derivative of the energy with respect to strain, ``dipole`` (beads, 3) in e·Å, ``born_charges`` (beads, atoms,
        3, 3) in e.
    fault : Fault or None
        If there is one the arrays mean nothing.
    """
    beads, atoms = positions.shape[:2]
    with_energy = not {"energy", "forces", "virial"}.isdisjoint(want)
    energies, forces, virials = np.zeros(beads), np.zeros(positions.shape), np.zeros((beads, 3, 3))
    dipoles = np.zeros((beads, 3))
    found = flexible_water(
        _law(periodic, cutoff, accuracy),
        positions,
        cells,
        periodic,
        energies if with_energy else None,
        forces,
        virials,
        dipoles,
        threads,
    )
    arrays = {"energy": energies, "forces": forces, "virial": virials, "dipole": dipoles}
    if np.any(electric_field):
        add_field(arrays, np.array(electric_field))
    if "born_charges" in want:
        one_bead = np.tile(ATOMIC_CHARGES, atoms // 3)[:, None, None] * np.eye(3)
        arrays["born_charges"] = np.tile(one_bead, (beads, 1, 1, 1))
    return {name: arrays[name] for name in want}, None if found is None else Fault(*found)


def add_field(arrays: dict[str, np.ndarray], electric_field: np.ndarray) -> None:
    """Add ``−E·μ`` to energies and its derivatives to forces and virials, in place.

    The dipole is ``μ = Σ q_i r_i`` over atoms gathered to whole, neutral molecules, so the force on an atom is
    ``q_i E``.  A strain ``r → (1 + ε) r`` carries μ along: ``−∂(−E·μ)/∂ε_ab = E_a μ_b``, which is not symmetric, as a
    field turns.

    Parameters
    ----------
    arrays : dict of str to ndarray of float64
        ``energy``, ``forces``, ``virial`` and ``dipole`` as `evaluate_water` returns them.
    electric_field : ndarray of float64, shape (3,)
        In V/Å.
    """
    dipole = arrays["dipole"]
    charges = np.tile(ATOMIC_CHARGES, arrays["forces"].shape[1] // 3)
    arrays["energy"] -= dipole @ electric_field
    arrays["forces"] += charges[:, None] * electric_field
    arrays["virial"] += electric_field[:, None] * dipole[:, None, :]


def _law(periodic: bool, cutoff: float, accuracy: float) -> dict[str, float]:
    """The numbers of the potential as the compiled code names them."""
    splitting, highest_wave = ewald_parameters(accuracy, cutoff) if periodic else (0.0, 0.0)
    return {
        "coulomb_constant": COULOMB,
        "hydrogen_charge": HYDROGEN_CHARGE,
        "site_weight": (1 - GAMMA) / 2,
        "bond_depth": BOND_DEPTH,
        "bond_exponent": BOND_EXPONENT,
        "bond_length": BOND_LENGTH,
        "angle_stiffness": ANGLE_STIFFNESS,
        "angle": ANGLE,
        "well_depth": WELL_DEPTH,
        "diameter": DIAMETER,
        "switch_width": SWITCH_WIDTH,
        "cutoff": cutoff,
        "splitting": splitting,
        "highest_wave": highest_wave,
        "longest_bond": LONGEST_BOND,
        "closest": CLOSEST_CHARGES,
        "lowest_cell": LOWEST_CELL,
    }
