"""London dispersion of many beads: D3 through the package dftd3, D4 through dftd4, both kept by the authors of D4.

D3 (S. Grimme, J. Antony, S. Ehrlich, H. Krieg, J. Chem. Phys. 132, 154104 (2010)) adds −s6 C6/r⁶ − s8 C8/r⁸ for every
pair, with coefficients that follow from how many neighbours the two atoms have, and damped at short range: ``bj``
(S. Grimme, S. Ehrlich, L. Goerigk, J. Comput. Chem. 32, 1456 (2011)), ``zero`` (of the first paper), ``bjm`` and
``zerom`` (D. G. A. Smith, L. A. Burns, K. Patkowski, C. D. Sherrill, J. Phys. Chem. Lett. 7, 2197 (2016)), ``op``
(J. Witte, N. Mardirossian, J. B. Neaton, M. Head-Gordon, J. Chem. Theory Comput. 13, 2043 (2017)) and ``cso``
(H. Schröder, A. Creon, T. Schwabe, J. Chem. Theory Comput. 11, 3163 (2015)).  D4 (E. Caldeweyher et al., J. Chem. Phys.
150, 154122 (2019)) scales them with charges that equilibrate, too.  The three-body term is that of Axilrod, Teller and
Muto.

Both packages work in hartree and bohr and sum over images up to a cutoff.  Here they are told to let pairs and triples
fade before it, so that forces and virial are derivatives of the energy.  Only the count of neighbours of D3 ends at
once, at 40 bohr, where 1e-7 of a neighbour is left: the energy of some atoms then steps by 1e-10 eV.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from ase.units import Bohr, Hartree

from ..reading import toml_of
from .bead_threads import Failure, on_threads, openmp_limit

DAMPING = {  # name: class of the package; its parameters are those of the class
    "d3": {
        "bj": "RationalDampingParam",
        "zero": "ZeroDampingParam",
        "bjm": "ModifiedRationalDampingParam",
        "zerom": "ModifiedZeroDampingParam",
        "op": "OptimizedPowerDampingParam",
        "cso": "CSODampingParam",
    },
    "d4": {"bj": "DampingParam"},
}
ENTRIES = {"bj": "bj-eeq-atm"}  # what the table of D4 calls the damping
VARIANTS = {"d3": ("d3",), "d4": ("d4", "d4s")}
HEAVIEST = 103  # lawrencium: dftd3 1.7 does not check it, and reads beyond its tables
COUNTING_CUTOFF = {"d3": 40.0, "d4": 30.0}  # bohr; the packages' own, of the numbers of neighbours
PERIODIC = np.ones(3, dtype=bool)
NOT_GIVEN = ("s9", "alp")  # parameters that are no choice of a user: s9 is what `three_body` says


@dataclass(frozen=True)
class Settings:
    """What is the same for every bead.

    Parameters
    ----------
    method : str
        ``d3`` or ``d4``.
    variant : str
        Out of `VARIANTS`.
    damping : str
        Out of `DAMPING`.
    functional : str or None
        Name of a functional, whose parameters the package knows.
    parameters : tuple of (str, float)
        Parameters of the damping, where there is no functional.
    three_body : bool
        Whether triples of atoms count, too.
    charge : float
        Of all atoms together, in e; of D4 only.
    cutoff, three_body_cutoff, smoothing : float
        In Å: where pairs and sides of triples end, and over which distance before that they fade.
    """

    method: str
    variant: str
    damping: str
    functional: str | None
    parameters: tuple[tuple[str, float], ...]
    three_body: bool
    charge: float
    cutoff: float
    three_body_cutoff: float
    smoothing: float


def package_of(method: str) -> Any:
    """Module of a package that has its models and dampings.

    Raises
    ------
    ImportError
        If it cannot be loaded.
    """
    return import_module(f"dft{method}.interface")


def parameters_of(method: str, damping: str) -> dict[str, float | None]:
    """Parameters of a damping that a user may give, with their defaults; None where one must be given."""
    kind = getattr(package_of(method), DAMPING[method][damping])
    own = inspect.signature(kind.new_param).parameters.values()
    return {one.name: None if one.default is one.empty else one.default for one in own if one.name not in NOT_GIVEN}


def functionals_of(method: str, damping: str) -> list[str]:
    """Names of functionals in the table of the package; empty where that is not beside it."""
    file = Path(str(package_of(method).__file__)).parent / "parameters.toml"
    if not file.is_file():
        return []
    entry = damping if method == "d3" else ENTRIES[damping]
    return sorted(name for name, own in toml_of(file)["parameter"].items() if entry in own.get(method, {}))


def damping_of(settings: Settings) -> Any:
    """Parameters of the damping as the package holds them.

    Raises
    ------
    ImportError
        If the package cannot be loaded.
    RuntimeError
        If it does not know the functional.
    """
    kind = getattr(package_of(settings.method), DAMPING[settings.method][settings.damping])
    if settings.functional is not None:
        return kind(method=settings.functional, atm=settings.three_body)
    return kind(**dict(settings.parameters), s9=float(settings.three_body))


def evaluate_dispersion(
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
        So many beads at the same time; where there are fewer beads, the pairs and triples of each are shared.

    Returns
    -------
    arrays : dict of str to ndarray of float64
        ``energy`` (beads,) in eV, ``forces`` (beads, atoms, 3) in eV/Å, ``virial`` (beads, 3, 3) in eV.  Empty after
        a failure.
    failure : Failure or None
        One of those beads that cannot be evaluated.

    Raises
    ------
    ImportError
        If the package cannot be loaded.
    """
    beads = len(positions)
    shares = max(1, threads // beads)
    limit = _one_thread(settings.method)

    def evaluate(job: tuple[int, int]) -> tuple[float, np.ndarray, np.ndarray]:
        bead, share = job
        limit(1)
        cell = None if cells is None else cells[bead]
        return _evaluate_share(numbers, positions[bead], cell, settings, share, shares)

    jobs = [(bead, share) for bead in range(beads) for share in range(shares)]
    answers, failure = on_threads(evaluate, jobs, [bead for bead, _ in jobs], min(threads, len(jobs)))
    if failure is not None:
        return {}, failure
    energies, forces, virials = (
        np.array(own).reshape(beads, shares, *np.shape(own[0])).sum(axis=1) for own in zip(*answers, strict=True)
    )
    broken = np.flatnonzero(~(np.isfinite(energies) & np.isfinite(forces).all(axis=(1, 2))))
    if len(broken):
        return {}, Failure(int(broken[0]), f"its energy is {energies[broken[0]]} eV, or a force is not finite")
    return {"energy": energies, "forces": forces, "virial": virials}, None


def _one_thread(method: str) -> Callable[[int], None]:
    library = import_module(f"dft{method}._libdft{method}")
    return openmp_limit(str(library.__file__))


def _evaluate_share(
    numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray | None, settings: Settings, share: int, shares: int
) -> tuple[float, np.ndarray, np.ndarray]:
    """Energy in eV, forces in eV/Å and virial in eV of a share of the pairs and triples of one bead."""
    lattice = {} if cell is None else {"lattice": cell / Bohr, "periodic": PERIODIC}
    of_d4 = {} if settings.method == "d3" else {"charge": settings.charge, "model": settings.variant}
    model = package_of(settings.method).DispersionModel(numbers, positions / Bohr, **lattice, **of_d4)
    width = settings.smoothing / Bohr
    model.set_realspace_cutoff(
        disp2=settings.cutoff / Bohr,
        disp3=settings.three_body_cutoff / Bohr,
        cn=COUNTING_CUTOFF[settings.method],
        width2=width,
        width3=width,
    )
    model.set_work_partition(share, shares)
    found = model.get_dispersion(damping_of(settings), grad=True)
    # what the packages call the virial is the derivative with respect to strain, without the sign
    return float(found["energy"]) * Hartree, -found["gradient"] * Hartree / Bohr, -found["virial"] * Hartree
