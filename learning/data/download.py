"""Files of public sets brought onto this machine: whole and with the right checksum, or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from ...progress import Progress
from ...reading import reason
from ...whole_files import whole_file, write_text
from .label import DataError
from .public_sets import PublicFile, PublicSet

PIECE = 1 << 16  # bytes that are taken in at a time
LARGEST_EXPANSION = 50  # an archive may become so many times as large


def fetch(data: PublicSet, folder: Path, progress: Progress, timeout: float = 30.0) -> list[Path]:
    """Bring all files of a public set into a folder.

    A file that is there with the right checksum is left as it is and no network is asked for it, so that what was
    copied by hand will do, and a second call goes on where the first one ended.

    Parameters
    ----------
    data : PublicSet
    folder : Path
        Made if it is not there.
    progress : Progress
    timeout : float
        Seconds that the other side may be silent.

    Returns
    -------
    list of Path
        The files, and the folders of archives.

    Raises
    ------
    DataError
        If the other side cannot be reached or refuses, if a content has not the size or checksum of the registry, or
        an archive holds what would leave its folder.
    OSError
        If nothing can be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for file in data.files:
        path = folder / file.name
        if path.exists():
            _require_checksum(path, file)
        else:
            _download(file, path, progress, timeout)
        paths.append(_unpacked(path, file) if file.unpack else path)
    write_text(folder / f"ORIGIN.{data.name}.txt", "".join(f"{file.credit()}\n{file.url}\n" for file in data.files))
    return paths


def _require_checksum(path: Path, file: PublicFile) -> None:
    if not path.is_file():
        raise DataError(f"'{path}' is no file; move it away, or name another folder")
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while piece := stream.read(PIECE):
            digest.update(piece)
    if digest.hexdigest() != file.sha256:
        raise DataError(
            f"'{path}' is there with SHA-256 {digest.hexdigest()}, and {file.sha256} is expected; move it away, or "
            "name another folder"
        )


def _download(file: PublicFile, path: Path, progress: Progress, timeout: float) -> None:
    digest, received = hashlib.sha256(), 0
    with whole_file(path, durable=True) as unfinished, open(unfinished, "wb") as target:
        with _refusing(file, path), urlopen(Request(file.url), timeout=timeout) as stream:
            while piece := stream.read(PIECE):
                received += len(piece)
                if received > file.size:
                    break
                digest.update(piece)
                target.write(piece)
                progress(f"fetching {file.name}", received // 1024, file.size // 1024, "KiB")
            if received <= file.size and stream.length:
                raise ConnectionError(f"{stream.length} bytes were to follow")
        found = digest.hexdigest()
        if received != file.size or found != file.sha256:
            what = f"more than {file.size}" if received > file.size else f"{received}, SHA-256 {found},"
            raise DataError(
                f"{file.url} gave other bytes than are expected: {what} instead of {file.size}, SHA-256 {file.sha256}; "
                "nothing was kept"
            )


@contextmanager
def _refusing(file: PublicFile, path: Path) -> Iterator[None]:
    """Turn what goes wrong with a network into one line that says how the file can be brought in another way."""
    host = urlsplit(file.url).hostname
    otherwise = f"; without a network, bring the file from another machine to '{path}': {file.url}"
    try:
        yield
    except HTTPError as error:
        raise DataError(f"{host} answers {error.code} {error.reason} to {file.url}; nothing was kept") from error
    except URLError as error:
        why = reason(error.reason) if isinstance(error.reason, BaseException) else str(error.reason)
        raise DataError(f"cannot reach {host}: {why}{otherwise}") from error
    except (TimeoutError, ConnectionError, HTTPException) as error:
        raise DataError(f"the connection to {host} broke: {reason(error)}{otherwise}") from error


def _unpacked(path: Path, file: PublicFile) -> Path:
    """Unpack an archive into a folder that appears whole or not at all; one that is there stays."""
    folder = path.with_name(file.unpacked_name)
    if folder.exists():
        return folder
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        try:
            (_unpack_zip if file.name.endswith(".zip") else _unpack_tar)(path, unfinished)
        except (tarfile.TarError, zipfile.BadZipFile, ValueError, EOFError, NotImplementedError) as error:
            raise DataError(f"'{path}' cannot be unpacked: {reason(error)}") from error
        os.chmod(unfinished, 0o755)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _unpack_tar(path: Path, folder: Path) -> None:
    with tarfile.open(path) as archive:
        members = archive.getmembers()
        _require_harmless(folder, path, [(own.name, own.size, own.isreg() or own.isdir()) for own in members])
        for own in members:
            if own.isreg():
                _copy(archive.extractfile(own), folder / own.name)


def _unpack_zip(path: Path, folder: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        _require_harmless(folder, path, [(own.filename, own.file_size, True) for own in members])
        for own in members:
            if not own.is_dir():
                _copy(archive.open(own), folder / own.filename)


def _copy(content: IO[bytes] | None, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target, "wb") as file:
        if content is not None:  # None is what is no plain file
            with content:
                shutil.copyfileobj(content, file)


def _require_harmless(folder: Path, archive: Path, members: list[tuple[str, int, bool]]) -> None:
    """Files and folders only, all within the folder, and not more than a disk takes.

    Python's own filter for archives came with 3.12, and not to all of 3.10.
    """
    for name, _, is_plain in members:
        if not is_plain or not (folder / name).resolve().is_relative_to(folder.resolve()):
            raise DataError(f"'{archive}' holds '{name}', which is no plain file or would leave its folder; refused")
    total, most = sum(size for _, size, _ in members), LARGEST_EXPANSION * archive.stat().st_size
    if total > most:
        raise DataError(
            f"'{archive}' would become {total} bytes; allowed are {most}, {LARGEST_EXPANSION} times its size"
        )
