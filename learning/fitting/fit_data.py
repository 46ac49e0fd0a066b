"""All frames of a fit: read once, in the sets that they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase.data import atomic_numbers

from ...model.training.net_charge import NOMINAL, RECORD, charges_of_atoms
from ..data import Frame, labels, read_frames, require_files, split
from .configuration import Configuration, ConfigurationError
from .electrons.labels import with_curves

NEUTRAL = 1e-9  # e
SET_ASIDE = "set aside"  # of the training frames, in reports
ROLES = ("validation", "independent", "training")


@dataclass(frozen=True)
class FitData:
    """Frames of a fit.

    Parameters
    ----------
    sets : mapping of str to list of Frame
        By their labels in reports; see `file_labels`.
    roles : mapping of str to list of str
        Labels by role, ``training``, ``validation`` and ``independent``.
    """

    sets: Mapping[str, list[Frame]]
    roles: Mapping[str, list[str]]

    def of(self, role: str) -> list[Frame]:
        """All frames of one role."""
        return [frame for label in self.roles[role] for frame in self.sets.get(label, ())]

    def __iter__(self) -> Iterator[Frame]:
        return (frame for frames in self.sets.values() for frame in frames)


def read_fit_data(configuration: Configuration) -> FitData:
    """Read all files of a configuration, and set frames aside if it says so.

    Raises
    ------
    DataError
        If a file is missing or cannot be used, or setting aside leaves nothing.
    """
    data, folder = configuration.data, configuration.folder
    files = file_labels(configuration)
    require_files([folder / name for name in files])
    sets = {label: read_frames(folder / name, data.reading) for name, label in files.items()}
    roles = labels_by_role(configuration)
    if data.validation_part:
        train = [frame for label in roles["training"] for frame in sets[label]]
        kept, aside = split(train, data.validation_part)
        places = {id(frame) for frame in kept}
        own = {label: [frame for frame in sets[label] if id(frame) in places] for label in roles["training"]}
        sets = {SET_ASIDE: aside, **sets, **own}
    return FitData({label: frames for label, frames in with_curves(configuration, sets).items() if frames}, roles)


def labels_by_role(configuration: Configuration) -> dict[str, list[str]]:
    """Labels of the sets in reports, by their role."""
    data, names = configuration.data, file_labels(configuration)
    files = {"validation": data.validation_files, "independent": data.independent, "training": data.train}
    roles = {role: [names[name] for name in files[role]] for role in ROLES}
    return roles | ({"validation": [SET_ASIDE]} if data.validation_part else {})


def file_labels(configuration: Configuration) -> dict[str, str]:
    """Label of every data file in reports: its name without folders, or all of it where two files share the name."""
    data = configuration.data
    names = list(dict.fromkeys([*data.validation_files, *data.independent, *data.train]))
    short = [Path(name).name for name in names]
    return {name: own if short.count(own) == 1 else name for name, own in zip(names, short, strict=True)}


def charge_of_dipoles(configuration: Configuration, frames: Iterable[Frame]) -> dict[str, Any]:
    """What the metadata of a model keep of the charges that its dipole is of; nothing for neutral structures.

    Raises
    ------
    ConfigurationError
        If frames with dipoles differ in their charge, nominal charges do not add up to it, what dipoles of ions are
        about is not said, or those of periodic ions depend on images of atoms.
    """
    if "dipole" not in configuration.quantities:
        return {}
    of_dipoles = {name for name, label in labels().items() if label.quantity and label.quantity.name == "dipole"}
    labelled = [frame for frame in frames if of_dipoles & frame.labels.keys()]
    nominal = nominal_record(configuration)
    for frame in labelled if nominal else []:
        total = charges_of_atoms(nominal, frame.atoms.numbers, 0.0).sum()
        if abs(total - (frame.charge or 0.0)) > NEUTRAL:
            raise ConfigurationError(
                f"nominal_charges in [dipole] add up to {total:+g} e in {frame.name}, whose charge is "
                f"{frame.charge or 0.0:+g} e; both must be the same"
            )
    charges = sorted({frame.charge or 0.0 for frame in labelled})
    if not any(charges):
        return nominal
    if len(charges) > 1 and not nominal:
        shown = ", ".join(f"{charge:+g}" for charge in charges)
        raise ConfigurationError(
            f"training frames with dipoles have the total charges {shown} e; the dipole of a model is for one of them"
        )
    if not nominal:
        refuse_images(labelled)
    require_origin(configuration, labelled)
    return nominal or {RECORD: charges[0]}


def require_origin(configuration: Configuration, frames: Iterable[Frame]) -> None:
    """Refuse dipoles of charged frames where it is not said what they are about.

    Raises
    ------
    ConfigurationError
        Naming the charge of the first such frame.
    """
    charges = [frame.charge for frame in frames if frame.charge and "dipole" in frame.labels]
    if charges and not configuration.data.dipole_origin:
        raise ConfigurationError(
            f"the dipole of frames of charge {charges[0]:+g} e depends on its origin: say dipole_origin = "
            "'coordinates' or 'centre_of_mass' in [data]"
        )


def refuse_images(frames: Iterable[Frame]) -> None:
    """Refuse dipoles of charged periodic frames without nominal charges: images of an atom would have other dipoles.

    A charge that moves with the centre of mass of all atoms takes a part of a lattice vector along where one atom is
    wrapped into the cell, which is no quantum of the dipole.

    Raises
    ------
    ConfigurationError
        Naming the first such frame.
    """
    for frame in frames:
        if frame.charge and frame.atoms.pbc.any() and "dipole" in frame.labels:
            raise ConfigurationError(
                f"the dipole of {frame.name}, which is periodic and has the charge {frame.charge:+g} e, depends on the "
                "image that each atom is in: say nominal_charges in [dipole], whole numbers as {O = -2, H = 1}, or pbc "
                "= F F F of ions in vacuum"
            )


def nominal_record(configuration: Configuration) -> dict[str, Any]:
    """What the metadata of a model keep of nominal charges."""
    said = getattr(configuration.quantities.get("dipole"), "nominal_charges", {})
    unknown = [name for name in said if name not in atomic_numbers]
    if unknown:
        raise ConfigurationError(f"nominal_charges in [dipole] has {unknown[0]}, which is no chemical element")
    return {NOMINAL: dict(said)} if said else {}
