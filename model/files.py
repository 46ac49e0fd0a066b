"""The model file: arrays and JSON metadata in one ``.safetensors`` file."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialise

from ..potentials.invariant_network import InvariantNetwork
from ..properties.quantities import ORDERS
from ..pyx.tensor_head import DensityShape, TensorHead
from .errors import ModelFileError
from .members import Members
from .model import Model, Repulsion
from .outputs import HEADS
from .radial import RadialBasis, RadialForm

FORMAT = "beadwise model"
FORMAT_VERSION = 4
READABLE_VERSIONS = (1, 2, 3, 4)  # 1 had neither groups of neighbours nor a network, 2 no baseline, 3 no members
WITHOUT_MEMBERS = 3  # what has no members is written so that earlier releases read it
UNITS = {"energy": "eV", "length": "Å", "dipole": "e·Å", "polarizability": "Å³"}


def save(model: Model, path: str | Path) -> None:
    """Write a model.

    Parameters
    ----------
    model : Model
    path : str or Path
        Should end in ``.safetensors``.
    """
    arrays = {"radial.coefficients": model.radial.coefficients, "repulsion.onset": model.repulsion.onset}
    for name, head in model.heads.items():
        arrays |= {f"{name}.offset": head.offset, f"{name}.linear": head.linear, f"{name}.weights": head.weights}
    arrays |= network_arrays(model.network) | member_arrays(model.members)
    description = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION if model.members else WITHOUT_MEMBERS,
        "units": UNITS,
        "numbers": list(model.numbers),
        "l_max": model.l_max,
        "radial_form": asdict(model.radial.form),
        "heads": {name: {"l_max": model.heads[name].l_max} for name in HEADS if name in model.heads},
        "repulsion_strength": model.repulsion.strength,
        "groups": list(model.groups),
        "network": list(model.network.widths) if model.network else [],
        "local_field": model.local_field,
        "baseline": model.baseline,
        "metadata": model.metadata,
    }
    if model.members:
        description["members"] = {"count": model.members.count, "calibration": dict(model.members.factors)}
    contiguous = {name: np.ascontiguousarray(array, dtype=np.float64) for name, array in arrays.items()}
    content = serialise(contiguous, metadata={"beadwise": json.dumps(description, ensure_ascii=False)})
    Path(path).write_bytes(content)  # save_file would make a file that nobody else may read


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
    try:
        return assemble(description, arrays, threads)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ModelFileError(f"model file {path} cannot be used: {error}") from error


def shipped_models() -> list[str]:
    """Names of the models that come with the package."""
    folder = resources.files("beadwise.inputs")
    return sorted(
        entry.name.removesuffix(".safetensors") for entry in folder.iterdir() if entry.name.endswith(".safetensors")
    )


def find(name: str | Path) -> Path:
    """Path of a model file given its path or a shipped name."""
    if Path(name).is_file():
        return Path(name)
    if str(name) in shipped_models():
        return Path(str(resources.files("beadwise.inputs") / f"{name}.safetensors"))
    raise ModelFileError(f"no model '{name}': give a file, or one of the shipped models {shipped_models()}")


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Description and arrays of a model file, checked for format and version."""
    try:
        with safe_open(str(path), framework="numpy") as file:
            description = json.loads((file.metadata() or {}).get("beadwise", "null"))
            arrays = {key: file.get_tensor(key) for key in file.keys()}
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise ModelFileError(f"{path} is not a readable model file: {error}") from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise ModelFileError(f"{path} is a safetensors file without a '{FORMAT}' description")
    version = description.get("format_version")
    if version not in READABLE_VERSIONS:
        raise ModelFileError(f"{path} has format version {version}; this release reads {list(READABLE_VERSIONS)}")
    return description, arrays


def assemble(description: dict[str, Any], arrays: dict[str, np.ndarray], threads: int) -> Model:
    """Make a model from the contents of its file."""
    coefficients = arrays["radial.coefficients"]
    numbers = tuple(int(number) for number in description["numbers"])
    first = description["format_version"] == 1
    groups = tuple(int(group) for group in (range(len(numbers)) if first else description["groups"]))
    widths = [] if first else description["network"]
    shape = DensityShape(len(numbers), coefficients.shape[3], int(description["l_max"]), max(groups) + 1)
    radial = RadialBasis(RadialForm(**description["radial_form"]), coefficients)
    heads = {
        name: TensorHead(
            ORDERS[name],
            replace(shape, l_max=int(own["l_max"])),
            arrays[f"{name}.offset"],
            arrays[f"{name}.linear"],
            arrays[f"{name}.weights"],
        )
        for name, own in description["heads"].items()
    }
    return Model(
        numbers,
        shape.l_max,
        radial,
        heads,
        Repulsion(arrays["repulsion.onset"], float(description["repulsion_strength"])),
        bool(description["local_field"]),
        network_from(arrays, shape, widths),
        groups,
        description["metadata"],
        threads,
        baseline=str(description.get("baseline", "")),
        members=members_from(arrays, description.get("members"), heads),
    )


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
    arrays = {}
    for name, own in members.deviations.items() if members else ():
        for part in ("offset", "linear", "weights"):
            arrays[f"members.{name}.{part}"] = np.stack([getattr(head, part) for head in own])
    return arrays


def members_from(
    arrays: dict[str, np.ndarray], described: dict[str, Any] | None, heads: dict[str, TensorHead]
) -> Members | None:
    """The members of a file, None where it has none.

    Raises
    ------
    ValueError
        If the arrays are not those of so many members.
    """
    parts = ("offset", "linear", "weights")
    known = {f"members.{name}.{part}" for name in heads for part in parts} if described is not None else set()
    unknown = sorted(name for name in arrays if name.startswith("members.") and name not in known)
    if unknown:
        raise ValueError(f"arrays {unknown} of members that the description does not have")
    if described is None:
        return None
    count = int(described["count"])
    deviations = {}
    for name, head in heads.items():
        found = [arrays[f"members.{name}.{part}"] for part in parts if f"members.{name}.{part}" in arrays]
        if not found:
            continue
        if len(found) != len(parts) or {len(part) for part in found} != {count}:
            raise ValueError(f"{count} members have arrays of {[len(part) for part in found]} for the {name} head")
        deviations[name] = tuple(
            TensorHead(head.order, head.shape, *(part[member] for part in found)) for member in range(count)
        )
    if not deviations:
        raise ValueError(f"{count} members have no arrays")
    return Members(deviations, {str(name): float(factor) for name, factor in described["calibration"].items()})
