"""Structures whose unit was forgotten: i-PI takes lengths of an xyz file that names none as bohr."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import scipy
from ase.data import chemical_symbols, covalent_radii
from ase.units import Bohr

from ...runs.input.labels import element_of_label
from ...runs.input.run_input import RunInput
from ...runs.input.structures import last_frame

NAMED = re.compile(r"(?:positions|x_centroid)\{")
SHORT = 0.7  # of the sum of covalent radii; what is in Å, read as bohr, comes to 0.53 of a bond


def remarks_about_units(run: RunInput) -> list[str]:
    """What to say of structures that are squeezed as if their unit had been forgotten.

    Parameters
    ----------
    run : RunInput
        Checked, and at its beginning; of one that goes on there is nothing to say.
    """
    if run.step > 0:
        return []
    files = [
        run.folder / (element.text or "").strip()
        for element in run.root.iterfind("system/initialize/file")
        if element.get("mode", "chk").strip() == "xyz" and element.get("units", "automatic").strip() == "automatic"
    ]
    return [remark for path in dict.fromkeys(files) if (remark := _remark(path))]


def _remark(path: Path) -> str:
    atoms = last_frame(path, "xyz")["atoms"]
    with open(path) as file:
        file.readline()
        if NAMED.search(file.readline()):
            return ""
    numbers = np.array([element_of_label(str(name)) or 0 for name in atoms.names])
    if len(numbers) < 2:
        return ""
    positions = np.array(atoms.q, dtype=np.float64).reshape(-1, 3) * Bohr
    distances, neighbours = (found[:, 1] for found in scipy.spatial.cKDTree(positions).query(positions, k=2))
    bonds = covalent_radii[numbers] + covalent_radii[numbers[neighbours]]
    if not np.median(distances / bonds) < SHORT:
        return ""
    first = int(np.argmin(distances / bonds))
    a, b = (chemical_symbols[numbers[place]] for place in (first, neighbours[first]))
    return (
        f"warning: '{path}' names no unit, so i-PI takes its positions as bohr, and {a} and {b} are "
        f"{distances[first]:.2f} Å apart; if they are in Å, write cell{{angstrom}} positions{{angstrom}} into its "
        "second line"
    )
