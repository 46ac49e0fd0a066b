"""A program that speaks i-PI's protocol as a client: started once, and asked for label after label."""

from __future__ import annotations

import hashlib
import shlex
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.units import Bohr, Hartree

from ...model.clients.program import (
    CHARGE,
    PLACEHOLDERS,
    ClientFailure,
    ClientProgram,
    client_cell,
    extras_of,
    same_for_client,
)
from ...model.structures import charge_of_frame
from ...properties.quantities import quantities
from .settings import LabelError, LabelSettings

# whatever reaches i-PI's socket: by its name, or by host and port
ADDRESSES = ("{address}", "{port}")


class SocketReference:
    """Labels by a client of i-PI: CP2K, Quantum ESPRESSO, FHI-aims, ASE's ``SocketClient``, ``beadwise serve``.

    The client runs in a folder of its own with copies of its files.  In these, and in the command, some words are
    filled in: ``{address}``, the name of the unix socket as i-PI's ``<address>`` has it, or ``{host}`` and ``{port}``
    of a TCP socket on the same machine; ``{structure}``, an extended xyz file of the first frame; ``{charge}``, its
    total charge in e; ``{cell}``, nine numbers in Å, and one vector of it each, ``{cell_a}``, ``{cell_b}``,
    ``{cell_c}``.

    It answers for frames with the same atoms in the same order, and is started anew for others, see
    `LabelSettings`.  A client that dies or does not answer in time fails one label, and is started anew for the next.

    Parameters
    ----------
    settings : LabelSettings
    """

    def __init__(self, settings: LabelSettings):
        self._settings = settings
        self._command = split_command(settings.client)
        self.name = settings.name or Path(self._command[0]).name
        self._client: ClientProgram | None = None

    @property
    def identity(self) -> str:
        """Command and content of the files; the settings' ``name`` where they have one."""
        if self._settings.name:
            return self._settings.name
        contents = (hashlib.sha256(_content(path)).hexdigest() for path in self._settings.paths)
        return " ".join([*self._command, *contents])

    def check(self) -> None:
        """See that files and, on this machine, the program are there, and that it learns where to connect.

        Raises
        ------
        LabelError
            Naming what is missing.
        """
        if not self._asks_for(ADDRESSES):
            raise LabelError(
                f"neither client = '{self._settings.client}' nor its files {self._settings.files} say where to "
                "connect; one of them must have {address}, or {host} and {port}"
            )
        if self._settings.cluster_kind == "local" and shutil.which(self._command[0]) is None:
            raise LabelError(
                f"there is no program '{self._command[0]}', which client = '{self._settings.client}' names"
            )

    def label(self, atoms: Atoms) -> dict[str, np.ndarray]:
        """Ask the client, and start it if need be.

        Returns
        -------
        dict of str to ndarray of float64
            Energy, forces; stress where the atoms are periodic and the client's virial is not all zeros, which is how
            a client says that it has none; dipole and polarizability where it sends them as JSON, in atomic units.

        Raises
        ------
        LabelError
            If it dies, does not answer in time, or answers something else, with the end of its log; or if the atoms
            have a charge that it would not be told.
        """
        charge = charge_of_frame(atoms)
        if charge and not self._asks_for([CHARGE]):
            raise LabelError(
                f"a frame has the charge {charge:g}; client or one of its files needs {CHARGE} to know of it"
            )
        if self._client is not None and not self._can_go_on(self._client, atoms):
            self.close()
        deadline = time.monotonic() + self._settings.timeout
        try:
            if self._client is None:
                self._client = ClientProgram(self._command, self._settings.paths, atoms)
                self._client.start(deadline)
            return _labels(atoms, self._client.ask(atoms, deadline))
        except ClientFailure as failure:
            if failure.is_late:
                failure = ClientFailure(f"did not answer within {self._settings.timeout:g} s")
            raise self._failed(failure) from failure
        except BaseException:
            self._give_up()
            raise

    def close(self) -> None:
        """Tell the client that it is done, and end it if it does not follow."""
        if self._client is not None:
            self._client.end()
            self._client = None

    def _asks_for(self, names: Sequence[str]) -> bool:
        """Whether one of some words in braces stands in the command or its files."""
        texts = [*self._command, *(_content(path).decode("utf-8", errors="replace") for path in self._settings.paths)]
        return any(name in text for name in names for text in texts)

    def _can_go_on(self, client: ClientProgram, atoms: Atoms) -> bool:
        """Whether a running client can be asked for these atoms."""
        restart, first = self._settings.restart, client.atoms
        if restart == "always" or not same_for_client(first, atoms):
            return False
        return restart == "species" or np.array_equal(client_cell(first), client_cell(atoms))

    def _failed(self, failure: ClientFailure) -> LabelError:
        """End a client that failed, and say what it wrote last."""
        client = self._client
        if client is None:  # there was not even a folder for it
            return LabelError(f"the client {self.name} {failure}")
        client.settle()
        words, details = client.last_words()
        self._give_up()
        said = f"; its last words: {words}" if words else "; it wrote nothing"
        return LabelError(f"the client {self.name} {failure}{said}", details)

    def _give_up(self) -> None:
        if self._client is not None:
            self._client.kill()
            self._client = None


def split_command(text: str) -> Sequence[str]:
    """Split a command as a shell does; no shell runs it.

    Raises
    ------
    LabelError
        If quotes are left open, or there is nothing.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise LabelError(f"client = '{text}' in [label] cannot be read: {error}") from error
    if not words:
        raise LabelError(f"client = '{text}' in [label] is empty; it is a command with {', '.join(PLACEHOLDERS)}")
    return words


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise LabelError(f"file '{path}' of the client cannot be read: {error.strerror or error}") from error


def _labels(atoms: Atoms, answer: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Labels from what a program answered."""
    labels = {name: answer[name] for name in ("energy", "forces")}
    virial = answer["virial"]
    if atoms.pbc.any() and virial.any():
        labels["stress"] = -(virial + virial.T) / (2 * atoms.get_volume())
    extras = extras_of(answer)
    for quantity in quantities().values():
        if quantity.name == "energy" or quantity.per == "molecule":
            continue
        samples = () if quantity.per == "cell" else (len(atoms),)
        unit = Hartree**quantity.unit.energy * Bohr**quantity.unit.length  # extras are in atomic units
        with suppress(KeyError, TypeError, ValueError):
            values = np.array(extras[quantity.extras], dtype=np.float64)
            labels[quantity.label] = values.reshape(*samples, *quantity.form.shape) * unit
    return labels
