"""Cavities of i-PI, ``<ffcavphsocket>``: what i-PI would stop at, without a word of the reason."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from ...runs.input.elements import InputError, boolean_in, words
from ...runs.input.force_fields import ForceSocket
from ...runs.input.run_input import RunInput

TAG = "ffcavphsocket"


def check_cavities(run: RunInput) -> None:
    """Refuse cavities whose dipole i-PI cannot tell.

    Raises
    ------
    InputError
        If charges are not as many as the atoms, or the dipole and its derivatives are to come from the extras: i-PI 3.3
        looks there for ``dipole_derivative``, a key that nothing here is sent under.
    """
    sockets = {socket.name: socket for socket in run.sockets}
    for element in run.root.iter(TAG):
        if boolean_in(element, "apply_photon", False) and boolean_in(element, "evaluate_photon", True):
            _check(run, element, sockets[element.get("name", "").strip()])


def _check(run: RunInput, element: ElementTree.Element, socket: ForceSocket) -> None:
    what = f"<{TAG}> '{socket.name}' of '{run.path}'"
    if boolean_in(element, "dipole_surface", False):
        raise InputError(
            f"{what} has <dipole_surface> True, for which i-PI reads dipole_derivative, and servers send BEC; allowed "
            "is False, with a <charge_array>"
        )
    charges = len(words(element.findtext("charge_array")))
    for system in run.systems:
        atoms = len(system.labels) - socket.photons
        if socket.owner in system.force_fields and charges != atoms:
            raise InputError(
                f"<charge_array> of {what} has {charges} charges; its system has {atoms} atoms beside "
                f"{socket.photons} for photons"
            )
