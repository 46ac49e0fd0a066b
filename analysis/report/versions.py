"""Versions of what a result was made with."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = {"beadwise": "beadwise", "i-PI": "ipi", "NumPy": "numpy", "SciPy": "scipy", "ASE": "ase", "PyTorch": "torch"}


def versions_here() -> dict[str, str]:
    """Versions by name, of the packages that are installed beside this Python."""
    found = {"Python": platform.python_version()}
    for name, package in PACKAGES.items():
        try:
            found[name] = version(package)
        except PackageNotFoundError:
            continue
    return found
