"""What i-PI gets beyond energy, forces and virial: a JSON dictionary for every bead, in atomic units.

i-PI writes any key to its trajectories (``extra_type``), reads ``dipole`` and ``BEC`` itself when the dynamics is
driven by a field, and, with ``<parse_json>`` in an ``<ffcommittee>``, ``committee_pot``, ``committee_force`` and
``committee_virial``.  It accepts neither a list nor the key ``raw``, and wants the same keys for every bead.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import numpy as np

from ...model import Response
from ...properties.quantities import properties
from ...pyx.json_numbers import json_array
from ...runs.units import to_atomic


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
        major; ``molecular_position``, 3 numbers each in bohr.  Of a committee, member by member, ``committee_pot``,
        a number each in hartree; ``committee_force``, a row of 3 atoms numbers each in hartree/bohr;
        ``committee_virial``, (3, 3) numbers each in hartree; and in one row ``member_dipoles``, 3 numbers each in
        e·bohr, and ``member_polarizabilities``, 9 numbers each in bohr³, row major; ``energy_uncertainty``, one number
        in hartree, ``forces_uncertainty``, a number for each atom in hartree/bohr, and ``envelope_distance``, one
        number; and of a weighted baseline ``correction_weight``, one number.  Other quantities that are registered have
        the key and the unit that they say, in one row; their derivatives a row for each atom coordinate.  Floats are
        written so that reading them gives the same float.
    """
    columns = {key: _column(response, name) for name in want if (key := properties()[name].key)}
    beads = len(response[response.names[0]])
    encoded = [[b'"%s":%s' % (key.encode(), text) for text in _json_of_beads(own)] for key, own in columns.items()]
    return [b"{" + b",".join(bead) + b"}" for bead in zip(*encoded, strict=True)] or [b"{}"] * beads


def _json_of_beads(values: np.ndarray) -> list[bytes]:
    """Encode the array of each bead, rows of numbers in one call."""
    if values.ndim == 2:
        return [b"[" + row + b"]" for row in _numbers(values)[2:-2].split(b"],[")]
    return [_json(array) for array in values]


def _numbers(array: np.ndarray) -> bytes:
    """Rows of numbers; NaN, of what a model knows nothing of, as Python's json reads it."""
    text = json_array(array)
    return text if math.isfinite(array.sum()) else re.sub(rb"-?nan(\.0)?", b"NaN", text)


def _json(array: np.ndarray) -> bytes:
    """Encode an array of any number of axes."""
    return _numbers(array) if array.ndim <= 2 else b"[" + b",".join(map(_json, array)) + b"]"


def _column(response: Response, name: str) -> np.ndarray:
    """One property of every bead, in the shape that i-PI expects."""
    values = to_atomic(name, response[name])
    beads = len(values)
    # i-PI's writer crashes on a matrix next to a vector, but wants the Born charges as a matrix; forces and virial of a
    # member have the shapes in which it keeps those of other force fields, with which an <ffcommittee> may mix them
    one = properties()[name]
    if one.kind == "derivative":
        return values.reshape(beads, 3 * values.shape[1], -1)
    if name == "committee_virial":
        return values
    return values.reshape(*values.shape[:2], -1) if name == "committee_forces" else values.reshape(beads, -1)
