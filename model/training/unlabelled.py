"""Species whose atoms had no label of a quantity in training: what a model says of them is not a number.

Of a quantity per atom, each species has weights of its own. Where shieldings of silicon alone are known, weights of
oxygen are zero, and a zero would look like an answer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from ...properties.density_of_states import HEAT_CAPACITY
from ...properties.quantities import properties, quantities

RECORD = "species_without_labels"  # in the metadata of a model: chemical symbols by quantity


def record(numbers: Iterable[int], labelled: Mapping[str, Collection[int]]) -> dict[str, dict[str, list[str]]]:
    """What the metadata say: nothing if all species have labels.

    Parameters
    ----------
    numbers : iterable of int
        Species of the model.
    labelled : mapping of str to collection of int
        Species with labels, by the name of the quantity.
    """
    known = sorted(numbers)
    found = {name: [chemical_symbols[own] for own in known if own not in there] for name, there in labelled.items()}
    found = {name: symbols for name, symbols in found.items() if symbols}
    return {RECORD: found} if found else {}


def hide_unknown(metadata: Mapping[str, Any], numbers: np.ndarray, arrays: Mapping[str, np.ndarray]) -> None:
    """Make NaN of what was never learned, in place.

    Parameters
    ----------
    metadata : mapping
        Of the model.
    numbers : ndarray of int, shape (atoms,)
        Atomic numbers.
    arrays : mapping of str to ndarray
        Properties of a batch by name, with beads on the first axis, and members on the second where they have some.
    """
    for name, symbols in metadata.get(RECORD, {}).items():
        if quantities()[name].per != "atom":
            continue
        is_unknown = np.isin(numbers, [atomic_numbers[symbol] for symbol in symbols])
        for own, values in arrays.items():
            one = properties()[own]
            if one.quantity is not None and one.quantity.name == name and is_unknown.any():
                values[(slice(None),) * (2 if one.kind == "members" else 1) + (is_unknown,)] = np.nan


def may_be_unknown(name: str, values: np.ndarray) -> np.ndarray | None:
    """Which values may be no numbers: those of `unknown_atoms`, and heat capacities that curves cannot tell."""
    return np.isnan(values) if properties()[name].of == HEAT_CAPACITY else unknown_atoms(name, values)


def unknown_atoms(name: str, values: np.ndarray) -> np.ndarray | None:
    """Which atoms of a batch have no number at all, as `hide_unknown` leaves them; None of what is not per atom.

    Parameters
    ----------
    name : str
        Of a property.
    values : ndarray of float64
        With beads on the first axis.

    Returns
    -------
    ndarray of bool, of the shape of the values, or None
    """
    one = properties()[name]
    if one.quantity is None or one.quantity.per != "atom" or one.kind not in ("value", "members", "uncertainty"):
        return None
    axis = 2 if one.kind == "members" else 1
    others = tuple(other for other in range(values.ndim) if other != axis)
    return np.broadcast_to(np.isnan(values).all(axis=others, keepdims=True), values.shape)
