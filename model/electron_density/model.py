"""A fitted density as something that answers for beads: its coefficients, charge, dipole and Hartree energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase.units import Bohr, Hartree
from scipy.linalg import cho_factor, cho_solve

from ...properties.quantities import DENSITY, DENSITY_CHARGE, DENSITY_SHIFT, HARTREE_ENERGY
from ...short_repr import short_repr
from ..errors import StructureError
from ..model import Model
from ..orbitals.charge import charge_of_molecules
from ..orbitals.isolation import isolated
from ..orbitals.surroundings import Surroundings
from ..response import Response, refuse_unavailable
from ..structures import Batch
from .basis import AuxiliaryBasis, Functions, nuclear_charges
from .features import atomic_features
from .integrals import Metric, metric_matrix

SMALLEST_METRIC = 1e-12  # of an eigenvalue, over the largest: functions on two atoms at one place
BEADS_AT_A_TIME = 16


@dataclass(frozen=True, repr=False)
class DensityModel:
    """Electron densities of molecules in Gaussian functions on atoms.

    Each coefficient c_nlm of an atom is linear in features of the atom that turn as Y_lm, so that the density turns
    with the molecule whatever the weights (A. Grisafi et al., ACS Cent. Sci. 5, 57 (2019)).  Then the charge is made
    exact: c′ = c − M⁻¹ q (qᵀc − N) / (qᵀM⁻¹q) is the density with N electrons that is nearest to c in the metric M.

    Parameters
    ----------
    basis : AuxiliaryBasis
    density : Model
        Whose density of neighbours is used, and nothing else.
    surroundings : mapping of int to Surroundings
        Of each species.
    few : int
        Of `atomic_features`.
    weights : mapping of (int, int) to ndarray
        Of species and l, shape (features, shells of this l).
    metric : str
        ``coulomb`` or ``overlap``: that of the fit, and of the constraint.
    metadata : mapping
        Provenance, licence, errors.
    charge : float, optional
        Of the molecules, in e; by default what a batch says, else the metadata, 0 if nothing.  A batch that says
        another one is refused.
    """

    basis: AuxiliaryBasis
    density: Model
    surroundings: Mapping[int, Surroundings]
    few: int
    weights: Mapping[tuple[int, int], np.ndarray]
    metric: Metric
    metadata: Mapping[str, Any] = field(default_factory=dict)
    charge: float | None = None

    __repr__ = short_repr

    @property
    def species(self) -> tuple[int, ...]:
        """Atomic numbers that can be evaluated."""
        return self.basis.numbers

    @property
    def properties(self) -> tuple[str, ...]:
        """Properties that can be asked for."""
        return "dipole", DENSITY, DENSITY_CHARGE, DENSITY_SHIFT, HARTREE_ENERGY

    def molecular_charge(self, batch: Batch) -> float:
        """Charge of the molecules in e.

        Raises
        ------
        StructureError
            If the batch says another one than `charge`.
        """
        return charge_of_molecules(self.charge, batch, self.metadata)

    def electrons(self, batch: Batch) -> float:
        """Electrons of a molecule.

        Raises
        ------
        StructureError
            If none are left.
        """
        self.basis.check_elements(batch.numbers)
        neutral, charge = self.basis.electrons_of(batch.numbers), self.molecular_charge(batch)
        found = neutral - charge
        if not found > 0:
            raise StructureError(
                f"a molecule of {neutral:g} electrons with the charge {charge:g} has none left; allowed are charges "
                "below that"
            )
        return found

    def check(self) -> None:
        """Refuse weights that do not fit the features, which are tried on an atom of each species.

        Raises
        ------
        ValueError
            Naming species and l.
        """
        for number in self.species:
            batch = Batch(np.array([number]), np.zeros((1, 1, 3)), np.zeros((1, 3, 3)), np.zeros(3, dtype=bool))
            for order, own in self._features(batch, number).items():
                needed = own.shape[2], len(self.basis.of_momentum(number, order))
                if self.weights[number, order].shape != needed:
                    raise ValueError(
                        f"weights of species {number} and l = {order} have shape {self.weights[number, order].shape}; "
                        f"{needed} is needed"
                    )

    def fitted(self, batch: Batch) -> np.ndarray:
        """Coefficients as the weights have them, before the charge is made exact, shape (beads, functions).

        In the order of `Functions`, in atomic units.

        Raises
        ------
        StructureError
            If an image is within reach, or an element has no functions.
        """
        batch = self.isolated(batch)
        functions = Functions(self.basis, batch.numbers)
        found = np.zeros((batch.beads, functions.count))
        for first in range(0, batch.beads, BEADS_AT_A_TIME):
            beads = slice(first, min(first + BEADS_AT_A_TIME, batch.beads))
            own = Batch(batch.numbers, batch.positions[beads], batch.cells[beads], batch.periodic)
            for number in np.unique(batch.numbers).tolist():
                for order, features in self._features(own, number).items():
                    places = functions.places(number, order)
                    values = (features @ self.weights[number, order]).swapaxes(1, 2)
                    found[beads, places] = values.reshape(own.beads, *places.shape)
        return found

    def isolated(self, batch: Batch) -> Batch:
        """The same atoms without a cell; refused where an image is within reach, or an element has no functions."""
        self.basis.check_elements(batch.numbers)
        return isolated(batch, self.density.radial.cutoff, "densities are")

    def constrained(self, batch: Batch) -> Constrained:
        """Coefficients with the exact number of electrons, and what follows from them.

        Raises
        ------
        StructureError
            As `fitted`, or if two atoms are so close that their functions are one.
        """
        batch = self.isolated(batch)
        functions, electrons = Functions(self.basis, batch.numbers), self.electrons(batch)
        fitted = self.fitted(batch)
        metrics = metric_matrix(self.basis, batch.numbers, batch.positions / Bohr, self.metric)
        found, shifts = with_electrons(fitted, metrics, functions.charges, electrons)
        return Constrained(self, batch, functions, found, shifts, metrics)

    def coefficients(self, batch: Batch) -> np.ndarray:
        """Coefficients in the order of quantum chemistry (p as x, y, z), shape (beads, functions).

        Of functions of norm 1 in atomic units, as PySCF has them.
        """
        return self.constrained(batch).in_order_of_labels

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Answer the wanted properties for every bead.

        Raises
        ------
        PropertyError
            If a wanted property is not available.
        StructureError
            As `constrained`.
        """
        refuse_unavailable(want, self.properties, "this density")
        own = self.constrained(batch)
        makers = {
            "dipole": lambda: own.dipoles,
            DENSITY: lambda: own.in_order_of_labels,
            DENSITY_CHARGE: lambda: own.charges,
            DENSITY_SHIFT: lambda: own.shifts,
            HARTREE_ENERGY: lambda: own.hartree_energies,
        }
        return Response(**{name: makers[name]() for name in want})

    def _features(self, batch: Batch, number: int) -> dict[int, np.ndarray]:
        orders = sorted(set(self.basis.momenta(number)))
        return atomic_features(self.density, self.surroundings, self.few, batch, number, orders)


@dataclass(frozen=True)
class Constrained:
    """Densities of the beads of one molecule, with the exact number of electrons.

    Parameters
    ----------
    model : DensityModel
    batch : Batch
        Without a cell.
    functions : Functions
    coefficients : ndarray of float64, shape (beads, functions)
        In the order of `functions`, in atomic units.
    shifts : ndarray of float64, shape (beads,)
        Electrons that the constraint took away: those of the fitted coefficients, minus N.
    metrics : ndarray of float64, shape (beads, functions, functions)
        In the model's metric.
    """

    model: DensityModel
    batch: Batch
    functions: Functions
    coefficients: np.ndarray
    shifts: np.ndarray
    metrics: np.ndarray

    @property
    def in_order_of_labels(self) -> np.ndarray:
        """Coefficients in the order of quantum chemistry, shape (beads, functions)."""
        found = np.empty_like(self.coefficients)
        found[:, self.functions.labels_order()] = self.coefficients
        return found

    @property
    def charges(self) -> np.ndarray:
        """Nuclei minus electrons in e, shape (beads,)."""
        return nuclear_charges(self.model.basis, self.batch).sum() - self.coefficients @ self.functions.charges

    @property
    def dipoles(self) -> np.ndarray:
        """Dipoles in e·Å, shape (beads, 3), about the origin of the coordinates."""
        return dipoles(self.functions, self.batch, self.coefficients)

    @property
    def hartree_energies(self) -> np.ndarray:
        """½ cᵀJc in eV, shape (beads,): the repulsion of this density with itself."""
        model, metrics = self.model, self.metrics
        if model.metric != "coulomb":
            metrics = metric_matrix(model.basis, self.batch.numbers, self.batch.positions / Bohr, "coulomb")
        return 0.5 * Hartree * np.einsum("bp,bpq,bq->b", self.coefficients, metrics, self.coefficients)


def with_electrons(
    coefficients: np.ndarray, metrics: np.ndarray, charges: np.ndarray, electrons: float
) -> tuple[np.ndarray, np.ndarray]:
    """Take c to the nearest density with N electrons, c′ = c − M⁻¹ q (qᵀc − N) / (qᵀM⁻¹q).

    The minimum of (c′ − c)ᵀ M (c′ − c) with qᵀc′ = N.

    Parameters
    ----------
    coefficients : ndarray of float64, shape (beads, functions)
    metrics : ndarray of float64, shape (beads, functions, functions)
    charges : ndarray of float64, shape (functions,)
        q.
    electrons : float
        N.

    Returns
    -------
    constrained : ndarray of float64, shape (beads, functions)
    shifts : ndarray of float64, shape (beads,)
        qᵀc − N.

    Raises
    ------
    StructureError
        If a metric is singular, since atoms overlap.
    """
    shifts = coefficients @ charges - electrons
    directions = solved(metrics, np.broadcast_to(charges, coefficients.shape))
    found = coefficients - directions * (shifts / (directions @ charges))[:, None]
    left = found @ charges - electrons  # rounding of large coefficients that cancel
    return found - directions * (left / (directions @ charges))[:, None], shifts


def solved(metrics: np.ndarray, right: np.ndarray) -> np.ndarray:
    """M⁻¹ w of every bead by a factorisation of functions scaled to M_pp = 1.

    Raises
    ------
    StructureError
        If a metric is singular.
    """
    found = np.empty(right.shape)
    for bead, (metric, own) in enumerate(zip(metrics, right, strict=True)):
        scale = 1 / np.sqrt(np.diag(metric))
        try:
            factor = cho_factor(metric * scale[:, None] * scale, lower=True)
        except np.linalg.LinAlgError:
            factor = None
        if factor is None or np.diag(factor[0]).min() ** 2 < SMALLEST_METRIC:
            raise StructureError(
                f"functions of bead {bead} depend on each other to {SMALLEST_METRIC:g}; atoms must be apart, and "
                "shells of an element different"
            )
        found[bead] = cho_solve(factor, own * scale) * scale
    return found


def dipoles(functions: Functions, batch: Batch, coefficients: np.ndarray) -> np.ndarray:
    """Σ Z_i R_i − Σ c ∫χ r in e·Å, shape (beads, 3); about the origin, which matters where there is a net charge."""
    nuclei = np.einsum("a,bax->bx", nuclear_charges(functions.basis, batch), batch.positions)
    return nuclei - Bohr * np.einsum("bp,bpx->bx", coefficients, functions.dipoles(batch.positions / Bohr))
