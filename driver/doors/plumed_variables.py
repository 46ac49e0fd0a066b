"""What a model knows as a variable of PLUMED: the dipole along an axis, and the spread of a committee.

PLUMED's action ``PYCVINTERFACE`` imports a module of the user's and calls what it finds there, in i-PI's process
(Giorgino, J. Open Source Softw. 4, 1773 (2019)).  The user's module makes the variables,

    from beadwise.driver.doors.plumed_variables import CommitteeSpread, DipoleAlong

    dipole = DipoleAlong("water", axis=(0, 0, 1), structure="init.xyz")
    spread = CommitteeSpread("committee:first.safetensors,second.safetensors", structure="init.xyz")

and PLUMED's input names each of them twice, ``mu: PYCVINTERFACE IMPORT=model_variables INIT=dipole CALCULATE=dipole``.

What is refused is refused when PLUMED first asks for a value.  Before, while it reads its input, the Python of PLUMED's
plugin dies of any exception, whatever its message.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

import numpy as np
from ase import Atoms
from ipi.utils.softexit import softexit

from ...model import Batch, BeadwiseError, Evaluator
from ...model.correction import Corrected
from ...model.errors import as_structure_error
from ...model.evaluators import in_field, load_evaluator
from ...model.response import refuse_unavailable
from ...model.weighted_baseline import WeightedBaseline
from ...pyx.pairs import pairs_within
from ...runs.input.run_input import species_of_run
from . import in_process
from .guards import check_atoms, check_cells, check_finite, check_species
from .molecular_order import refuse_wrong_order, unit_of

LENGTH_UNITS = {"nm": 10.0, "A": 1.0}  # Å in one of them, by PLUMED's names
# Å: any two neighbours are, in the right unit; a bond of water is not where nm are taken for Å, or Å for nm
CLOSEST_NEIGHBOURS, FARTHEST_NEIGHBOURS = 0.4, 7.0
ALL_ATOMS = "@mdatoms"  # PLUMED's name for those of i-PI, in i-PI's order
OF_MEMBERS = ("committee_energy", "committee_forces", "committee_virial")
POLL_INTERVAL = 0.01  # seconds
IS_PERIODIC = np.ones(3, dtype=np.bool_)

Answer = tuple[float, np.ndarray, np.ndarray]


class PlumedVariableError(BeadwiseError, ValueError):
    """A variable of PLUMED that cannot be had, or not of this structure."""


class Action(Protocol):
    """What PLUMED hands over, ``plumedCommunications.PythonCVInterface``."""

    label: str
    nat: int

    def getPositions(self) -> np.ndarray:  # noqa: N802
        """Positions in PLUMED's unit, shape (atoms, 3)."""
        ...

    def getPbc(self) -> Any:  # noqa: N802
        """Periodic boundaries, whose ``getBox()`` has lattice vectors in its rows."""
        ...


@dataclass(frozen=True)
class Derivatives:
    """A variable of one structure, and how it changes.

    Parameters
    ----------
    value : float
    gradient : ndarray of float64, shape (atoms, 3)
        With respect to positions in Å.
    strain : ndarray of float64, shape (3, 3)
        ``[a][b]`` is the derivative with respect to ε_ab, where r_a → r_a + ε_ab r_b for positions and cell.
    """

    value: float
    gradient: np.ndarray
    strain: np.ndarray


class ModelVariable(ABC):
    """A variable of PLUMED that an evaluator answers for all atoms of the cell.

    Parameters
    ----------
    model : str
        What `beadwise serve` calls MODEL.
    structure : str or Path
        A structure file, an i-PI input or a RESTART that names the atoms in i-PI's order; relative to the folder in
        which i-PI runs.
    length_unit : str
        ``nm``, or ``A`` below ``UNITS LENGTH=A``; PLUMED does not tell it.
    threads : int
        Of an evaluation.
    """

    def __init__(self, model: str, structure: str | Path, length_unit: str = "nm", threads: int = 1):
        self.model = model
        self.structure = Path(structure)
        self.length_unit = length_unit
        self.threads = threads
        self._numbers: np.ndarray | None = None
        self._unit: tuple[int, ...] | None = None
        self._last: tuple[np.ndarray, np.ndarray, Answer] | None = None
        self._lock = threading.Lock()  # bias and beads may have a thread of i-PI each

    @abstractmethod
    def prepare(self, evaluator: Evaluator) -> None:
        """Take what the variable is read from.

        Raises
        ------
        BeadwiseError
            If the evaluator does not give it.
        """

    @abstractmethod
    def derivatives(self, batch: Batch) -> Derivatives:
        """Evaluate one structure, in a batch of one bead.

        Raises
        ------
        BeadwiseError
            If it cannot be evaluated.
        """

    def __call__(self, action: Action) -> Answer | dict[str, Any]:
        """Say what PLUMED asks for: at first, when it has no atoms yet, what kind of variable this is, then its value.

        Parameters
        ----------
        action : plumedCommunications.PythonCVInterface

        Returns
        -------
        dict, or tuple of (float, ndarray (atoms, 3), ndarray (3, 3))
            Declaration; or value, its derivatives with respect to positions in PLUMED's unit, and with respect to the
            box as PLUMED has it: −Σ r_a ∂s/∂r_b of atoms without a cell, which is −∂s/∂ε_ba.

        Raises
        ------
        PlumedVariableError
            If the variable cannot be had; where i-PI is running it is ended as by `beadwise.driver.doors.in_process`.
        """
        if action.nat == 0:
            return {"Value": {"derivative": True, "period": None}, "ATOMS": ALL_ATOMS}
        try:
            with self._lock:
                return self._answer(np.array(action.getPositions()), np.array(action.getPbc().getBox()))
        except BeadwiseError as error:
            _fail(PlumedVariableError(f"variable '{action.label}' of PLUMED: {error}"))
        except Exception as error:
            _fail(error)

    def _answer(self, positions: np.ndarray, box: np.ndarray) -> Answer:
        """Answer in PLUMED's units; twice for one structure at no cost, as i-PI asks again after it deposited."""
        if self._last is not None:
            last_positions, last_box, answer = self._last
            if np.array_equal(positions, last_positions) and np.array_equal(box, last_box):
                return answer
        if self.length_unit not in LENGTH_UNITS:
            raise PlumedVariableError(f"length_unit is '{self.length_unit}'; allowed are {', '.join(LENGTH_UNITS)}")
        scale = LENGTH_UNITS[self.length_unit]
        found = self._evaluate(positions * scale, box * scale)
        answer = found.value, found.gradient * scale, -found.strain.T
        self._last = positions, box, answer
        return answer

    def _evaluate(self, positions: np.ndarray, cell: np.ndarray) -> Derivatives:
        """Evaluate a structure in Å, of which the first must look like one."""
        numbers = self._load() if self._numbers is None else self._numbers
        check_atoms(len(positions), len(numbers))
        check_cells(cell[None])
        if self._numbers is None:
            self._check_length_unit(Atoms(numbers, positions, cell=cell, pbc=True))
            if self._unit is not None:
                refuse_wrong_order(self._unit, numbers, cell, positions)
        self._numbers = numbers
        return self.derivatives(Batch(numbers, positions[None], cell[None], IS_PERIODIC))

    def _load(self) -> np.ndarray:
        """Load the evaluator, and return the atomic numbers."""
        if not isinstance(self.threads, int) or self.threads < 1:
            raise PlumedVariableError(f"threads is {self.threads!r}; allowed is an integer of at least 1")
        evaluator = _learned_part(load_evaluator(self.model, self.threads))
        self.prepare(evaluator)
        self._unit = unit_of(evaluator)
        return check_species(evaluator, species_of_run(self.structure))

    def _check_length_unit(self, atoms: Atoms) -> None:
        """Refuse a structure whose atoms are farther apart, or nearer, than in any matter."""
        batch = Batch.from_ase(atoms)
        structure = batch.positions[0], batch.cells[0], batch.periodic
        with as_structure_error():
            _, _, vectors = pairs_within(*structure, FARTHEST_NEIGHBOURS, CLOSEST_NEIGHBOURS)
        if len(vectors) and (vectors**2).sum(axis=1).min() < CLOSEST_NEIGHBOURS**2:
            found = f"atoms are within {CLOSEST_NEIGHBOURS} Å of each other"
        elif len(atoms) > 1 and not len(vectors):
            found = f"no two atoms are within {FARTHEST_NEIGHBOURS} Å"
        else:
            return
        raise PlumedVariableError(
            f"with length_unit '{self.length_unit}' {found}; it must be PLUMED's: nm, or A below UNITS LENGTH=A"
        )


class DipoleAlong(ModelVariable):
    """The dipole of the cell along an axis, in e·Å whatever PLUMED's units are.

    Its derivatives are those of the work of a homogeneous field, which the forces and the virial of an evaluator in a
    field hold (Umari and Pasquarello, Phys. Rev. Lett. 89, 157602 (2002); see `beadwise.model.electric_field`): for the
    axis n and E = n V/Å, ∂(n·μ)/∂r = F(E) − F(0) and ∂(n·μ)/∂ε = W(E) − W(0), F and W being forces and virial.

    Parameters
    ----------
    model : str
        What `beadwise serve` calls MODEL; it must have a dipole.  Of a model that corrects a baseline only the
        correction is evaluated, which alone has the dipole.
    axis : sequence of float, length 3
        Its length is of no account.
    structure : str or Path
        As for `ModelVariable`, as are the rest.
    """

    def __init__(
        self,
        model: str,
        axis: Sequence[float],
        structure: str | Path,
        length_unit: str = "nm",
        threads: int = 1,
    ):
        super().__init__(model, structure, length_unit, threads)
        self.axis = axis

    def prepare(self, evaluator: Evaluator) -> None:
        """Take the evaluator without a field, and in one of 1 V/Å along the axis; see `ModelVariable.prepare`."""
        if "dipole" not in evaluator.properties:
            raise PlumedVariableError(f"model '{self.model}' has no dipole; it has {', '.join(evaluator.properties)}")
        self._direction = _unit_vector(self.axis)
        self._evaluator = evaluator
        self._in_field = in_field(evaluator, self._direction.tolist(), self.model)

    def derivatives(self, batch: Batch) -> Derivatives:
        """Evaluate without and with the field; see `ModelVariable.derivatives`."""
        bare = self._evaluator.evaluate(batch, ("dipole", "forces", "virial"))
        driven = self._in_field.evaluate(batch, ("forces", "virial"))
        check_finite(bare)
        return Derivatives(
            value=float(bare.dipole[0] @ self._direction),
            gradient=driven.forces[0] - bare.forces[0],
            strain=driven.virial[0] - bare.virial[0],
        )


class CommitteeSpread(ModelVariable):
    """The standard deviation σ of the energies of a committee's members, in eV whatever PLUMED's units are.

    σ² = Σ_m (V_m − V̄)²/(M − 1) of M members (Imbalzano et al., J. Chem. Phys. 154, 074102 (2021)), thus
    ∇σ = Σ_m (V_m − V̄) ∇V_m/((M − 1) σ); where σ is 0 it is smallest and has no gradient, and 0 is given.  Energies are
    taken as the members give them.  Those of one fit have a common zero; a constant between others is in σ.

    Parameters
    ----------
    model : str
        A committee, ``committee:MODEL,MODEL``, or whatever else has members.  A baseline that all of them correct is
        not evaluated: it is the same for all.
    structure : str or Path
        As for `ModelVariable`, as are the rest.
    """

    def prepare(self, evaluator: Evaluator) -> None:
        """Take the committee; see `ModelVariable.prepare`."""
        if "committee_energy" not in evaluator.properties:
            raise PlumedVariableError(
                f"model '{self.model}' has no members; allowed are one that has, as water, and committee:MODEL,MODEL"
            )
        refuse_unavailable(OF_MEMBERS, evaluator.properties, f"committee '{self.model}'")
        self._evaluator = evaluator

    def derivatives(self, batch: Batch) -> Derivatives:
        """Evaluate all members; see `ModelVariable.derivatives`."""
        response = self._evaluator.evaluate(batch, OF_MEMBERS)
        check_finite(response)
        energies = response.committee_energy[0]
        spread = float(energies.std(ddof=1))
        deviations = energies - energies.mean()
        slopes = deviations / ((len(energies) - 1) * spread) if spread > 0 else np.zeros_like(deviations)
        return Derivatives(
            value=spread,
            gradient=-np.tensordot(slopes, response.committee_forces[0], 1),
            strain=-np.tensordot(slopes, response.committee_virial[0], 1),
        )


def _learned_part(evaluator: Evaluator) -> Evaluator:
    """The part that makes dipole and spread: a baseline has no dipole, and the same energy for all members."""
    if isinstance(evaluator, Corrected):
        return evaluator.correction
    return evaluator.committee if isinstance(evaluator, WeightedBaseline) else evaluator


def _unit_vector(axis: Sequence[float]) -> np.ndarray:
    try:
        vector = np.array(axis, dtype=np.float64)
    except (TypeError, ValueError):
        vector = np.zeros(0)
    if vector.shape != (3,) or not np.isfinite(vector).all() or not vector.any():
        raise PlumedVariableError(f"axis is {axis}; allowed are three finite numbers that are not all 0")
    return vector / np.linalg.norm(vector)


def _fail(error: Exception) -> NoReturn:
    """End the program i-PI, with one line and status 2; elsewhere raise, and PLUMED passes it on.

    PLUMED lets nothing pass but an error of its own, not even SystemExit, and i-PI would make a traceback of it.

    Raises
    ------
    Exception
        The error itself.
    """
    if not softexit.hard_exit:
        raise error
    try:
        in_process.end_program(error)
    except SystemExit:
        # i-PI holds back its soft exit while it writes outputs, waiting here: those of the first step, as later ones
        # have been evaluated before
        while softexit.exiting:
            time.sleep(POLL_INTERVAL)
        in_process.exit_with_failure()
        raise
