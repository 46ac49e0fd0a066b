"""The door without a wire: i-PI, or its own Python driver, calls beadwise in its own process.

i-PI loads `shim.py` by its path, makes an `InProcessDriver` of the ``<parameters>`` of its ``<ffdirect>``, and calls it
with cells and positions.  ``i-pi-driver-py -m custom -P SHIM`` does the same behind a socket.  The interface is that of
``ipi.pes`` in i-PI 3.3.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import numpy as np
from ipi.pes.dummy import Dummy_driver
from ipi.utils.softexit import softexit

from ...model import BeadwiseError
from ...model.evaluators import in_field, load_evaluator, with_precision
from ...properties.quantities import ALWAYS_SENT, properties
from ...reading import shown
from ...runs.input.labels import FILE_PARAMETERS, species_from_parameters
from ...runs.input.run_input import species_of_run
from .responder import Answer, Responder

NAMES = (
    "model",
    *FILE_PARAMETERS,
    "species",
    "want",
    "field",
    "field_order",
    "properties_only",
    "threads",
    "precision",
)
ADDED_BY_IPI = ("verbosity", "verbose")
DEFAULT_MODEL = "water"
FAILED = 2  # exit status

Value = str | int | float | bool  # i-PI makes numbers and booleans of what looks like one
Result = tuple[float, np.ndarray, np.ndarray, str]


class ParameterError(BeadwiseError, ValueError):
    """A parameter of the driver in i-PI's process that is unknown or cannot be used."""


class InProcessDriver(Dummy_driver):
    """What i-PI calls a PES.

    Parameters
    ----------
    **parameters : str, int, float or bool
        As i-PI reads them; i-PI parts parameters at commas, so a semicolon stands where the command line has a comma.
        ``model``: what `beadwise serve` calls MODEL, by default the shipped model ``water``.  ``structure`` or
        ``template``: a structure file, an i-PI input or a RESTART that names the atoms; or ``species``: a formula such
        as ``(OH2)64``.  ``want``: properties, with ``+``, blanks or semicolons between them.  ``field``: three
        numbers in V/Å, with blanks or semicolons, and its ``field_order``, 1 or 2.  ``properties_only``: true for a
        force of weight 0.
        ``threads``: of an evaluation, by default 1.  ``precision``: double, the default, or single.
        i-PI adds ``verbosity`` or ``verbose``, which change nothing.

    Raises
    ------
    SystemExit
        With status 2, after one line on standard error, if a parameter or what it names cannot be used: both i-PI and
        its driver would make a traceback of any other exception.
    """

    def __init__(self, *unnamed: Value, **parameters: Value):
        super().__init__()
        try:
            self._responder = _responder(unnamed, parameters)
        except BeadwiseError as error:
            _say(error)
            raise SystemExit(FAILED) from error

    def compute(self, cell: np.ndarray | list[np.ndarray], pos: np.ndarray | list[np.ndarray]) -> Result | list[Result]:
        """Evaluate a structure, or a list of structures at once.

        Parameters
        ----------
        cell : ndarray of float64, shape (3, 3), or list of them
            Lattice vectors in bohr, one per *column*.
        pos : ndarray of float64, shape (atoms, 3), or list of them
            In bohr.

        Returns
        -------
        tuple of (float, ndarray, ndarray, str), or list of them
            Energy in hartree; forces in hartree/bohr, shape (atoms, 3); virial in hartree, shape (3, 3); extras, a JSON
            dictionary.

        Raises
        ------
        SystemExit, BeadwiseError
            If a structure cannot be evaluated; see `end_program`.
        """
        if isinstance(cell, list):
            return self._evaluate(cell, list(pos))
        return self.compute_structure(cell, np.asarray(pos))

    def compute_structure(self, cell: np.ndarray, pos: np.ndarray) -> Result:
        """Evaluate one structure; see `compute`."""
        return self._evaluate([cell], [pos])[0]

    def _evaluate(self, cells: list[np.ndarray], positions: list[np.ndarray]) -> list[Result]:
        try:
            for structure in positions:  # systems of different sizes may share a force field
                self._responder.check_atoms(len(structure))
            # i-PI keeps lattice vectors in columns
            return _results(self._responder.answer(np.array(cells).transpose(0, 2, 1), np.array(positions)))
        except Exception as error:
            end_program(error)


def _results(answer: Answer) -> list[Result]:
    """What i-PI takes for each structure."""
    extras = (extra.decode("ascii") for extra in answer.extras)
    return list(zip(answer.energies.tolist(), answer.forces, answer.virials, extras, strict=True))


def _responder(unnamed: tuple[Value, ...], parameters: Mapping[str, Value]) -> Responder:
    """What the parameters describe.

    Raises
    ------
    BeadwiseError
        If one of them cannot be used.
    """
    given = {name: str(value).strip() for name, value in parameters.items() if name not in ADDED_BY_IPI}
    if unnamed:
        raise ParameterError(f"the parameter '{unnamed[0]}' has no name; allowed are {_names()}, as in model=water")
    unknown = [name for name in given if name not in NAMES]
    if unknown:
        raise ParameterError(f"unknown parameter '{unknown[0]}'; allowed are {_names()}")
    # i-PI parts its parameters at commas
    model = given.get("model", DEFAULT_MODEL).replace(";", ",")
    evaluator = load_evaluator(model, _threads(given.get("threads", "1")))
    evaluator = with_precision(evaluator, given.get("precision", "double"), model)
    if "field" in given:
        evaluator = in_field(evaluator, _field(given["field"]), model, _field_order(given.get("field_order", "1")))
    elif "field_order" in given:
        raise ParameterError(f"field_order={shown(given['field_order'])} without a field; give field, too")
    species = _species(given, any_label=len(evaluator.species) == 0)
    want = _want(given["want"]) if "want" in given else ALWAYS_SENT
    responder = Responder(evaluator, species, want, _switch("properties_only", given.get("properties_only", "false")))
    if species is None:
        responder.take_parameters({})  # raises unless the species can be told from distances
    return responder


def _field_order(text: str) -> int:
    if text not in ("1", "2"):
        raise ParameterError(f"field_order={shown(text)}; allowed are 1 and 2")
    return int(text)


def _names() -> str:
    return ", ".join(NAMES)


def _species(given: Mapping[str, str], any_label: bool) -> np.ndarray | None:
    """Atomic numbers in i-PI's order; None if no parameter names them."""
    files = [given[name] for name in FILE_PARAMETERS if name in given]
    return species_of_run(Path(files[0]), any_label=any_label) if files else species_from_parameters(given)


def _want(text: str) -> tuple[str, ...]:
    """Split ``dipole+polarizability``."""
    names = tuple(_words(text.replace("+", " ")))
    if not names:
        raise ParameterError(f"want is '{text}'; allowed are {', '.join(properties())}, with + between them")
    return names


def _field(text: str) -> tuple[float, ...]:
    """Split ``0 0 -0.1``."""
    try:
        numbers = tuple(float(word) for word in _words(text))
    except ValueError:
        numbers = ()
    if len(numbers) != 3 or not all(map(math.isfinite, numbers)):
        raise ParameterError(f"field is '{text}'; allowed are three numbers in V/Å with blanks between them: 0 0 -0.1")
    return numbers


def _threads(text: str) -> int:
    if not text.isdecimal() or len(text) > 6 or int(text) < 1:
        raise ParameterError(f"threads is '{shown(text)}'; allowed is an integer of at least 1")
    return int(text)


def _switch(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ParameterError(f"{name} is '{text}'; allowed are true and false")
    return text.lower() == "true"


def _words(text: str) -> list[str]:
    return text.replace(";", " ").split()


def end_program(error: Exception) -> NoReturn:
    """End what called: no exception that leaves the driver in one of i-PI's threads would ever be seen.

    i-PI waits forever for forces when its polling thread has died of an exception.  So it is asked for its soft exit,
    which writes its outputs and RESTART; the program ``i-pi`` then ends with status 2.  A script that holds an
    ``InteractiveSimulation`` gets the exception itself where the evaluation runs in a thread that reports it.  i-PI's
    driver is no i-PI: it ends at once.

    Raises
    ------
    SystemExit
        In a thread of i-PI and in i-PI's driver, with status 2.
    Exception
        The error itself where somebody else may handle it, and anything but a BeadwiseError in i-PI's driver.
    """
    in_ipi = bool(softexit.tlist)
    polling = any(thread is threading.current_thread() for thread, _ in softexit.tlist)
    if in_ipi and not softexit.hard_exit and not polling:
        raise error
    if not in_ipi and not isinstance(error, BeadwiseError):
        raise error
    if not softexit.triggered:  # i-PI goes on asking for forces until it has ended
        _say(error)
        if in_ipi:
            _stop_ipi(error)
    raise SystemExit(FAILED) from error


def _stop_ipi(error: Exception) -> NoReturn:
    """Ask i-PI for its soft exit, at once or, while it writes the outputs of a step, when these are complete.

    Raises
    ------
    SystemExit
        To end this thread.
    """
    if softexit.hard_exit:
        # runs after all others, so nothing is left to be written: i-PI's own status would be 0, and it would wait for
        # threads, which may wait for this one
        softexit.register_function(exit_with_failure)
    softexit.trigger(status="bad", message=f" @beadwise: {_line(error)}")
    raise SystemExit(FAILED)


def exit_with_failure() -> None:
    """Leave at once with status 2, whatever threads are still waiting."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(FAILED)


def _say(error: Exception) -> None:
    """One line for an error that its message explains, a traceback for a defect."""
    if isinstance(error, BeadwiseError):
        sys.stderr.write(f"Error: {_line(error)}\n")  # at once, as another force field may do the same
        sys.stderr.flush()
    else:
        traceback.print_exception(error)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
