"""Labels: what may be known of a frame, under which names it stands in files, and in which shape and unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from ase.stress import voigt_6_to_full_3x3_stress

from ...model import BeadwiseError
from ...properties.quantities import properties, quantities, table_of_registry
from ...quantity import OPEN, Quantity, Unit

PER_SAMPLE = {"cell": "", "atom": " per atom", "molecule": " per molecule"}
PREFIXES = ("ref_", "reference_", "dft_", "qm_", "mtt::", "target_")  # in small letters; see `names_in_files`
VIRIAL = "virial"  # −stress · volume, in place of a stress


class DataError(BeadwiseError, ValueError):
    """A data file that is missing or unreadable, or a label that cannot be used."""


@dataclass(frozen=True)
class Label:
    """What may be known of a frame.

    Parameters
    ----------
    name : str
        In extended xyz, and in `Frame.labels`.
    of : str
        The property that it is compared with; empty for what atoms add, see `values_of_atoms` of the model.
    allowed : str
        What it must be, for messages.
    per : str
        ``cell``, ``atom`` or ``molecule``.
    shape : tuple of int
        Of one sample.
    unit : Unit
    quantity : Quantity or None
        Whose heads are fitted to it; None for what is only compared, and for derivatives of the energy.
    aliases : tuple of str
        Other names that are known in files of others.
    """

    name: str
    of: str
    allowed: str
    per: str
    shape: tuple[int, ...]
    unit: Unit
    quantity: Quantity | None = None
    aliases: tuple[str, ...] = ()

    @property
    def is_of_atoms(self) -> bool:
        """Whether it is what single atoms add to a quantity of the cell."""
        return not self.of

    def shaped(self, label: np.ndarray, atoms: int) -> np.ndarray | None:
        """A label of so many atoms in its shape; None if it does not fit."""
        size = prod(self.shape)
        if self.name == "stress" and label.shape == (6,):
            return voigt_6_to_full_3x3_stress(label)
        if self.name == "energy":
            return label.reshape(()) if label.size == 1 else None
        if self.shape == (OPEN,):
            return label if label.ndim == 1 and label.size > 1 else None
        label = np.atleast_1d(label)  # ASE writes an array of one number as a number
        if self.per == "cell":
            return label.reshape(self.shape) if label.shape in (self.shape, (size,)) else None
        samples = atoms if self.per == "atom" else label.size // size
        fits = label.shape in ((samples, *self.shape), (samples, size), (samples * size,)) and samples > 0
        # forces in one row would be those of an unknown order
        return label.reshape(samples, *self.shape) if fits and (self.name != "forces" or label.ndim > 1) else None


@table_of_registry
def labels() -> Mapping[str, Label]:
    """All labels by name: of the energy and its derivatives, of quantities, their parts in molecules, derivatives."""
    energy = quantities()["energy"]
    stress, forces = Unit(energy=1, length=-3), energy.unit.per_length()
    found = [
        Label("energy", "energy", "one number in eV", "cell", (), energy.unit, energy, energy.aliases),
        Label(
            "forces", "forces", "three numbers per atom in eV/Å", "atom", (3,), forces, None, energy.derivative_aliases
        ),
        Label("stress", VIRIAL, "9 or 6 (xx yy zz yz xz xy) numbers in eV/Å³", "cell", (3, 3), stress),
    ]
    for one in properties().values():
        own = one.quantity
        if one.kind not in ("value", "molecular", "screened", "derivative") or own is None or own.name == "energy":
            continue
        if one.kind == "derivative" and own.form.is_open:
            continue
        size = prod(one.shape)
        several = "numbers on an axis" if one.shape[-1:] == (OPEN,) else f"{size} number{'s' * (size > 1)}"
        allowed = f"{several}{PER_SAMPLE[one.per]} in {str(one.unit) or 'no unit'}"
        name, aliases, fitted = {
            "value": (own.label, own.aliases, own),
            "molecular": (one.name, (), own),
            "screened": (one.name, (), None),  # a fit makes local values of it
            # a map of the cell is not linear in the weights
            "derivative": (
                own.derivative_ase,
                (own.derivative, *own.derivative_aliases),
                None if own.cell_map else own,
            ),
        }[one.kind]
        aliases = tuple(dict.fromkeys(alias for alias in aliases if alias != name))
        found.append(Label(name, one.name, allowed, one.per, one.shape, one.unit, fitted, aliases))
        if one.kind == "molecular":  # what single atoms add, as a Wannier centroid tells
            allowed = allowed.replace(PER_SAMPLE["molecule"], PER_SAMPLE["atom"])
            found.append(Label(f"atomic_{own.name}", "", allowed, "atom", one.shape, one.unit, own))
    return {label.name: label for label in found}


def whole_labels() -> tuple[str, ...]:
    """Labels of cells and atoms that a model is made from: no parts of molecules, no derivatives but forces, stress."""
    kinds = {name: properties()[label.of].kind for name, label in labels().items() if label.of}
    return tuple(name for name, kind in kinds.items() if kind == "value" or name in ("forces", "stress"))


@table_of_registry
def names_in_files() -> Mapping[str, tuple[str, bool]]:
    """The label, and whether only its prefix differs, of every other name in small letters that is known in files.

    A virial is listed as the label `VIRIAL`.  A name of a label is never another name of some other label.
    """
    found: dict[str, tuple[str, bool]] = {}
    for name, aliases in [
        *((own.name, own.aliases) for own in labels().values()),
        (VIRIAL, ("virials",)),
    ]:
        for place, own in enumerate((name, *aliases)):
            for prefix in ("", *PREFIXES):
                found.setdefault(prefix + own.lower(), (name, place == 0))
    return found
