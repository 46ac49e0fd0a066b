"""One answer for every door: structures in atomic units go in, what i-PI reads comes out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols

from ...model import Batch, Evaluator, Response, StructureError
from ...model.structures import FARTHEST
from ...properties.quantities import ALWAYS_SENT
from ...runs.input.labels import NO_SPECIES, species_from_parameters
from ...runs.units import PERIODIC, lengths_from_atomic, to_atomic
from .extras import encode_extras
from .guards import check_atoms, check_cells, check_finite, check_species, wanted_properties
from .molecular_order import refuse_wrong_order, species_from_distances, unit_of
from .sum_rule import SumRule
from .training_range import TrainingRange

logger = logging.getLogger(__name__)

NO_VIRIAL = "warning: this model has no virial: zeros are sent, so pressures are wrong; keep the volume constant"
OnEvaluation = Callable[[Batch, Response], None]


@dataclass(frozen=True)
class Answer:
    """What i-PI reads of a batch, in atomic units.

    Parameters
    ----------
    energies : ndarray of float64, shape (beads,)
        In hartree.
    forces : ndarray of float64, shape (beads, atoms, 3)
        In hartree/bohr.
    virials : ndarray of float64, shape (beads, 3, 3)
        Negative derivative of the energy with respect to strain ε_ab, row a, column b, in hartree.  i-PI keeps the
        upper triangle, which loses nothing: without a field the virial is symmetric, and in a field the cell, whose
        lattice vectors stay an upper triangle, takes just that part.
    extras : list of bytes, one per bead
        JSON dictionaries.
    batch, response : Batch, Response
        What was evaluated; structures that repeat the last one stand here once.
    """

    energies: np.ndarray
    forces: np.ndarray
    virials: np.ndarray
    extras: list[bytes]
    batch: Batch
    response: Response


class Responder:
    """Answers for structures as i-PI sends them, however they came here.

    Parameters
    ----------
    evaluator : Evaluator
        What answers.
    species : ndarray of int, shape (atoms,), or None
        Atomic numbers in i-PI's order; None to take them from i-PI's ``<parameters>`` (``structure``, ``template`` or
        ``species``), since i-PI does not send them with the positions, or, for a model of one kind of molecule, from
        the distances of the first structure.
    want : sequence of str
        Properties to evaluate.  Energy, forces and virial are always sent; the others go into the extras.
    properties_only : bool
        Send zeros for energy, forces and virial without evaluating them: for a force of weight 0.

    Raises
    ------
    StructureError
        If species are unknown.
    PropertyError
        If a wanted property is unknown or not provided.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        species: np.ndarray | None,
        want: Sequence[str] = ALWAYS_SENT,
        properties_only: bool = False,
    ):
        self._evaluator = evaluator
        self._wanted = wanted_properties(evaluator, want, properties_only)
        if "virial" not in self._wanted and not properties_only:
            logger.warning(NO_VIRIAL)
        self._numbers = None if species is None else check_species(evaluator, species)
        self._order_is_checked = False
        self._sum_rule = SumRule()
        self._training_range = TrainingRange(evaluator)

    def take_parameters(self, parameters: Mapping[str, str]) -> None:
        """Learn the species from i-PI's ``<parameters>``, unless they are known.

        Raises
        ------
        StructureError
            If they are needed and not there, or what is there cannot be used.
        """
        if self._numbers is not None:
            return
        given = species_from_parameters(parameters)
        if given is not None:
            self._numbers = check_species(self._evaluator, given)
        elif unit_of(self._evaluator) is None:
            raise StructureError(NO_SPECIES)

    def check_atoms(self, received: int) -> None:
        """Raise StructureError if i-PI is about to send another number of atoms than there are species."""
        check_atoms(received, None if self._numbers is None else len(self._numbers))

    def answer(self, cells: np.ndarray, positions: np.ndarray) -> Answer:
        """Evaluate structures.

        Parameters
        ----------
        cells : ndarray of float64, shape (beads, 3, 3)
            Lattice vectors in bohr, one per row.
        positions : ndarray of float64, shape (beads, atoms, 3)
            In bohr.

        Raises
        ------
        StructureError
            If a structure cannot be evaluated.
        """
        beads = len(positions)
        self.check_atoms(positions.shape[1])
        distinct = count_distinct(cells, positions)
        cells, positions = lengths_from_atomic(cells[:distinct]), lengths_from_atomic(positions[:distinct])
        check_cells(cells)
        if not self._order_is_checked:
            self._check_order(cells[0], positions[0])
        assert self._numbers is not None  # the order of the first structure tells them
        batch = Batch(numbers=self._numbers, positions=positions, cells=cells, periodic=PERIODIC)
        response = self._evaluator.evaluate(batch, self._training_range.also(self._wanted))
        check_finite(response)
        self._training_range.look_at(response)
        if "born_charges" in response:
            charges = self._sum_rule.enforce(response.born_charges)
            response = Response(**{**{name: response[name] for name in response.names}, "born_charges": charges})
        return self._in_atomic_units(batch, response, padding=beads - distinct)

    def _in_atomic_units(self, batch: Batch, response: Response, padding: int) -> Answer:
        """Convert, and repeat the last structure so many times."""
        beads, atoms = batch.beads, batch.atoms
        shapes = {"energy": (beads,), "forces": (beads, atoms, 3), "virial": (beads, 3, 3)}
        energies, forces, virials = (
            _padded(to_atomic(name, response[name]) if name in response else np.zeros(shape), padding)
            for name, shape in shapes.items()
        )
        extras = encode_extras(response, self._wanted)
        return Answer(energies, forces, virials, extras + extras[-1:] * padding, batch, response)

    def _check_order(self, cell: np.ndarray, positions: np.ndarray) -> None:
        """Take the species from the first structure where nobody names them, and see that they fit it where one did."""
        unit = unit_of(self._evaluator)
        if self._numbers is None:
            self._numbers = self._species_from_first(cell, positions)
        elif unit is not None and (np.abs(positions) < FARTHEST).all():  # others are refused as they are evaluated
            refuse_wrong_order(unit, self._numbers, cell, positions)
        self._order_is_checked = True

    def _species_from_first(self, cell: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Tell the species of a liquid of one molecule from its first structure."""
        unit = unit_of(self._evaluator)
        if unit is None:
            raise StructureError(NO_SPECIES)
        try:
            numbers = species_from_distances(unit, cell, positions)
        except StructureError as error:
            raise StructureError(f"{NO_SPECIES}; {error}") from error
        order = " ".join(chemical_symbols[number] for number in numbers[: len(unit)])
        logger.warning("no structure was given; from their distances the %d atoms are %s ...", len(numbers), order)
        return numbers


def count_distinct(cells: np.ndarray, positions: np.ndarray) -> int:
    """Count the structures before those at the end that repeat the last one.

    i-PI fills a batch that is not full by repeating its last structure.

    Parameters
    ----------
    cells : ndarray of float64, shape (beads, 3, 3)
    positions : ndarray of float64, shape (beads, atoms, 3)

    Returns
    -------
    int
        At least 1, at most beads.
    """
    count = len(positions)
    while (
        count > 1
        and np.array_equal(positions[count - 2], positions[-1])
        and np.array_equal(cells[count - 2], cells[-1])
    ):
        count -= 1
    return count


def _padded(values: np.ndarray, padding: int) -> np.ndarray:
    """Repeat the last of the beads so many times."""
    return np.concatenate([values, np.repeat(values[-1:], padding, axis=0)]) if padding else values
