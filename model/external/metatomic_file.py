"""Files of metatomic: what a model can answer, by the names of its outputs."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ...properties.quantities import quantities
from ...reading import reason, shown
from ...suggestions import did_you_mean
from ..errors import EvaluatorError
from .devices import torch_device

logger = logging.getLogger(__name__)

ENERGY, ENSEMBLE, DIRECT = "energy", "energy_ensemble", "non_conservative_force"
OLD_NAMES = {DIRECT: "non_conservative_forces"}
DOMAIN = "mtt::"  # before names that metatomic does not fix; metatrain writes it


@dataclass(frozen=True)
class MetatomicFile:
    """A loaded model.

    Parameters
    ----------
    module : AtomisticModel
    outputs : dict of str to str
        Names of outputs by what they are here: quantities, `ENSEMBLE` and `DIRECT`.
    units : dict of str to str
        What the file says of the unit of each quantity other than the energy; empty where it says nothing.
    unsaid : tuple of str
        Energies, members' energies and forces by themselves whose unit the file does not say; metatomic converts only
        what it knows.
    species : tuple of int
    dtype : torch.dtype
    device : torch.device
    """

    module: Any
    outputs: dict[str, str]
    units: dict[str, str]
    unsaid: tuple[str, ...]
    species: tuple[int, ...]
    dtype: Any
    device: Any


@contextmanager
def quiet() -> Iterator[Any]:
    """Import metatomic without its warnings, and hand it out.

    Raises
    ------
    EvaluatorError
        If it is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            metatomic = import_module("metatomic.torch")
            import_module("vesin.metatomic")
        except ImportError as error:
            raise EvaluatorError(
                f"files of metatomic need the package metatomic-torch, which cannot be imported ({reason(error)}); "
                "install it with `pip install 'beadwise[metatomic]'`"
            ) from error
        yield metatomic


def read_metatomic(path: Path, wanted: Mapping[str, str], device: str, extensions: str) -> MetatomicFile:
    """Load a file that ``mtt train``, ``mtt export`` or `AtomisticModel.save` wrote.

    Such a file holds compiled code, which runs when it is evaluated.

    Parameters
    ----------
    path : Path
    wanted : mapping of str to str
        Names of outputs by quantity, where they are not found by themselves.
    device : str
        As torch calls it.
    extensions : str
        Folder of compiled extensions that the model needs; empty where they are installed.

    Raises
    ------
    EvaluatorError
        If metatomic is not installed, the file is damaged or of something else, the device is not there, or an output
        is not.
    """
    with quiet() as metatomic:
        import torch

        chosen = torch_device(device)
        try:
            module = metatomic.load_atomistic_model(str(path), extensions_directory=extensions or None)
            capabilities = module.capabilities()
            module = module.to(chosen)
            for parameter in module.parameters():  # derivatives by them are of no use here
                parameter.requires_grad = False
            inputs = list(module.requested_inputs(use_new_names=True))
        except (OSError, RuntimeError, ValueError, TypeError, AttributeError, AssertionError) as error:
            raise EvaluatorError(f"'{path}' cannot be loaded as a model of metatomic: {reason(error)}") from error
        if inputs:
            raise EvaluatorError(f"'{path}' needs {shown(inputs[0])} of each structure, which cannot be given here")
        present = {str(name): str(output.unit) for name, output in capabilities.outputs.items()}
        outputs = _outputs(path, list(present), wanted)
        units = {own: present[name] for own, name in outputs.items() if own in quantities() and own != ENERGY}
        unsaid = tuple(own for own in (ENERGY, ENSEMBLE, DIRECT) if own in outputs and not present[outputs[own]])
        if not capabilities.length_unit:
            logger.warning("'%s' does not say its unit of length; it is taken to be Å", path)
        species = tuple(sorted(int(number) for number in capabilities.atomic_types))
        dtype = {"float32": torch.float32, "float64": torch.float64}[capabilities.dtype]
        return MetatomicFile(module, outputs, units, unsaid, species, dtype, chosen)


def _outputs(path: Path, present: Sequence[str], wanted: Mapping[str, str]) -> dict[str, str]:
    """Which output is which quantity."""
    found = {}
    for own in (*quantities(), ENSEMBLE, DIRECT):
        name = wanted.get(own)
        if name is not None and name not in present:
            raise EvaluatorError(
                f"{own} is '{shown(name)}'; '{path}' has {', '.join(present)}{did_you_mean(name, present)}"
            )
        name = name or _by_itself(path, own, present, wanted)
        if name:
            found[own] = name
    if not set(found) & set(quantities()):
        raise EvaluatorError(
            f"'{path}' has the outputs {', '.join(present)}, none of which is known; say which is what, as "
            f"dipole={DOMAIN}NAME; known are {', '.join(quantities())}"
        )
    return found


def _by_itself(path: Path, own: str, present: Sequence[str], wanted: Mapping[str, str]) -> str:
    """The output that is called like a quantity; of several variants of it none is better than the others."""
    variant = wanted.get(ENERGY, "").partition("/")[2] if own in (ENSEMBLE, DIRECT) else ""
    names = [own, *filter(None, [OLD_NAMES.get(own, "")]), f"{DOMAIN}{own}"]
    if variant:
        names = [f"{name}/{variant}" for name in names]
    exact = next((name for name in names if name in present), "")
    variants = [name for name in present if name.startswith(tuple(f"{own_name}/" for own_name in names))]
    if not exact and len(variants) > 1 and own == ENERGY:
        raise EvaluatorError(f"'{path}' has the energies {', '.join(variants)}; say which with energy=NAME")
    return exact or (variants[0] if len(variants) == 1 else "")
