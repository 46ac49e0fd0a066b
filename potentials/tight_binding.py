"""Extended tight binding (xTB) of many beads, through the package tblite.

The methods are GFN1-xTB (S. Grimme, C. Bannwarth, P. Shushkov, J. Chem. Theory Comput. 13, 1989 (2017)), GFN2-xTB
(C. Bannwarth, S. Ehlert, S. Grimme, J. Chem. Theory Comput. 15, 1652 (2019)) and IPEA1-xTB (V. Asgeirsson, C. Bauer,
S. Grimme, Chem. Sci. 8, 4879 (2017)), in a periodic cell at the Γ point.

tblite works in hartree and bohr.  They are converted with ASE's constants, as tblite's own ASE calculator does, and
what a server sends to i-PI is converted once more, with i-PI's, in `beadwise.runs.units`.

Its lattice sums end at cutoffs, and which cells they cover depends on the cell that tblite folds each atom into.
Moving all 32 molecules of a water box by some Å changes the energy by 5e-6 eV and forces by 3e-6 eV/Å, and GFN1-xTB has
steps of 1e-8 eV where an image crosses a cutoff: nothing that dynamics notices, but finite differences do.

Every bead starts its charges from scratch, so that the answer for a structure does not depend on what came before.
What the last structure of the same bead left would save three of eleven iterations and a seventh of the time (the same
box), but i-PI never says which bead it asks for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ase.units import Bohr, Hartree, kB

from .bead_threads import Failure, on_threads, openmp_limit

METHODS = ("GFN1-xTB", "GFN2-xTB", "IPEA1-xTB")
HEAVIEST = 86  # radon: the parameters end there
PERIODIC = np.ones(3, dtype=bool)


@dataclass(frozen=True)
class Settings:
    """What is the same for every bead.

    Parameters
    ----------
    method : str
        Out of `METHODS`.
    charge : int
        Of all atoms together, in e.
    accuracy : float
        tblite's factor on its thresholds: the charges are converged to 2e-5 times this number.
    electronic_temperature : float
        Of the occupation of the orbitals, in K.
    """

    method: str
    charge: int
    accuracy: float
    electronic_temperature: float


def evaluate_tight_binding(
    numbers: np.ndarray, positions: np.ndarray, cells: np.ndarray | None, settings: Settings, threads: int = 1
) -> tuple[dict[str, np.ndarray], Failure | None]:
    """Evaluate a batch of beads.

    Parameters
    ----------
    numbers : ndarray of int32, shape (atoms,)
        Atomic numbers, 1 to `HEAVIEST`.
    positions : ndarray of float64, shape (beads, atoms, 3)
        In Å.
    cells : ndarray of float64, shape (beads, 3, 3), or None
        Lattice vectors in Å, one per row, all periodic; None for isolated atoms.
    settings : Settings
    threads : int
        So many beads at the same time, and where there are fewer beads, so many threads for all of them together.

    Returns
    -------
    arrays : dict of str to ndarray of float64
        ``energy`` (beads,) in eV, with the entropy of the electrons, of which forces and virial are the derivatives;
        ``forces`` (beads, atoms, 3) in eV/Å; ``virial`` (beads, 3, 3) in eV.  Empty after a failure.
    failure : Failure or None
        One of those beads that cannot be evaluated.

    Raises
    ------
    ImportError
        If tblite cannot be loaded.
    """
    limit_threads = thread_limit()
    workers = min(threads, len(positions))

    def evaluate(bead: int) -> tuple[float, np.ndarray, np.ndarray]:
        limit_threads(threads // workers)
        return _evaluate_bead(numbers, positions[bead], None if cells is None else cells[bead], settings)

    beads = range(len(positions))
    answers, failure = on_threads(evaluate, beads, beads, workers)
    if failure is not None:
        return {}, failure
    energies, forces, virials = zip(*answers, strict=True)
    return {"energy": np.array(energies), "forces": np.array(forces), "virial": np.array(virials)}, None


def thread_limit() -> Callable[[int], None]:
    """Load tblite and return what tells OpenMP how many threads a calculation of the calling thread may use.

    Raises
    ------
    ImportError
        If tblite cannot be loaded.
    """
    from tblite import _libtblite

    return openmp_limit(_libtblite.__file__)


def _evaluate_bead(
    numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray | None, settings: Settings
) -> tuple[float, np.ndarray, np.ndarray]:
    """Energy in eV, forces in eV/Å and virial in eV of one bead."""
    from tblite.interface import Calculator

    calculator = Calculator(
        settings.method,
        numbers,
        positions / Bohr,
        charge=float(settings.charge),
        lattice=None if cell is None else cell / Bohr,
        periodic=None if cell is None else PERIODIC,
    )
    calculator.set("verbosity", 0)
    calculator.set("accuracy", settings.accuracy)
    calculator.set("temperature", settings.electronic_temperature * kB / Hartree)
    result = calculator.singlepoint()
    # what tblite calls the virial is the derivative with respect to strain, without the sign
    return float(result["energy"]) * Hartree, -result["gradient"] * Hartree / Bohr, -result["virial"] * Hartree
