"""Electrostatics of a batch of beads: what charges and dipoles at fixed positions do to each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ...pyx.electrostatics import induced_dipoles, potentials_of_moments
from ..errors import StructureError, as_structure_error
from .cuts import (
    COULOMB,
    LARGEST_EWALD,
    MOST_POINTS,
    balanced_splitting,
    ewald_cut,
    mesh_cut,
    mesh_splitting,
    plain_cut,
)
from .results import PLACES, ChargeEnergy, Potentials
from .slab import SlabCorrection, with_vacuum

CLOSEST = 0.01  # Å: nearer sites cannot be told apart
COLUMNS_AT_ONCE = 4  # that are solved together
LEFT_OF_A_MODE = 0.01  # of the part that each mode has of a random column, about: what may be left at its end


class Electrostatics:
    """The Coulomb interaction of sites at given positions, in three, two or no periodic directions.

    ``E = ½ Σ_i (q_i + p_i·∇) φ_i``.  Three periodic directions: Ewald's sum (Ann. Phys. 369, 253 (1921)) in a conductor
    (tin foil; de Leeuw, Perram, Smith, Proc. R. Soc. Lond. A 373, 27 (1980)); charges that do not add up to zero are in
    a uniform background.  Two: `beadwise.model.electrostatics.slab`.  None: the plain sum over pairs.

    A width σ makes a site the Gaussian ``(2πσ²)^(−3/2) e^(−r²/2σ²)``: two of them have erf(r/√2γ)/r, γ² = σ_i² + σ_j².
    The energy q²/(2σ√π) of each with itself is not part of E.  Damping is Thole's, for dipoles with dipoles
    (Chem. Phys. 59, 341 (1981)).

    Parameters
    ----------
    positions : ndarray of float64, shape (beads, sites, 3)
        In Å; they need not be wrapped into the cell.
    cells : ndarray of float64, shape (beads, 3, 3)
        Lattice vectors in Å, one per row; ignored in directions that are not periodic.
    periodic : sequence of 3 bool
    widths : ndarray of float64, shape (sites,), optional
        σ in Å; 0 for a point.
    damping : float
        In Å; 0 for none.
    accuracy : float
        What is left out of the sums, about, relative to the whole; between 1e-16 and 0.1.
    splitting : float, optional
        Ewald's κ in 1/Å; by default such that both sums cost about the same.  Nothing depends on it.
    mesh : bool, optional
        Whether the waves are taken by a particle mesh; by default where there are more than 1000 sites.
    threads : int

    Raises
    ------
    StructureError
        If one direction alone is periodic, or a number is not as described.
    """

    def __init__(
        self,
        positions: np.ndarray,
        cells: np.ndarray,
        periodic: Sequence[bool] | np.ndarray,
        widths: np.ndarray | None = None,
        damping: float = 0.0,
        accuracy: float = 1e-10,
        splitting: float | None = None,
        mesh: bool | None = None,
        threads: int = 1,
    ):
        self.positions = np.ascontiguousarray(positions, dtype=np.float64)
        self.periodic = np.asarray(periodic, dtype=bool)
        self.widths = None if widths is None else np.ascontiguousarray(widths, dtype=np.float64)
        self.damping, self.threads = float(damping), threads
        self._check(accuracy, splitting)
        self.cells = np.ascontiguousarray(cells, dtype=np.float64)
        self._slab: SlabCorrection | None = None
        self._cut = plain_cut()
        if self.periodic.any():
            self._cut_lattice(accuracy, splitting, self.sites > LARGEST_EWALD if mesh is None else mesh)

    @property
    def beads(self) -> int:
        """Number of beads."""
        return len(self.positions)

    @property
    def sites(self) -> int:
        """Number of sites."""
        return self.positions.shape[1]

    def _check(self, accuracy: float, splitting: float | None) -> None:
        if self.periodic.sum() == 1:
            raise StructureError(
                f"periodic directions are {self.periodic.tolist()}; electrostatics are for three, two or none"
            )
        if not 1e-16 <= accuracy <= 0.1:
            raise StructureError(f"accuracy is {accuracy:g}; allowed are 1e-16 to 0.1")
        if splitting is not None and not 0 < splitting < math.inf:
            raise StructureError(f"splitting is {splitting:g} 1/Å; a positive number is needed")
        if not 0 <= self.damping < math.inf:
            raise StructureError(f"damping is {self.damping:g} Å; allowed are lengths from 0")
        if self.widths is not None and not (np.isfinite(self.widths) & (self.widths >= 0)).all():
            raise StructureError(
                f"widths go from {self.widths.min():g} to {self.widths.max():g} Å; allowed are 0 and more"
            )

    def _cut_lattice(self, accuracy: float, given: float | None, uses_mesh: bool) -> None:
        """Choose how the sums are cut; a slab gets its vacuum, which is no shorter than the reach of the near part."""
        widest = 0.0 if self.widths is None or not len(self.widths) else float(self.widths.max())
        cells, is_slab = self.cells, not self.periodic.all()
        for _ in range(1 + is_slab):
            if is_slab:
                cells = with_vacuum(self.positions, self.cells, self.periodic, accuracy, self._cut["reach"])
            volume = _mean_volume(cells)
            if given is not None:
                splitting = given
            elif uses_mesh:
                splitting = mesh_splitting(self.sites, volume, accuracy)
            else:
                splitting = balanced_splitting(self.sites, volume)
            self._cut = ewald_cut(splitting, accuracy, widest, self.damping)
            if uses_mesh:
                self._cut = mesh_cut(splitting, accuracy, widest, self.damping, cells)
        if max(self._cut["mesh"]) > MOST_POINTS:
            raise StructureError(
                f"the mesh would have {' × '.join(map(str, self._cut['mesh']))} points; allowed are {MOST_POINTS} "
                "along each direction"
            )
        self.cells = cells
        if is_slab:
            self._slab = SlabCorrection(self.positions, cells, self.periodic)

    def _sums(
        self,
        charges: np.ndarray | None,
        dipoles: np.ndarray | None,
        second: bool,
        pairs: list[tuple[int, int]],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Ten derivatives and strains, in e/Å and so on."""
        if charges is None and dipoles is None:
            raise StructureError("no charges and no dipoles are given; one of them is needed")
        if self.damping and charges is not None:
            raise StructureError(f"damping is {self.damping:g} Å, and charges are given; it is for dipoles alone")
        charges, dipoles = (None if one is None else np.ascontiguousarray(one, float) for one in (charges, dipoles))
        needs_second = second or bool(pairs and dipoles is not None)
        with as_structure_error():
            found, strains, collision = potentials_of_moments(
                self.positions,
                self.cells,
                self.periodic,
                charges,
                dipoles,
                self.widths,
                self._cut,
                self.damping,
                CLOSEST,
                needs_second,
                pairs,
                self.threads,
            )
        self._refuse(collision)
        if self._slab is not None:
            self._slab.add(charges, dipoles, pairs, found, strains)
        return found, strains

    @staticmethod
    def _refuse(collision: tuple[int, int, int, float] | None) -> None:
        if collision is not None:
            bead, first, second, distance = collision
            raise StructureError(
                f"sites {first} and {second} lie on each other ({distance:.3g} Å, bead {bead}); they must be apart"
            )

    def potentials(
        self, charges: np.ndarray | None = None, dipoles: np.ndarray | None = None, second: bool = False
    ) -> Potentials:
        """Potentials of one or more sets of charges and dipoles, each a column.

        Parameters
        ----------
        charges : ndarray of float64, shape (beads, columns, sites), optional
            In e.
        dipoles : ndarray of float64, shape (beads, columns, sites, 3), optional
            In e·Å.
        second : bool
            Whether second derivatives are wanted; else they are zeros.

        Raises
        ------
        StructureError
            If two sites lie on each other.
        """
        return Potentials(COULOMB * self._sums(charges, dipoles, second, [])[0])

    def energy(self, charges: np.ndarray | None = None, dipoles: np.ndarray | None = None) -> ChargeEnergy:
        """Energy, forces, virial, and derivatives by charges and dipoles.

        Parameters
        ----------
        charges : ndarray of float64, shape (beads, sites), optional
            In e.
        dipoles : ndarray of float64, shape (beads, sites, 3), optional
            In e·Å.

        Raises
        ------
        StructureError
            If two sites lie on each other.
        """
        own = None if charges is None else charges[:, None]
        own_dipoles = None if dipoles is None else dipoles[:, None]
        found, strains = self._sums(own, own_dipoles, False, [(0, 0)])
        gradients = _gradients(found, own, own_dipoles, 0, 0)
        energy = np.zeros(self.beads)
        if charges is not None:
            energy += 0.5 * np.einsum("bi,bi->b", charges, found[:, 0, :, 0])
        if dipoles is not None:
            energy += 0.5 * np.einsum("bia,bia->b", dipoles, found[:, 0, :, 1:4])
        return ChargeEnergy(
            COULOMB * energy,
            COULOMB * found[:, 0, :, 0],
            COULOMB * found[:, 0, :, 1:4],
            -0.5 * COULOMB * gradients,
            -0.5 * COULOMB * strains[:, 0],
        )

    def couplings(
        self,
        charges: np.ndarray | None,
        dipoles: np.ndarray | None,
        pairs: Sequence[tuple[int, int]],
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """``Q = Σ_i (q_i + p_i·∇) φ_i`` of one column in the potential of another, and its derivatives.

        It is what adjoints need.  If a number depends on potentials and fields of moments x, with derivatives c_i by
        φ_i and d_i by ∇φ_i, then its derivatives by x are the potentials of (c, d), and those by positions and strain
        are these of the pair (c, d), x.

        Parameters
        ----------
        charges, dipoles
            Columns, as in `potentials`.
        pairs : sequence of (int, int)
            Left and right columns.

        Returns
        -------
        values : ndarray of float64, shape (beads, pairs)
            In eV.
        gradients : ndarray of float64, shape (beads, pairs, sites, 3)
            ∂Q/∂r at constant moments, in eV/Å.
        strains : ndarray of float64, shape (beads, pairs, 3, 3)
            ∂Q/∂ε at constant moments, in eV.
        """
        pairs = [(int(left), int(right)) for left, right in pairs]
        found, strains = self._sums(charges, dipoles, False, pairs)
        values, gradients = np.zeros((self.beads, len(pairs))), np.zeros((self.beads, len(pairs), self.sites, 3))
        for number, (left, right) in enumerate(pairs):
            if charges is not None:
                values[:, number] += np.einsum("bi,bi->b", charges[:, left], found[:, right, :, 0])
            if dipoles is not None:
                values[:, number] += np.einsum("bia,bia->b", dipoles[:, left], found[:, right, :, 1:4])
            gradients[:, number] = _gradients(found, charges, dipoles, left, right)
        return COULOMB * values, COULOMB * gradients, COULOMB * strains

    def matrix(self) -> np.ndarray:
        """A of ``E = ½ Σ q_i A_ij q_j``, in eV/e², shape (beads, sites, sites), symmetric.

        Its diagonal is each site with its own images.  It is for some hundred sites; `potentials` is A times charges
        without it.
        """
        units = np.ascontiguousarray(np.broadcast_to(np.eye(self.sites), (self.beads, self.sites, self.sites)))
        found = self.potentials(units).potential
        return 0.5 * (found + np.swapaxes(found, 1, 2))

    def induced(
        self, local: np.ndarray, right: np.ndarray, tolerance: float = 1e-10, most_steps: int = 200
    ) -> tuple[np.ndarray, np.ndarray]:
        """Solve (a⁻¹ + T) x = b for dipoles of local polarizabilities that see each other.

        Of a mode with a negative eigenvalue, conjugate gradients take nothing away before they find it: their
        polynomial is above 1 there.  So no column with a part in such a mode comes to its end.  But what is asked for
        may have none, as uniform fields have none in odd modes: a column of random numbers is solved beside it.

        Parameters
        ----------
        local : ndarray of float64, shape (beads, sites, 3, 3)
            a in Å³, symmetric and positive definite.
        right : ndarray of float64, shape (beads, columns, sites, 3)
            b; at most four columns.
        tolerance : float
            Of what is left of b, relative.
        most_steps : int

        Returns
        -------
        x, rest : ndarray of float64, shape of right
            With what is left of b: ``b·x' + x·rest'`` of two columns is b·A⁻¹b' up to the square of the tolerance.

        Raises
        ------
        StructureError
            If two sites lie on each other, or the polarizability diverges.
        """
        if self._slab is not None:
            raise StructureError("induced dipoles of a slab need three periodic directions, with vacuum")
        local, right = (np.ascontiguousarray(one, dtype=np.float64) for one in (local, right))
        beads, columns = right.shape[:2]
        probe = np.broadcast_to(_random_column(self.sites), (beads, 1, self.sites, 3))
        loose = LEFT_OF_A_MODE / math.sqrt(max(3 * self.sites, 1))
        if columns < COLUMNS_AT_ONCE:
            right, tolerances = np.concatenate([right, probe], axis=1), np.array([tolerance] * columns + [loose])
        else:
            self._solved(local, np.ascontiguousarray(probe), np.array([loose]), most_steps)
            tolerances = np.full(columns, tolerance)
        found, rest = self._solved(local, right, tolerances, most_steps)
        return found[:, :columns], rest[:, :columns]

    def _solved(
        self, local: np.ndarray, right: np.ndarray, tolerances: np.ndarray, most_steps: int
    ) -> tuple[np.ndarray, np.ndarray]:
        with as_structure_error():
            found, rest, steps, collision = induced_dipoles(
                self.positions,
                self.cells,
                self.periodic,
                self.widths,
                self._cut,
                self.damping,
                CLOSEST,
                local,
                right,
                tolerances,
                most_steps,
                self.threads,
            )
        self._refuse(collision)
        if (steps < 0).any():
            mean = float(np.trace(local[int(np.argmin(steps))].mean(axis=0)) / 3)
            raise StructureError(
                f"local polarizabilities of {mean:.4g} Å³ on average are so large, or so near to each other, that the "
                "polarizability diverges; smaller ones are needed, or a longer damping"
            )
        return found, rest


@lru_cache(maxsize=8)
def _random_column(sites: int) -> np.ndarray:
    """The same at every call, shape (sites, 3); it is not to be changed."""
    column = np.random.default_rng(0).standard_normal((sites, 3))
    column.flags.writeable = False
    return column


def _mean_volume(cells: np.ndarray) -> float:
    volumes = np.abs(np.linalg.det(cells))
    if not len(volumes) or not (volumes > 0).all():
        raise StructureError("a cell spans no volume; its periodic vectors must not lie in one plane")
    return float(volumes.mean())


def _gradients(
    found: np.ndarray, charges: np.ndarray | None, dipoles: np.ndarray | None, left: int, right: int
) -> np.ndarray:
    """∂/∂r of Σ_i (q_i + p_i·∇) φ_i, left by right, shape (beads, sites, 3)."""
    total = np.zeros((*found.shape[:1], *found.shape[2:3], 3))
    for one, other in ((left, right), (right, left)):
        if charges is not None:
            total += charges[:, one, :, None] * found[:, other, :, 1:4]
        if dipoles is not None:
            total += np.einsum("niab,nib->nia", found[:, other][..., PLACES], dipoles[:, one])
    return total
