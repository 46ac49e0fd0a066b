"""Files of MACE: what kind of model one holds, and what it can say."""

from __future__ import annotations

import io
import os
import pickle
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ...reading import reason, shown
from ...suggestions import did_you_mean
from ..errors import EvaluatorError
from .devices import torch_device

ENERGY = ("energy", "forces", "virial")
DIPOLE, POLARIZABILITY = ("dipole", "born_charges"), ("polarizability", "polarizability_derivatives")
# by class in mace.modules.models; the units are those in which mace's own training writes errors, and for dipoles those
# in which the class adds the dipole of its charges
KINDS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "MACE": (ENERGY, {}),
    "ScaleShiftMACE": (ENERGY, {}),
    "EnergyDipolesMACE": (ENERGY + DIPOLE, {"dipole": "debye"}),
    "AtomicDipolesMACE": (DIPOLE, {"dipole": "debye"}),
    "AtomicDielectricMACE": (DIPOLE + POLARIZABILITY, {"dipole": "e*angstrom", "polarizability": "e*angstrom^2/V"}),
}
KNOWN_EMBEDDINGS = ("total_charge", "total_spin")  # of the whole system, which have settings
FORCED_PICKLES = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"  # what mace sets for the whole process when it is imported


@dataclass(frozen=True)
class MaceFile:
    """What a file holds.

    Parameters
    ----------
    module : torch.nn.Module
        In double or single precision, on its device, without gradients of its weights.
    kind : str
        A key of `KINDS`.
    properties : tuple of str
    units : dict of str to str
        Of dipole and polarizability, as the class writes them.
    species : tuple of int
        Atomic numbers in the order of the model.
    cutoff : float
        Å.
    head : int
        Which of its outputs is used.
    sums_atoms : bool
        Whether the energy is the sum of those that it gives for each atom.
    """

    module: Any
    kind: str
    properties: tuple[str, ...]
    units: dict[str, str]
    species: tuple[int, ...]
    cutoff: float
    head: int
    sums_atoms: bool

    @property
    def reads_charge(self) -> bool:
        """Whether what it gives depends on the total charge."""
        return "total_charge" in (getattr(self.module, "embedding_specs", None) or {})


@contextmanager
def quiet() -> Iterator[None]:
    """Import mace, which prints, warns, and lets every later ``torch.load`` of the process run code, without that.

    Raises
    ------
    EvaluatorError
        If it is not installed.
    """
    before = os.environ.get(FORCED_PICKLES)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            try:
                import_module("mace.modules")
            except ImportError as error:
                raise EvaluatorError(
                    f"files of MACE need the package mace-torch, which cannot be imported ({reason(error)}); "
                    "install it with `pip install 'beadwise[mace]'`"
                ) from error
            yield
    finally:
        os.environ.pop(FORCED_PICKLES, None)
        if before is not None:
            os.environ[FORCED_PICKLES] = before


def read_mace(path: Path, head: str, dtype: str, device: str) -> MaceFile:
    """Load a file that ``mace_run_train`` wrote, ``.model``, or a compiled one of it.

    Such a file runs code when it is loaded.

    Parameters
    ----------
    path : Path
    head : str
        Empty for the only one, or for the one that is called ``default``.
    dtype : str
        ``float64`` or ``float32``; empty for that of the file.
    device : str
        As torch calls it.

    Raises
    ------
    EvaluatorError
        If mace-torch is not installed, the file is damaged or of something else, the device is not there, or there is
        no such head.
    """
    with quiet():
        import torch

        chosen = torch_device(device)
        module: Any = _loaded(path)
        kind = str(getattr(module, "original_name", type(module).__name__))
        if kind not in KINDS:
            raise EvaluatorError(
                f"'{path}' holds {shown(kind)}, which is no model of MACE that can be served; allowed are "
                f"{', '.join(KINDS)}; `ase:mace.calculators.MACECalculator:…` may serve it bead by bead"
            )
        try:
            parameter = next(module.parameters())
            if dtype or parameter.dtype not in (torch.float32, torch.float64):
                module = module.to(dtype=getattr(torch, dtype or "float64"))
            module = module.to(chosen).eval()
            for parameter in module.parameters():  # compiled ones have no requires_grad_
                parameter.requires_grad = False
            species = tuple(int(number) for number in module.atomic_numbers)
            cutoff = float(module.r_max)
            heads = [str(name) for name in getattr(module, "heads", None) or ["Default"]]
        except (AttributeError, StopIteration, RuntimeError, TypeError, ValueError) as error:
            raise EvaluatorError(f"'{path}' holds {kind} that is not complete: {reason(error)}") from error
    _refuse_embeddings(module, path)
    properties, units = KINDS[kind]
    if kind == "AtomicDielectricMACE" and not getattr(module, "use_polarizability", True):
        properties, units = DIPOLE, {"dipole": units["dipole"]}
    sums_atoms = kind == "ScaleShiftMACE" and not hasattr(module, "embedding_readout")
    return MaceFile(module, kind, properties, dict(units), species, cutoff, _head(heads, head, path), sums_atoms)


def _loaded(path: Path) -> Any:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except (OSError, RuntimeError, pickle.UnpicklingError, zipfile.BadZipFile, *OF_PICKLES) as error:
        raise EvaluatorError(f"'{path}' is damaged or no file of MACE: {reason(error)}") from error


# damaged pickles call what they should not with what it does not take
OF_PICKLES = (
    ArithmeticError, AssertionError, AttributeError, EOFError, ImportError, LookupError, MemoryError, RecursionError,
    SyntaxError, TypeError, ValueError,
)  # fmt: skip


def _head(heads: Sequence[str], wanted: str, path: Path) -> int:
    """Number of the head: the one that is wanted, the only one, or the one that is called default."""
    if wanted:
        if wanted not in heads:
            raise EvaluatorError(
                f"head is '{shown(wanted)}'; '{path}' has {', '.join(heads)}{did_you_mean(wanted, heads)}"
            )
        return list(heads).index(wanted)
    named = [index for index, name in enumerate(heads) if len(heads) == 1 or name.lower() == "default"]
    if not named:
        raise EvaluatorError(f"'{path}' has the heads {', '.join(heads)}; say which with head=NAME")
    return named[0]


def _refuse_embeddings(module: Any, path: Path) -> None:
    """Refuse a model that asks for more than positions, charge and spin."""
    unknown = [name for name in getattr(module, "embedding_specs", None) or {} if name not in KNOWN_EMBEDDINGS]
    if unknown:
        raise EvaluatorError(f"'{path}' needs {unknown[0]} of each structure; only a charge and a spin can be given")
