"""Public sets of data: what `beadwise fetch` knows of them, from one file of names, addresses and checksums."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from ...reading import refusing, shown, toml_of
from ...suggestions import did_you_mean
from .label import DataError

REGISTRY = Path(__file__).with_name("public_sets.toml")
SCHEMES = ("https", "http")
ARCHIVES = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar", ".zip")
TEXTS = ("what", "doi", "cite", "licence")


@dataclass(frozen=True)
class PublicFile:
    """One file of a public set.

    Attributes
    ----------
    name : str
        Under which it is kept.
    url : str
        Where it comes from, http or https.
    sha256 : str
        Of its content, 64 hexadecimal digits.
    size : int
        In bytes; more is never taken in.
    unpack : bool
        Whether it is an archive whose content is wanted.
    what, doi, cite, licence : str
        What it holds, and what is owed to those who made it.
    """

    name: str
    url: str
    sha256: str
    size: int
    unpack: bool = False
    what: str = ""
    doi: str = ""
    cite: str = ""
    licence: str = ""

    def credit(self) -> str:
        """Its origin, its licence and how to cite it, in one line."""
        doi = f"https://doi.org/{self.doi}" if self.doi else ""
        return f"{self.name}: " + "; ".join(filter(None, (self.what, f"licence {self.licence}", self.cite, doi)))

    @property
    def unpacked_name(self) -> str:
        """Name of the folder that an archive is unpacked into."""
        return next(self.name.removesuffix(end) for end in ARCHIVES if self.name.endswith(end))


@dataclass(frozen=True)
class PublicSet:
    """A public set of data.

    Attributes
    ----------
    name, title : str
    folder : str
        Where its files go unless the user says otherwise.
    files : tuple of PublicFile
    next : str
        What to do with them, in one sentence.
    """

    name: str
    title: str
    folder: str
    files: tuple[PublicFile, ...]
    next: str = ""


def public_sets(registry: Path = REGISTRY) -> dict[str, PublicSet]:
    """Read all public sets of a registry.

    Parameters
    ----------
    registry : Path
        A TOML file with a table for each set.

    Returns
    -------
    dict of str to PublicSet

    Raises
    ------
    DataError
        If the file cannot be read, or says something that is not understood.
    """
    with refusing(DataError, f"cannot read the registry '{registry}'"):
        content = toml_of(registry)
    return {name: _public_set(name, own, f"'{registry}', set '{name}'") for name, own in content.items()}


def public_set(name: str, registry: Path = REGISTRY) -> PublicSet:
    """Look up one set.

    Raises
    ------
    DataError
        If there is none of this name, or the registry cannot be read.
    """
    known = public_sets(registry)
    if name not in known:
        raise DataError(f"no public set '{name}'; allowed are {', '.join(known) or 'none'}{did_you_mean(name, known)}")
    return known[name]


def _public_set(name: str, content: Any, where: str) -> PublicSet:
    _only_keys(content, ("title", "folder", "files", "next"), ("title", "files"), where)
    files = content["files"]
    if not isinstance(files, list) or not files:
        raise DataError(f"{where}: 'files' is {shown(files)}; it must be at least one table [[{name}.files]]")
    folder = _file_name(content.get("folder", name), "folder", where)
    parts = [_public_file(own, f"{where}, file {number}") for number, own in enumerate(files, 1)]
    if len({own.name for own in parts}) < len(parts):
        raise DataError(f"{where}: two files have one name")
    return PublicSet(name, _text(content, "title", where), folder, tuple(parts), _text(content, "next", where))


def _public_file(content: Any, where: str) -> PublicFile:
    needed = ("name", "url", "sha256", "size")
    _only_keys(content, (*needed, "unpack", *TEXTS), needed, where)
    name = _file_name(content["name"], "name", where)
    url, digest, size, unpack = content["url"], content["sha256"], content["size"], content.get("unpack", False)
    if not isinstance(url, str) or not _is_address(url):
        raise DataError(f"{where}: 'url' is {shown(url)}; it must begin with {' or '.join(f'{s}://' for s in SCHEMES)}")
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise DataError(f"{where}: 'sha256' is {shown(digest)}; it must be 64 hexadecimal digits in small letters")
    if type(size) is not int or size < 1:
        raise DataError(f"{where}: 'size' is {shown(size)}; it must be a whole number of bytes")
    if type(unpack) is not bool or (unpack and not name.endswith(ARCHIVES)):
        raise DataError(f"{where}: 'unpack' is {shown(unpack)}; true is for names that end in {', '.join(ARCHIVES)}")
    return PublicFile(name, url, digest, size, unpack, **{key: _text(content, key, where) for key in TEXTS})


def _is_address(url: str) -> bool:
    """Whether a text is an address with a scheme of ours and a host."""
    try:
        parts = urlsplit(url)
        return parts.scheme in SCHEMES and bool(parts.hostname)
    except ValueError:  # as of brackets that are not closed
        return False


def _only_keys(content: Any, allowed: tuple[str, ...], needed: tuple[str, ...], where: str) -> None:
    if not isinstance(content, dict):
        raise DataError(f"{where}: {shown(content)} is no table; allowed are the keys {', '.join(allowed)}")
    for key in content:
        if key not in allowed:
            raise DataError(
                f"{where}: unknown key '{key}'; allowed are {', '.join(allowed)}{did_you_mean(key, allowed)}"
            )
    if missing := [key for key in needed if key not in content]:
        raise DataError(f"{where}: {', '.join(missing)} missing; needed are {', '.join(needed)}")


def _text(content: dict[str, Any], key: str, where: str) -> str:
    value = content.get(key, "")
    if not isinstance(value, str):
        raise DataError(f"{where}: '{key}' is {shown(value)}; it must be a text")
    return value


def _file_name(value: Any, key: str, where: str) -> str:
    """A name without folders, as what a registry says must not reach beyond the folder of its set."""
    if not isinstance(value, str) or not value or PurePosixPath(value).name != value or value.startswith("."):
        raise DataError(
            f"{where}: '{key}' is {shown(value)}; it must be a name without '/' that does not begin with '.'"
        )
    return value
