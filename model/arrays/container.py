"""What all files of models are: a description as JSON and arrays, with one digest, in a ``.safetensors`` file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialise

from ...reading import json_of, reason, refusing, shown
from ...whole_files import write_bytes
from ..errors import ModelFileError


@dataclass(frozen=True)
class Container:
    """A kind of file.

    Parameters
    ----------
    kind : str
        The `format` in its description.
    called : str
        In messages, as ``model file``.
    versions : collection of int
        That can be read.
    otherwise : str
        What is said of a safetensors file that is none of them, after its name.
    """

    kind: str
    called: str
    versions: Collection[int]
    otherwise: str

    def write(self, path: str | Path, description: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Write a file with its digest; whatever ends the program, there is never half of it.

        Parameters
        ----------
        path : str or Path
        description : mapping
            Without ``format`` and ``sha256``; has ``format_version``.
        arrays : mapping of str to ndarray
        """
        whole = {"format": self.kind, **description}
        contiguous = {name: np.ascontiguousarray(array, dtype=np.float64) for name, array in arrays.items()}
        whole["sha256"] = digest_of(json.loads(json.dumps(whole)), contiguous)
        content = serialise(contiguous, metadata={"beadwise": json.dumps(whole, ensure_ascii=False)})
        write_bytes(path, content, durable=True)  # save_file would make a file that nobody else may read

    def read(self, path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Description and arrays of a file, checked for format, version and digest.

        Raises
        ------
        ModelFileError
            If there is no such file, or it is damaged or of an unknown version.
        """
        try:
            with refusing(ModelFileError, f"{path} is not a readable {self.called}"):
                with safe_open(str(path), framework="numpy") as file:
                    description = json_of((file.metadata() or {}).get("beadwise", "null"))
                    arrays = {key: as_reals(key, file.get_tensor(key)) for key in file.keys()}
        except SafetensorError as error:
            raise ModelFileError(f"{path} is not a readable {self.called}: {reason(error)}") from error
        if not isinstance(description, dict) or description.get("format") != self.kind:
            raise ModelFileError(f"{path} {self.otherwise}")
        version = description.get("format_version")
        if version not in self.versions:
            raise ModelFileError(
                f"{path} has format version {shown(version)}; this release reads {list(self.versions)}"
            )
        written = description.pop("sha256", None)  # files of earlier releases have none
        if written is not None and written != digest_of(description, arrays):
            raise ModelFileError(
                f"{path} is damaged: its sha256 is not that of what was written; copy it again, or take 'sha256' "
                "out of its description if it was changed on purpose"
            )
        return description, arrays


def digest_of(description: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of a description as it is read, without its own ``sha256``, and of all arrays."""
    digest = hashlib.sha256(json.dumps(description).encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].shape}".encode() + arrays[name].astype("<f8", copy=False).tobytes())
    return digest.hexdigest()


def as_reals(name: str, array: np.ndarray) -> np.ndarray:
    """An array in the numbers that the kernel reads.

    Raises
    ------
    ValueError
        If it holds other numbers than real ones.
    """
    if array.dtype.kind not in "fiu":
        raise ValueError(f"the array '{name}' is of {array.dtype}; real numbers are needed")
    return np.ascontiguousarray(array, dtype=np.float64)
