"""A program of its own: start PLUMED with inputs as i-PI would, and write down what it refuses.

`ask_plumed.py` runs it with i-PI's interpreter, which need not have beadwise: nothing of beadwise is imported here.
It writes a JSON list into the file ``sys.argv[2]``, of what was found wrong: ``["wrapper" or "kernel" or the name of an
input, reason]``.  ``sys.argv[1]`` is a JSON list of inputs: name, path, number of atoms, variables that i-PI asks for.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np


def problem_of(inputs: Sequence[tuple[str, str, int, Sequence[str]]]) -> list[str]:
    """Find the first problem.

    Parameters
    ----------
    inputs : sequence of tuple of (str, str, int, sequence of str)
        Name, path, number of atoms and variables of each.

    Returns
    -------
    list of str
        What and why; empty if there is none.
    """
    try:
        import plumed

        start = plumed.Plumed
    except (ImportError, AttributeError) as error:  # a package without its compiled part has no such attribute
        return ["wrapper", str(error)]
    try:
        start()
    except Exception as error:  # the wrapper raises RuntimeError; what else does not matter
        return ["kernel", str(error)]
    for name, path, atoms, variables in inputs:
        try:
            _start(start(), path, atoms, variables)
        except Exception as error:  # whatever PLUMED, or Python code that it loads, refuses
            return [name, str(error)]
    return []


def _start(kernel: Any, path: str, atoms: int, variables: Sequence[str]) -> None:
    """Initialise PLUMED as i-PI does; no unit matters as nothing is evaluated, and a step is 1 ps there too."""
    kernel.cmd("setRealPrecision", 8)
    kernel.cmd("setMDEngine", "i-pi")
    kernel.cmd("setLogFile", "beadwise-trial.log")
    kernel.cmd("setPlumedDat", path)
    kernel.cmd("setNatoms", atoms)
    kernel.cmd("setTimestep", 1.0)
    kernel.cmd("init")
    for variable in variables:
        kernel.cmd(f"getDataRank {variable}", np.zeros(1, dtype=np.int_))


if __name__ == "__main__":
    sys.path[:] = [path for path in sys.path if path]  # i-PI does not look for modules in the current folder
    problem = problem_of(json.loads(sys.argv[1]))
    with open(sys.argv[2], "w", encoding="utf-8") as answer:
        json.dump(problem, answer)
