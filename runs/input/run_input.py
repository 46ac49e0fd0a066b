"""An i-PI input or RESTART, parsed once and handed on in place of its path: whoever asks about a run asks here."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from ...properties.quantities import ALWAYS_SENT, properties
from . import outputs
from .atoms import SystemAtoms, atomic_numbers_of, atoms_of_system, common_labels, is_xml
from .cell import cell_of_system
from .dynamics import (
    Ensemble,
    dynamics_of,
    ensemble_of,
    has_constant_volume,
    name_of,
    temperature_of,
    timestep_of,
)
from .elements import (
    InputError,
    beads_of,
    integer_in,
    parse,
    parse_with_comments,
    systems_of,
    text_in,
    without_comments,
)
from .force_components import beads_of_component, force_field_of, weight_of
from .force_fields import ForceSocket, OtherForceField, other_force_fields, sockets_of
from .labels import read_species


@dataclass(frozen=True, eq=False)
class System:
    """One ``<system>``, as i-PI makes it of its templates.

    What cannot be read raises `InputError` when it is asked for.

    Parameters
    ----------
    run : RunInput
        That it is part of.
    number : int
        Its place among the systems.
    element : Element
    """

    run: RunInput
    number: int
    element: ElementTree.Element

    @property
    def beads(self) -> int:
        """Number of beads."""
        return beads_of(self.element)

    @property
    def dynamics(self) -> ElementTree.Element | None:
        """``<dynamics>`` or ``<driven_dynamics>``; None if its motion is another one."""
        return dynamics_of(self.element)

    @property
    def temperature(self) -> float:
        """In K; the same from an input and from the RESTART of its run."""
        return temperature_of(self.run.root, self.element, self.run.path)

    @property
    def timestep(self) -> float | None:
        """In fs, the same from an input and from the RESTART of its run; None if it is no dynamics."""
        return None if self.dynamics is None else timestep_of(self.dynamics, self.run.path)

    def timestep_for(self, what: str) -> float:
        """Time step in fs.

        Parameters
        ----------
        what : str
            What needs it, ``averages are made of a trajectory``, for the message if there is none.

        Raises
        ------
        InputError
            If it is no dynamics.
        """
        if self.timestep is None:
            raise InputError(f"'{self.run.path}' holds no <dynamics>; {what}")
        return self.timestep

    @property
    def name_of_dynamics(self) -> str:
        """``RPMD``, ``TRPMD`` …, with what barostat and thermostat do to it; empty if it is no dynamics."""
        if self.dynamics is None:
            return ""
        return name_of(self.element, self.dynamics, self.beads, self.run.path)

    @property
    def has_constant_volume(self) -> bool:
        """Whether the cell stays what it is."""
        return self.dynamics is None or has_constant_volume(self.dynamics)

    @cached_property
    def ensemble(self) -> Ensemble:
        """What it samples; refused if that is no ensemble of usual path integrals at one temperature."""
        return ensemble_of(self.run.root, self.element, self.run.path)

    @cached_property
    def cell(self) -> np.ndarray:
        """Lattice vectors in Å, one per row, shape (3, 3)."""
        return cell_of_system(self.element, self.run.path, self.run.folder, self.run.checkpoint)

    @cached_property
    def atoms(self) -> SystemAtoms:
        """Labels and masses of its atoms."""
        return atoms_of_system(self.element, self.run.path, self.run.folder, self.run.checkpoint)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of its atoms in i-PI's order, isotopes by i-PI's names."""
        return self.atoms.labels

    @property
    def force_fields(self) -> frozenset[str]:
        """Force fields that it asks, for its forces or for a bias."""
        return frozenset(map(force_field_of, self.element.iter("force")))

    @property
    def biases(self) -> tuple[str, ...]:
        """Force fields that act in its ``<bias>``, those of weight 0 left out."""
        forces = self.element.findall("ensemble/bias/force")
        return tuple(force_field_of(force) for force in forces if weight_of(force) != 0)

    @cached_property
    def properties_outputs(self) -> tuple[outputs.PropertiesOutput, ...]:
        """Its outputs of properties."""
        return tuple(outputs.properties_outputs(self.run.root, self.element))

    @cached_property
    def extras_outputs(self) -> tuple[outputs.ExtrasOutput, ...]:
        """Its outputs of the extras of forces."""
        return tuple(outputs.extras_outputs(self.run.root, self.element))

    @cached_property
    def bias_outputs(self) -> tuple[outputs.ExtrasOutput, ...]:
        """Its outputs of the extras of its bias."""
        return tuple(outputs.extras_outputs(self.run.root, self.element, of_bias=True))

    @cached_property
    def trajectory_outputs(self) -> tuple[outputs.TrajectoryOutput, ...]:
        """Its other trajectories, as positions and velocities."""
        return tuple(outputs.trajectory_outputs(self.run.root, self.element))


@dataclass(frozen=True, eq=False)
class RunInput:
    """An i-PI input or RESTART that has been parsed.

    What cannot be read raises `InputError` when it is asked for, and all of it in `checked`.

    Parameters
    ----------
    path : Path
    folder : Path
        Where i-PI runs, which is what the file names in it are relative to, and where the outputs are.
    document : Element
        ``<simulation>`` with its comments.  It is not to be changed.
    """

    path: Path
    folder: Path
    document: ElementTree.Element
    _checkpoints: dict[Path, ElementTree.Element] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, path: Path, folder: Path | None = None) -> RunInput:
        """Parse an i-PI input or RESTART.

        Parameters
        ----------
        path : Path
        folder : Path, optional
            Where i-PI runs; by default that of the file.

        Raises
        ------
        InputError
            If it cannot be read, or is no i-PI input.
        """
        return cls(path, path.parent if folder is None else folder, parse_with_comments(path))

    @cached_property
    def root(self) -> ElementTree.Element:
        """``<simulation>`` without comments.  It is not to be changed."""
        return without_comments(self.document)

    def checked(self) -> RunInput:
        """The same, after all that a run of i-PI needs has been read, so that what is wrong is found at once."""
        _ = self.sockets, self.others, self.step, self.total_steps, self.property_files, self.extras_outputs
        return self

    def checkpoint(self, path: Path) -> ElementTree.Element:
        """Parse a checkpoint that it begins with, once.

        Raises
        ------
        InputError
            If it cannot be read, or is no i-PI input.
        """
        if path not in self._checkpoints:
            self._checkpoints[path] = parse(path)
        return self._checkpoints[path]

    @property
    def step(self) -> int:
        """Step that the run starts from."""
        return integer_in(self.root, "step", 0)

    @property
    def total_steps(self) -> int:
        """Step where it ends."""
        return integer_in(self.root, "total_steps", 1000)

    @property
    def time_limit(self) -> float | None:
        """Seconds after which i-PI ends, of ``<total_time>``; None if there is no limit."""
        text = text_in(self.root, "total_time", "0")
        try:
            seconds = float(text)
        except ValueError:
            raise InputError(f"<total_time> of '{self.path}' is '{text}'; a number of seconds is needed") from None
        return seconds if seconds > 0 else None

    @property
    def prefix(self) -> str:
        """What i-PI puts before the names of all output files."""
        return outputs.prefix_of(self.root)

    @property
    def prefixes(self) -> tuple[str, ...]:
        """How the names of output files of each system begin, ``hot_run.``."""
        return tuple(outputs.output_name(self.root, "", system.element) for system in self.systems)

    def system_of_file(self, name: str) -> System | None:
        """The system that wrote a file; None if there is no system at all.

        Parameters
        ----------
        name : str
            Of the file, without its folder.  It counts only if there are several systems.

        Raises
        ------
        InputError
            If there are several systems, and the name has the prefix of none, or of more than one.
        """
        if len(self.systems) < 2:
            return self.systems[0] if self.systems else None
        found = [one for one, prefix in zip(self.systems, self.prefixes, strict=True) if name.startswith(prefix)]
        if len(found) != 1:
            prefixes = ", ".join(dict.fromkeys(self.prefixes))
            raise InputError(
                f"'{name}' is of {'several' if found else 'none'} of the {len(self.systems)} systems of '{self.path}', "
                f"whose files begin with {prefixes}"
            )
        return found[0]

    @cached_property
    def sockets(self) -> tuple[ForceSocket, ...]:
        """Where i-PI listens."""
        return tuple(sockets_of(self.root))

    @cached_property
    def others(self) -> tuple[OtherForceField, ...]:
        """Force fields that are evaluated in i-PI's process or over MPI."""
        return tuple(other_force_fields(self.root))

    @property
    def want(self) -> tuple[str, ...]:
        """Properties that are served to any force field: energy, forces, virial, and what outputs or dynamics read."""
        asked = {name for socket in self.sockets for name in socket.want}
        return (*ALWAYS_SENT, *(name for name, one in properties().items() if one.key and name in asked))

    @cached_property
    def systems(self) -> tuple[System, ...]:
        """Its systems, then one for each instance of its templates."""
        return tuple(System(self, number, element) for number, element in enumerate(systems_of(self.root)))

    def only_system(self) -> System:
        """The one system.

        Raises
        ------
        InputError
            If there are several, or none.
        """
        if len(self.systems) != 1:
            raise InputError(f"'{self.path}' has {len(self.systems)} systems; a run of one is needed")
        return self.systems[0]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Labels of the atoms in i-PI's order, isotopes by i-PI's names, which are those of all systems."""
        return common_labels([system.labels for system in self.systems], self.path)

    @property
    def numbers(self) -> np.ndarray:
        """Atomic numbers in i-PI's order, shape (atoms,), int32."""
        return atomic_numbers_of(self.labels, self.path)

    def labels_sent_to(self, force_field: str) -> tuple[str, ...]:
        """Labels of the atoms that i-PI sends to the servers of one ``<ffsocket>``, in its order.

        These are those of the systems that ask it, and of them those of its ``<activelist>``, and no photons.

        Parameters
        ----------
        force_field : str
            Name of the ``<ffsocket>``.

        Raises
        ------
        InputError
            If there is none of this name, or it is sent different atoms.
        """
        sockets = [socket for socket in self.sockets if socket.name == force_field]
        if not sockets:
            names = ", ".join(socket.name for socket in self.sockets) or "none"
            raise InputError(f"'{force_field}' is no <ffsocket> of '{self.path}'; it has {names}")
        asking = [system for system in self.systems if sockets[0].owner in system.force_fields] or self.systems
        sent = [sockets[0].atoms_of(system.labels, self.path) for system in asking]
        return common_labels(sent, self.path, f" that ask '{force_field}'")

    def beads_asking(self, socket: ForceSocket) -> int:
        """How many beads of all its systems, and of all force components of each, ask one ``<ffsocket>``."""
        return sum(
            beads_of_component(force, system.beads)
            for system in self.systems
            for force in system.element.iter("force")
            if force_field_of(force) == socket.owner
        )

    @property
    def property_files(self) -> tuple[str, ...]:
        """Names of the files of properties of its first system."""
        return tuple(one.name for one in outputs.properties_outputs(self.root, self._first))

    @property
    def extras_outputs(self) -> tuple[outputs.ExtrasOutput, ...]:
        """Outputs of extras of its first system; the files of another have its prefix in place of this one's."""
        return tuple(outputs.extras_outputs(self.root, self._first))

    @property
    def _first(self) -> ElementTree.Element | None:
        return self.systems[0].element if self.systems else None


def species_of_run(
    path: Path, folder: Path | None = None, force_field: str = "", any_label: bool = False
) -> np.ndarray:
    """Atomic numbers in i-PI's order, from an i-PI input, a RESTART, or a structure file.

    Parameters
    ----------
    path : Path
        An input, a RESTART, or any structure file that :func:`beadwise.runs.input.labels.read_species` reads.
    folder : Path, optional
        Where i-PI runs, which is what the file names in its input are relative to; by default the current folder.
    force_field : str
        Name of a force field of the input, for the atoms that i-PI sends there; empty for those of all systems.
    any_label : bool
        Whether atoms may have labels that are no elements, which get the atomic number 0.

    Returns
    -------
    ndarray of int32, shape (atoms,)

    Raises
    ------
    InputError
        If an input names no atoms or an unknown element, or holds systems of different atoms.
    StructureError
        If a structure file cannot be read.
    """
    if not is_xml(path):
        return read_species(path)
    run = RunInput.read(path, folder or Path())
    labels = run.labels_sent_to(force_field) if force_field else run.labels
    return atomic_numbers_of(labels, path, any_label)
