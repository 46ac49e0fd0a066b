"""One structure with what is known about it, separated from what else stands in its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from ...model import Batch, StructureError
from ...model.checks import check_cells
from ...model.training.net_charge import dipole_of_charge
from .branches import folded, lattice_quantum
from .label import VIRIAL, DataError, labels, names_in_files
from .reading import CHARGE, GROUP, NO_QUANTUM, ORIGINS, POSITIONS, USUAL, WEIGHT, Reading, is_number, is_weight

CENTRE_OF_MASS = ORIGINS[1]
DIPOLE, BORN_CHARGES = "dipole", "born_effective_charges"
QUANTUM = "dipole_quantum"  # three vectors in rows, in the unit of the dipole
AGREEMENT = 1e-6  # relative, of two entries that stand for the same label
VIRIAL_AGREEMENT = 1e-3  # of a stress and a virial, which may be written with few digits
# what is no label, so that nobody needs to be told that it is not used
NO_LABELS = frozenset(
    "numbers positions masses momenta velocities velo vel tags initial_charges initial_magmoms move_mask time Time "
    "step Step temperature Temperature cutoff pressure timestep density".split()
)


@dataclass(frozen=True)
class Found:
    """What the file of a frame held.

    Parameters
    ----------
    keys : mapping of str to str
        Name in the file, by label; a stress from a virial has that name.
    unused : tuple of str
        Entries of numbers that are not used.
    left_out : tuple of str
        Labels that are there and mean nothing for this structure: the stress where nothing is periodic.
    """

    keys: Mapping[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Frame:
    """One structure with what is known about it.

    Parameters
    ----------
    atoms : ase.Atoms
        Positions and cell in Å, without a calculator.
    labels : dict of str to ndarray of float64
        Any of ``energy`` () in eV; ``forces`` (atoms, 3) in eV/Å; ``stress`` (3, 3) in eV/Å³ with ASE's sign, the
        derivative of the energy with respect to strain per volume; ``dipole`` (3,) in e·Å; ``polarizability`` (3, 3)
        in Å³; and the other labels of `labels`, ([atoms or molecules,] their own shape).  Where NaN counts as missing,
        labels per atom or molecule are NaN for those that have none.
    source : str
        File it came from.
    index : int
        Its place in that file, from 0.
    weight : float
        What its rows of a fit count, 1 as a rule.
    charge : float or None
        Total charge in e, where it is known.
    found : Found
        Where the labels stood.
    label_weights : mapping of str to float
        What rows of single labels count besides, 1 where nothing is said.
    quantum : ndarray of float64, shape (directions, 3), or None
        What the dipole is known up to whole numbers of, in e·Å; no row where it is said to be known as it stands, None
        where nothing is said.
    """

    atoms: Atoms
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    source: str = ""
    index: int = 0
    weight: float = 1.0
    charge: float | None = None
    group: str = ""
    found: Found = field(default_factory=Found)
    quantum: np.ndarray | None = None
    label_weights: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_folded(self) -> bool:
        """Whether it has a dipole that is known up to whole quanta."""
        return DIPOLE in self.labels and self.quantum is not None and len(self.quantum) > 0

    def label_near(self, name: str, predicted: np.ndarray) -> np.ndarray:
        """A label; of a dipole that is known up to whole quanta, the one nearest to a prediction."""
        label = self.labels[name]
        if name != DIPOLE or not self.is_folded:
            return label
        return predicted + folded(label - predicted, self.quantum)

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"frame {self.index} of '{self.source}'" if self.source else f"frame {self.index}"


def frame_from_ase(atoms: Atoms, source: str = "", index: int = 0, reading: Reading | None = None) -> Frame:
    """Separate a structure from its labels.

    Parameters
    ----------
    atoms : ase.Atoms
        With labels among the results of its calculator, in ``info`` or in ``arrays``.
    source, index : str, int
        Where it comes from, for messages.
    reading : Reading, optional
        What is said of names, units and orders.

    Raises
    ------
    DataError
        If there is no atom, the cell is none, a label has a wrong shape or is not finite, or two entries stand for the
        same label and differ.
    """
    reading = reading or Reading()
    bare = atoms.copy()
    known = {**atoms.arrays, **atoms.info, **(atoms.calc.results if atoms.calc else {})}
    known = {name: value for name, value in known.items() if value is not None}
    for name in USUAL[CHARGE]:
        bare.info.pop(name, None)  # read below, as it is said that it stands there
    where = Frame(bare, {}, source, index)
    _check_structure(where, reading)
    keys = _keys(where, known, reading)
    values: dict[str, np.ndarray] = {}
    for label, key in keys.items():
        value = _value(where, label, key, known[key], reading)
        if value is not None:
            values[label] = value
    values, left_out = _with_stress(where, values, keys, reading)
    own = {name: _own_key(name, known, reading) for name in USUAL}
    for name in (*keys.values(), *labels(), QUANTUM):
        bare.info.pop(name, None)
        bare.arrays.pop(name, None)
    used = {*keys.values(), *own.values(), *NO_LABELS, GROUP, QUANTUM}
    unused = tuple(key for key, value in known.items() if key not in used and _is_numbers(value))
    names = {("stress" if label == VIRIAL else label): key for label, key in keys.items()}
    found = Found({label: key for label, key in names.items() if label in values}, unused, left_out)
    weight, group = _weight(where, known, own, reading)
    charge = _charge(where, own[CHARGE], known, reading)
    if charge is not None:
        bare.info[CHARGE] = charge  # as batches know it
    if charge and "dipole" in values and reading.dipole_origin == CENTRE_OF_MASS:
        values["dipole"] = values["dipole"] + dipole_of_charge(charge, bare.numbers, bare.positions)
    return Frame(bare, values, source, index, weight, charge, group, found, _quantum(where, known, values, reading))


def _quantum(
    frame: Frame, known: Mapping[str, Any], values: Mapping[str, np.ndarray], reading: Reading
) -> np.ndarray | None:
    """What the dipole is known up to: what the file says, else e times the lattice where there are Born charges.

    Born charges are of a linear response, whose dipole is a Berry phase, and they tell its branch.
    """
    if DIPOLE not in values:
        return None
    if reading.dipole_quantum == NO_QUANTUM:
        return np.empty((0, 3))
    if QUANTUM in known and not reading.dipole_quantum:
        said = np.asarray(known[QUANTUM])
        if said.size != 9 or said.dtype.kind not in "fi" or not np.isfinite(said).all():
            raise DataError(f"{QUANTUM} of {frame.name} is {known[QUANTUM]!r}; three vectors, nine numbers, are needed")
        vectors = said.reshape(3, 3) * reading.factors.get(DIPOLE, 1.0)
        vectors = vectors[vectors.any(axis=1)]  # none of nine zeros: the dipole is known as it stands
        if len(vectors) and np.linalg.matrix_rank(vectors) < len(vectors):
            raise DataError(
                f"{QUANTUM} of {frame.name} is {vectors.tolist()} e·Å; vectors that are independent of each other are "
                "needed, zeros in other directions"
            )
        return vectors
    is_berry_phase = bool(reading.dipole_quantum) or BORN_CHARGES in values
    return lattice_quantum(frame.atoms) if is_berry_phase else None


def _check_structure(frame: Frame, reading: Reading) -> None:
    """Refuse what is no structure, and bring it to Å."""
    atoms = frame.atoms
    if len(atoms) == 0:
        raise DataError(f"{frame.name} holds no atom; at least one is needed")
    if atoms.numbers.min() < 1:
        raise DataError(f"{frame.name}: atom {int(atoms.numbers.argmin())} is no chemical element")
    if atoms.numbers.max() >= len(chemical_symbols):
        raise DataError(f"{frame.name}: atom {int(atoms.numbers.argmax())} is no chemical element")
    factor = reading.factors.get(POSITIONS, 1.0)
    if factor != 1.0:
        atoms.set_cell(atoms.cell.array * factor, scale_atoms=False)
        atoms.positions *= factor
    if any(periodic and not vector.any() for periodic, vector in zip(atoms.pbc, atoms.cell.array, strict=True)):
        letters = " ".join("FT"[int(periodic)] for periodic in atoms.pbc)
        raise DataError(
            f"{frame.name}: cell {atoms.cell.array.tolist()} with pbc {letters}; a periodic direction needs a vector"
        )
    try:
        check_cells(Batch.from_ase(atoms))
    except StructureError as error:
        raise DataError(f"{frame.name}: {error}") from error


def _keys(frame: Frame, known: Mapping[str, Any], reading: Reading) -> dict[str, str]:
    """Which entry is which label; a virial as `VIRIAL`."""
    keys = {name: key for name, key in reading.keys.items() if key in known and name not in USUAL}
    mapped, own = {*reading.keys.values()}, [*labels(), VIRIAL]
    keys |= {name: name for name in own if name in known and name not in {*reading.keys, *mapped}}
    others: dict[str, list[tuple[bool, str]]] = {}
    for key in known:
        label, is_same_word = names_in_files().get(str(key).lower(), ("", False))
        if label and label not in reading.keys and key not in {*own, *mapped}:
            others.setdefault(label, []).append((not is_same_word, key))
    for label, found in others.items():
        same_words = [key for is_alias, key in sorted(found) if not is_alias]
        candidates = [*([keys[label]] if label in keys else []), *same_words]
        if not candidates:  # other words may mean other things: an angle alpha is no polarizability
            candidates = [key for _, key in sorted(found) if _may_be(label, known[key], len(frame.atoms))]
        for key in candidates[1:]:
            if not _agree(known[candidates[0]], known[key]):
                raise DataError(
                    f"{frame.name} has '{candidates[0]}' and '{key}', which differ; say which is the {label} by "
                    f'keys = {{{label} = "…"}}'
                )
        if candidates:
            keys[label] = candidates[0]
    return keys


def _may_be(name: str, value: object, atoms: int) -> bool:
    """Whether an entry has the shape of a label, or of a tensor whose order has to be said."""
    own = labels()["stress" if name == VIRIAL else name]
    array = np.asarray(value)
    is_tensor = own.shape == (3, 3) and own.per == "cell" and array.shape == (6,)
    return array.dtype.kind in "fi" and (is_tensor or own.shaped(array.astype(float), atoms) is not None)


def _agree(first: object, second: object) -> bool:
    try:
        a, b = (np.asarray(one, dtype=np.float64).ravel() for one in (first, second))
    except (TypeError, ValueError):
        return False
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=AGREEMENT, atol=AGREEMENT, equal_nan=True))


def _value(frame: Frame, name: str, key: str, value: object, reading: Reading) -> np.ndarray | None:
    """A label in its shape and unit, as float64; None where it counts as missing."""
    own = labels()["stress" if name == VIRIAL else name]
    allowed = "9 numbers in eV" if name == VIRIAL else own.allowed
    called = name if key == name else f"{name}, '{key}',"
    try:
        received = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{called} of {frame.name} is {value!r}; allowed is {allowed}") from error
    ordered = _ordered(received, reading.places[name]) if name in reading.places else received
    is_unknown_order = name == VIRIAL and ordered is not None and ordered.shape == (6,)
    label = None if ordered is None or is_unknown_order else own.shaped(ordered, len(frame.atoms))
    if label is None:
        is_tensor = own.shape == (3, 3)
        hint = f"; six where orders says which, as {name} = 'xx yy zz yz xz xy'" if is_tensor else ""
        if name in reading.places:
            allowed, hint = f"{reading.places[name].max() + 1} numbers, as orders says", ""
        raise DataError(f"{called} of {frame.name} has shape {received.shape}; allowed is {allowed}{hint}")
    is_there = np.isfinite(label)
    if reading.nan_is_missing:
        is_nan = np.isnan(label).reshape(1 if own.per == "cell" else len(label), -1)
        if is_nan.all():
            return None
        if own.per != "cell":
            is_there[is_nan.all(axis=1)] = True  # an atom or molecule without a label
    if not is_there.all():
        place = np.argwhere(~is_there)[0]
        where = f" at {place.tolist()}" if len(place) else ""
        needed = "of a sample all numbers or none" if reading.nan_is_missing else "all labels must be finite"
        raise DataError(f"{called} of {frame.name} is {label[tuple(place)]}{where}; {needed}")
    return label * reading.factors.get(name, 1.0)


def _ordered(received: np.ndarray, places: np.ndarray) -> np.ndarray | None:
    """Numbers of tensors in our order; None if there are not as many as their order says."""
    count = int(places.max()) + 1
    flat = received.reshape(*received.shape[:-2], -1) if received.shape[-2:] == (3, 3) else received
    return flat[..., places] if flat.ndim and flat.shape[-1] == count else None


def _with_stress(
    frame: Frame, values: dict[str, np.ndarray], keys: Mapping[str, str], reading: Reading
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Values with the stress −virial/volume, without that of a structure that has no volume, and what is left out."""
    virial = values.pop(VIRIAL, None)
    if virial is None and "stress" not in values:
        return values, ()
    if frame.atoms.cell.rank < 3 or not frame.atoms.pbc.any():
        values.pop("stress", None)
        return values, ("stress",)
    if virial is not None:
        stress = -virial / frame.atoms.get_volume()
        if "stress" not in values:
            values["stress"] = stress
        elif "stress" not in reading.keys:
            scale = np.abs(stress).max()
            if np.abs(values["stress"] - stress).max() > VIRIAL_AGREEMENT * scale:
                raise DataError(
                    f"'{keys['stress']}' and '{keys[VIRIAL]}' of {frame.name} do not agree: stress_xx is "
                    f"{values['stress'][0, 0]:.6g} and -virial_xx/volume {stress[0, 0]:.6g} eV/Å³; say which by "
                    "keys, and its unit by units"
                )
    return values, ()


def _own_key(name: str, known: Mapping[str, Any], reading: Reading) -> str:
    """Entry of the weight, the charge or the group of a frame; empty if there is none."""
    candidates = (reading.keys[name],) if name in reading.keys else USUAL[name]
    return next((key for key in candidates if key in known and np.ndim(known[key]) == 0), "")


def _weight(frame: Frame, known: Mapping[str, Any], own: Mapping[str, str], reading: Reading) -> tuple[float, str]:
    """What the rows of a frame count, and its group."""
    weight = 1.0
    if own[WEIGHT]:
        weight = _number(frame, own[WEIGHT], known, "a finite number that is not negative")
        if not is_weight(weight):
            raise DataError(f"{own[WEIGHT]} of {frame.name} is {weight:g}; a weight is not negative")
    group = str(known[own[GROUP]]) if own[GROUP] else ""
    return weight * reading.weights.get(group, 1.0), group


def _charge(frame: Frame, key: str, known: Mapping[str, Any], reading: Reading) -> float | None:
    """Total charge in e that a frame says by an entry, or that all frames have which do not say theirs."""
    if not key:
        return reading.charge
    charge = _number(frame, key, known, "a finite number in e")
    others = [] if CHARGE in reading.keys else [own for own in USUAL[CHARGE] if np.ndim(known.get(own, charge)) == 0]
    for other in others:
        if not _agree(charge, known.get(other, charge)):
            raise DataError(
                f"{frame.name} has '{key}' = {charge:g} and '{other}' = {known[other]}, which differ; say which is the "
                f'charge by keys = {{{CHARGE} = "…"}}'
            )
    return charge


def _number(frame: Frame, key: str, known: Mapping[str, Any], allowed: str) -> float:
    if not is_number(known[key]):
        raise DataError(f"{key} of {frame.name} is {known[key]!r}; allowed is {allowed}")
    return float(known[key])


def _is_numbers(value: object) -> bool:
    """Whether an entry may be a label: numbers with a point."""
    return np.asarray(value).dtype.kind == "f" if isinstance(value, (float, np.ndarray, list, np.floating)) else False
