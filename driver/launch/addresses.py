"""Is the address of i-PI free?  Leftovers of a crashed i-PI are removed, a live one is left alone."""

from __future__ import annotations

import errno
import socket
import stat
from collections.abc import Callable
from pathlib import Path

from ...runs.input.elements import InputError
from ...runs.input.force_fields import ForceSocket


def make_free(address: ForceSocket, report: Callable[[str], None]) -> None:
    """Make sure that i-PI can listen at an address.

    Parameters
    ----------
    address : ForceSocket
        Where i-PI is going to listen.  The file of a unix socket that nobody listens to is removed.
    report : callable
        Told in one line what was removed.

    Raises
    ------
    InputError
        If somebody listens there, or the address cannot be used.
    """
    if not address.is_file:
        _check_port(address)
    elif address.path.exists():
        if not stat.S_ISSOCK(address.path.stat().st_mode):
            raise InputError(f"'{address.path}' is in the way of i-PI's socket and is no socket; remove or rename it")
        if is_listened_to(address.path):
            raise InputError(
                f"another i-PI listens at {address.path}; wait for it to end, or change <address> in <ffsocket>"
            )
        address.path.unlink()
        report(f"removed {address.path}, left behind by an i-PI that is gone")


def remove_leftover(address: ForceSocket) -> None:
    """Remove the unix socket of an i-PI that has ended; i-PI does so itself unless it was killed."""
    if address.is_file and address.path.is_socket() and not is_listened_to(address.path):
        address.path.unlink(missing_ok=True)


def is_listened_to(path: Path) -> bool:
    """Whether a process holds a unix socket.

    A datagram socket asks: it is refused either way, but with different reasons, and a live i-PI never notices.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        return probe.connect_ex(str(path)) not in (errno.ECONNREFUSED, errno.ENOENT)


def _check_port(address: ForceSocket) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as i-PI does
        try:
            probe.bind((address.address, address.port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InputError(
                f"i-PI cannot listen at {address}: {reason}; <address> must be this machine's and <port> a free one"
            ) from error
