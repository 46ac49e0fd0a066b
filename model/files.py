"""The model file: arrays and JSON metadata in one ``.safetensors`` file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from ..potentials.invariant_network import InvariantNetwork
from ..properties.quantities import BUILT_IN, heads, quantities
from ..pyx.kernel import limits
from ..pyx.tensor_head import DensityShape, TensorHead
from ..quantity import Head, Quantity
from ..reading import refusing
from ..suggestions import did_you_mean
from .arrays.container import Container
from .arrays.equivariant import equivariant_arrays, equivariant_description, equivariant_from
from .checks import check_sizes
from .electrons.file import curves_description, curves_from
from .errors import ModelFileError
from .lode.file import long_range_arrays, long_range_description, long_range_from
from .members import Members
from .model import Model, Repulsion
from .radial import RadialBasis, RadialForm

FORMAT = "beadwise model"
FORMAT_VERSION = 7
# 1 had neither groups of neighbours nor a network, 2 no baseline, 3 no members, 4 no quantities but those built in,
# 5 no equivariant network, 6 no long-range energy
READABLE_VERSIONS = (1, 2, 3, 4, 5, 6, 7)
WITH_EQUIVARIANT, WITH_QUANTITIES, WITH_MEMBERS, WITHOUT_MEMBERS = (
    6,
    5,
    4,
    3,
)  # what needs no more is written so that earlier releases read it
CONTAINER = Container(
    FORMAT, "model file", READABLE_VERSIONS, f"is a safetensors file without a '{FORMAT}' description"
)
UNITS = {"energy": "eV", "length": "Å", "dipole": "e·Å", "polarizability": "Å³"}
HAMILTONIAN = "_hamiltonian"  # how a file in the folder of shipped models ends that is named by `hamiltonian:`
HEAD_ARRAYS = ("offset", "linear", "weights")


def save(model: Model, path: str | Path) -> None:
    """Write a model; whatever ends the program, there is never half of it.

    Parameters
    ----------
    model : Model
    path : str or Path
        Should end in ``.safetensors``.
    """
    arrays = {"radial.coefficients": model.radial.coefficients, "repulsion.onset": model.repulsion.onset}
    arrays |= {
        key: array for part, own in by_part(model.heads).items() for key, array in part_arrays(part, own).items()
    }
    arrays |= network_arrays(model.network) | member_arrays(model.members) | equivariant_arrays(model.equivariant)
    description = {
        "format_version": version_of(model),
        "units": UNITS,
        "numbers": list(model.numbers),
        "l_max": model.l_max,
        "radial_form": asdict(model.radial.form),
        "heads": {part: {"l_max": own[0].l_max} for part, own in by_part(model.heads).items()},
        "repulsion_strength": np.asarray(model.repulsion.strength).tolist(),
        "groups": list(model.groups),
        "network": list(model.network.widths) if model.network else [],
        "local_field": model.local_field,
        "baseline": model.baseline,
        "metadata": model.metadata,
    }
    further = [own for name, own in quantities().items() if name in model.quantities and own not in BUILT_IN]
    if further:
        description["quantities"] = {own.name: described(own) for own in further}
    description |= curves_description(model.curves)
    description |= long_range_description(model.long_range)
    arrays |= long_range_arrays(model.long_range)
    if model.curves:
        arrays["curves.basis"] = model.curves.basis
    if model.equivariant:
        description["equivariant"] = equivariant_description(model.equivariant)
    if model.members:
        description["members"] = {"count": model.members.count, "calibration": dict(model.members.factors)}
    CONTAINER.write(path, description, arrays)


def version_of(model: Model) -> int:
    """The lowest format version that can say what a model is."""
    if model.long_range:
        return FORMAT_VERSION
    if model.equivariant:
        return WITH_EQUIVARIANT
    if any(heads()[name][0] not in BUILT_IN for name in model.heads):
        return WITH_QUANTITIES
    return WITH_MEMBERS if model.members else WITHOUT_MEMBERS


def described(quantity: Quantity) -> dict[str, Any]:
    """What a file says of a quantity that is not built in: that of the release that reads it must be the same."""
    irreps = [[irrep.order, irrep.parity, irrep.count] for irrep in quantity.form.irreps]
    return {"per": quantity.per, "unit": str(quantity.unit), "shape": list(quantity.form.shape), "irreps": irreps}


def by_part(model_heads: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What belongs to heads, by the name of their part of a quantity, in the order of the registry."""
    parts: dict[str, list[Any]] = {}
    for name, (quantity, head) in heads().items():
        if name in model_heads:
            parts.setdefault(quantity.part(head.irrep), []).append(model_heads[name])
    return parts


def part_arrays(part: str, own: Sequence[TensorHead]) -> dict[str, np.ndarray]:
    """Arrays of the heads of one part by their names in the file; several stand behind each other on the first axis."""
    arrays = {name: np.stack([getattr(head, name) for head in own]) for name in HEAD_ARRAYS}
    return {f"{part}.{name}": array[0] if len(own) == 1 else array for name, array in arrays.items()}


def load_model(name: str | Path, threads: int = 1) -> Model:
    """Read a model file, or a shipped model by its name; of a correction to a baseline the correction alone.

    Parameters
    ----------
    name : str or Path
        A path, or a name out of `shipped_models`.
    threads : int
        Threads for an evaluation.

    Raises
    ------
    ModelFileError
        If there is no such file or model, or it is damaged or of an unknown version.
    """
    path = find(name)
    description, arrays = read(path)
    with refusing(ModelFileError, f"model file {path} cannot be used"):
        return replace(assemble(description, arrays, threads), source=source_of(path))


def source_of(path: Path) -> str:
    """What a file is called: the name of a shipped model, or its full path."""
    return path.stem if path.stem in shipped_models() and path == find(path.stem) else str(path.absolute())


def shipped_models() -> list[str]:
    """Names of the models that come with the package; a Hamiltonian is none alone, as it has no energy."""
    folder = resources.files("beadwise.inputs")
    names = {
        entry.name.removesuffix(".safetensors") for entry in folder.iterdir() if entry.name.endswith(".safetensors")
    }
    return sorted(name for name in names if not name.endswith(HAMILTONIAN))


def find(name: str | Path) -> Path:
    """Path of a model file given its path or a shipped name."""
    if os.path.isfile(name):  # pathlib takes offence at names that no file can have
        return Path(name)
    if str(name) in shipped_models():
        return Path(str(resources.files("beadwise.inputs") / f"{name}.safetensors"))
    raise no_such_model(str(name), shipped_models())


def no_such_model(name: str, known: Iterable[str]) -> ModelFileError:
    """What is said of a name that is none, with the nearest of those that are known."""
    if os.path.isdir(name):
        return ModelFileError(f"no model '{name}', which is a folder: give the file in it, NAME.safetensors")
    known = list(known)
    others = [one for one in known if one not in shipped_models()]
    also = f", or one that is not read from a file: {', '.join(others)}" if others else ""
    allowed = f"give a file, or one of the shipped models {shipped_models()}{also}"
    if name in known:  # one that is no name alone
        return ModelFileError(f"no model '{name}' alone, a colon and more have to follow: {allowed}")
    in_folder = f"{name}.safetensors"
    nearest = f"; did you mean '{in_folder}'?" if os.path.isfile(in_folder) else did_you_mean(name, known)
    return ModelFileError(f"no model '{name}': {allowed}{nearest}")


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Description and arrays of a model file, checked for format, version and digest."""
    return CONTAINER.read(path)


def assemble(description: dict[str, Any], arrays: dict[str, np.ndarray], threads: int) -> Model:
    """Make a model from the contents of its file."""
    coefficients = arrays["radial.coefficients"]
    numbers = tuple(int(number) for number in description["numbers"])
    first = description["format_version"] == 1
    groups = tuple(int(group) for group in (range(len(numbers)) if first else description["groups"]))
    widths = [] if first else description["network"]
    shape = DensityShape(len(numbers), coefficients.shape[3], int(description["l_max"]), max(groups) + 1)
    check_sizes(numbers, groups, shape)
    radial = RadialBasis(RadialForm(**description["radial_form"]), coefficients)
    check_quantities(description.get("quantities", {}))
    own_heads = {
        name: TensorHead(head.order, replace(shape, l_max=l_max), offset, linear, weights, head.parity)
        for name, (head, l_max, (offset, linear, weights)) in heads_from(arrays, description["heads"]).items()
    }
    return Model(
        numbers,
        shape.l_max,
        radial,
        own_heads,
        Repulsion(arrays["repulsion.onset"], strength_from(description["repulsion_strength"])),
        bool(description["local_field"]),
        network_from(arrays, shape, widths),
        equivariant_from(arrays, description.get("equivariant"), shape),
        groups,
        description["metadata"],
        threads,
        baseline=str(description.get("baseline", "")),
        members=members_from(arrays, description.get("members"), own_heads),
        curves=curves_from(arrays, description.get("curves")),
        long_range=long_range_from(arrays, description.get("long_range"), len(numbers)),
    )


def strength_from(described: Any) -> float | np.ndarray:
    """One strength of the guard for all pairs, or one for each."""
    strength = np.array(described, dtype=np.float64)
    return strength if strength.ndim else float(strength)


def check_quantities(described_in_file: Mapping[str, Any]) -> None:
    """Refuse quantities that this release does not know, or knows as something else.

    Raises
    ------
    ValueError
        Naming the quantity.
    """
    for name, own in described_in_file.items():
        if name not in quantities():
            raise ValueError(f"it has the quantity '{name}'; known here are {', '.join(quantities())}")
        if own != described(quantities()[name]):
            raise ValueError(f"its quantity '{name}' is {own}; here it is {described(quantities()[name])}")


def heads_from(
    arrays: Mapping[str, np.ndarray], described_parts: Mapping[str, Any]
) -> dict[str, tuple[Head, int, list[np.ndarray]]]:
    """Every head of a file by its name, with the l_max that it reads and its arrays.

    Raises
    ------
    ValueError
        If a part is of no quantity, or has another number of heads.
    """
    copies: dict[str, list[Head]] = {}
    for quantity, head in heads().values():
        copies.setdefault(quantity.part(head.irrep), []).append(head)
    found = {}
    for part, own in described_parts.items():
        if part not in copies:
            raise ValueError(f"heads of '{part}', which is of no quantity; known here are {', '.join(copies)}")
        l_max = int(own["l_max"])
        if not 0 <= l_max <= limits()["l_max"]:
            raise ValueError(f"l_max of '{part}' is {l_max}; allowed are 0 to {limits()['l_max']}")
        stacked = [arrays[f"{part}.{name}"] for name in HEAD_ARRAYS]
        if len(copies[part]) == 1:
            stacked = [array[None] for array in stacked]
        if {len(array) for array in stacked} != {len(copies[part])}:
            raise ValueError(f"{[len(array) for array in stacked]} heads of '{part}'; {len(copies[part])} are needed")
        for index, head in enumerate(copies[part]):
            found[head.name] = (head, l_max, [array[index] for array in stacked])
    return found


def network_arrays(network: InvariantNetwork | None) -> dict[str, np.ndarray]:
    """Arrays of a network by their names in the file."""
    if network is None:
        return {}
    arrays = {"network.final": network.final}
    for index, (weights, bias) in enumerate(network.layers):
        arrays |= {f"network.{index}.weights": weights, f"network.{index}.bias": bias}
    return arrays


def network_from(arrays: dict[str, np.ndarray], shape: DensityShape, widths: list[int]) -> InvariantNetwork | None:
    """The network of a file, None where it has no layers.

    Raises
    ------
    ValueError
        If the arrays are not those of the widths.
    """
    found = sorted(name for name in arrays if name.startswith("network."))
    parts = [f"network.{index}.{part}" for index in range(len(widths)) for part in ("weights", "bias")]
    expected = sorted([*parts, "network.final"]) if widths else []
    if found != expected:
        raise ValueError(f"a network of widths {widths} has the arrays {found}")
    if not widths:
        return None
    pairs = [(arrays[f"network.{index}.weights"], arrays[f"network.{index}.bias"]) for index in range(len(widths))]
    network = InvariantNetwork(shape, pairs, arrays["network.final"])
    if list(network.widths) != list(widths):
        raise ValueError(f"a network of widths {widths} has layers of {list(network.widths)}")
    return network


def member_arrays(members: Members | None) -> dict[str, np.ndarray]:
    """Arrays of the members' deviations by their names in the file, one row for each member."""
    arrays: dict[str, np.ndarray] = {}
    for part, copies in by_part(members.deviations if members else {}).items():
        own = [part_arrays(f"members.{part}", member) for member in zip(*copies, strict=True)]
        arrays |= {name: np.stack([one[name] for one in own]) for name in own[0]}
    return arrays


def members_from(
    arrays: dict[str, np.ndarray], described: dict[str, Any] | None, own_heads: dict[str, TensorHead]
) -> Members | None:
    """The members of a file, None where it has none.

    Raises
    ------
    ValueError
        If the arrays are not those of so many members.
    """
    parts = by_part(own_heads)
    known = {f"members.{part}.{name}" for part in parts for name in HEAD_ARRAYS} if described is not None else set()
    unknown = sorted(name for name in arrays if name.startswith("members.") and name not in known)
    if unknown:
        raise ValueError(f"arrays {unknown[:2]} of members that the description does not have")
    if described is None:
        return None
    count = int(described["count"])
    deviations: dict[str, tuple[TensorHead, ...]] = {}
    names = by_part({name: name for name in own_heads})
    for part, own in parts.items():
        found = [arrays[key] for name in HEAD_ARRAYS if (key := f"members.{part}.{name}") in arrays]
        if not found:
            continue
        if len(found) != len(HEAD_ARRAYS) or {len(array) for array in found} != {count}:
            raise ValueError(f"{count} members have arrays of {[len(array) for array in found]} for the {part} head")
        for index, (name, head) in enumerate(zip(names[part], own, strict=True)):
            copies = found if len(own) == 1 else [array[:, index] for array in found]
            deviations[name] = tuple(
                replace(head, **{key: array[member] for key, array in zip(HEAD_ARRAYS, copies, strict=True)})
                for member in range(count)
            )
    if not deviations:
        raise ValueError(f"{count} members have no arrays")
    return Members(deviations, {str(name): float(factor) for name, factor in described["calibration"].items()})
