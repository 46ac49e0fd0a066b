"""Folders and sockets of programs that are asked; those of processes that were killed are removed."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from socket import gethostname

PREFIX = "beadwise-client"
SOCKETS = Path("/tmp")  # where i-PI and all its clients look for unix sockets
SOCKET_PREFIX = "ipi_"  # what they put before a name


def scratch_folder() -> Path:
    """Make a folder in the system's one for temporary files; remove it when done."""
    sweep()
    return Path(tempfile.mkdtemp(prefix=f"{_prefix()}{os.getpid()}-"))


def socket_name() -> str:
    """Make a name for a unix socket, that in i-PI's ``<address>``."""
    return f"{_prefix()}{os.getpid()}-{secrets.token_hex(4)}"


def socket_path(name: str) -> Path:
    """File of a unix socket of i-PI."""
    return SOCKETS / f"{SOCKET_PREFIX}{name}"


def sweep() -> None:
    """Remove folders and sockets of processes of this machine that no longer run: nobody tidied up after a kill."""
    folders = [(path, path.name) for path in Path(tempfile.gettempdir()).glob(f"{_prefix()}*")]
    sockets = [(path, path.name.removeprefix(SOCKET_PREFIX)) for path in SOCKETS.glob(f"{SOCKET_PREFIX}{_prefix()}*")]
    for path, name in [*folders, *sockets]:
        process = name.removeprefix(_prefix()).partition("-")[0]
        if not process.isdecimal() or _is_running(int(process)):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()


def remove(folder: Path) -> None:
    """Remove a folder; a program that was killed may still be writing its last file."""
    for _ in range(3):
        with suppress(OSError):
            shutil.rmtree(folder)
        if not folder.exists():
            return


def _prefix() -> str:
    """Tells the machine: temporary files may be on a disk that several share."""
    return f"{PREFIX}-{re.sub('[^A-Za-z0-9.]+', '_', gethostname())[:30]}-"


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        return True
    return True
