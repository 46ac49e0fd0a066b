"""What i-PI gets beyond energy, forces and virial: a JSON dictionary for every bead, in atomic units.

i-PI writes any key to its trajectories (``extra_type``) and reads ``dipole`` and ``BEC`` itself when the dynamics is
driven by a field.  It accepts neither a list nor the key ``raw``, and wants the same keys for every bead.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..model import Response
from ..pyx.json_numbers import json_array
from .units import to_atomic

KEYS = {
    "dipole": "dipole",
    "polarizability": "polarizability",
    "born_charges": "BEC",
    "polarizability_derivatives": "polarizability_derivatives",
    "molecular_dipole": "molecular_dipole",
    "molecular_polarizability": "molecular_polarizability",
    "molecular_position": "molecular_position",
}


def encode_extras(response: Response, want: Iterable[str]) -> list[bytes]:
    """Encode the wanted properties beyond energy, forces and virial.

    Parameters
    ----------
    response : Response
        Holds every wanted property.
    want : iterable of str
        Names of properties; those that are not extras are passed over.

    Returns
    -------
    list of bytes, one per bead
        JSON dictionaries with the keys ``dipole``, 3 numbers in e·bohr; ``polarizability``, 9 numbers in bohr³,
        row major; ``BEC``, (3 atoms, 3) numbers in e, row atom coordinate, column dipole component;
        ``polarizability_derivatives``, (3 atoms, 9) numbers in bohr²; and molecule by molecule, in one row,
        ``molecular_dipole``, 3 numbers each in e·bohr; ``molecular_polarizability``, 9 numbers each in bohr³, row
        major; ``molecular_position``, 3 numbers each in bohr.  Floats are written so that reading them gives the same
        float.
    """
    columns = {KEYS[name]: _column(response, name) for name in want if name in KEYS}
    beads = len(response.energy)
    return [_json_object({key: values[bead] for key, values in columns.items()}) for bead in range(beads)]


def _json_object(arrays: dict[str, np.ndarray]) -> bytes:
    """Encode arrays of one bead under their keys."""
    return b"{" + b",".join(b'"%s":%s' % (key.encode(), json_array(array)) for key, array in arrays.items()) + b"}"


def _column(response: Response, name: str) -> np.ndarray:
    """One property of every bead, in the shape that i-PI expects."""
    values = to_atomic(name, response[name])
    beads = len(values)
    # i-PI's writer crashes on a matrix next to a vector, but wants the Born charges as a matrix
    matrices = {"born_charges": (beads, -1, 3), "polarizability_derivatives": (beads, -1, 9)}
    return np.reshape(values, matrices.get(name, (beads, -1)))
