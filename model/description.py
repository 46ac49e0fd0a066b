"""What a model file says of itself, for a reader and for a program."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..json_text import plain
from ..pyx.tensor_head import TensorHead
from ..reading import printable
from . import Model
from .charges.record import CHARGES, has_charges
from .evaluators import provider_of_fit
from .evaluators.registry import provider_of
from .files import ModelFileError, find, load_model, read, shipped_models
from .lode.file import long_range_description
from .structures import species_names
from .summary import equivariant_text, sizes_of_equivariant, weights_of_head, weights_of_network

if TYPE_CHECKING:
    from .charges.evaluator import WithCharges

LONGEST_LIST = 12  # numbers; of longer lists the listing gives count and range
LONGEST_WORD = 24  # characters; longer items of a list stand on lines of their own
INDENT = "  "
EXTERNAL = ("mace", "metatomic", "nep")  # prefixes of files of other packages
TITLES = {  # of what is not a model file of ours, by a key that only its description has
    "parts": "A model of several parts",
    "provider": "A model of another package",
    "shells": "A Hamiltonian",
    "functions": "An electron density",
}
ERROR = "root_mean_square_error"


def describe_model(name: str | Path) -> dict[str, Any]:
    """Everything that a model file says of itself, except its weights.

    Parameters
    ----------
    name : str or Path
        A model file, a mixture, a file of another package as ``mace:FILE``, or the name of a shipped model.

    Returns
    -------
    dict
        Fit for JSON: numbers that are not finite are None.  The file's own metadata are under ``metadata``, whatever
        they hold.

    Raises
    ------
    ModelFileError
        If there is no such file or model, or it is damaged or of an unknown version.
    """
    found = provider_of(str(name))
    if found is not None and os.path.isfile(name):
        from .mixtures.description import describe_mixture

        return describe_mixture(name)
    if found is not None and found[0].prefix in EXTERNAL:
        from .external.description import describe_external

        return describe_external(str(name))
    if found is not None and found[0].prefix == "hamiltonian":
        from .orbitals.description import describe_hamiltonian

        return describe_hamiltonian(str(name))
    if found is not None and found[0].prefix == "density":
        from .electron_density.description import describe_density

        return describe_density(str(name))
    if found is not None:
        raise ModelFileError(
            f"'{name}' is not read from a model file, which alone can say something of itself; allowed are a file and "
            f"the shipped models {shipped_models()}"
        )
    path = find(name)
    header, _ = read(path)
    model = load_model(path)
    whole: Model | WithCharges = model
    if has_charges(model.metadata):
        from .charges.evaluator import charges_of

        whole = charges_of(model)
    return plain(
        {
            "file": path.name,
            "bytes": path.stat().st_size,
            "format": header["format"],
            "format_version": header["format_version"],
            "units": header.get("units"),
            "species": species_names(model.numbers),
            "properties": whole.properties,
            "charges": model.metadata.get(CHARGES) if has_charges(model.metadata) else None,
            "density": _density(model),
            "heads": {head: _head(own) for head, own in model.heads.items()},
            "network": _network(model),
            "equivariant": sizes_of_equivariant(model.equivariant) if model.equivariant else None,
            "long_range": _long_range(model),
            "members": _members(model),
            "local_field": model.local_field,
            "baseline": model.baseline,
            "repulsion": _repulsion(model),
            "metadata": model.metadata,
        }
    )


def _density(model: Model) -> dict[str, Any]:
    radial = model.radial
    return {
        "cutoff": radial.cutoff,
        "radial_functions": radial.radial,
        "radial_primitives": radial.coefficients.shape[2],
        "radial_form": asdict(radial.form),
        "l_max": model.l_max,
        "groups": model.groups,
    }


def _head(head: TensorHead) -> dict[str, int]:
    """Angular momentum of a head and its number of independent weights."""
    return {"angular_momentum": head.order, "weights": weights_of_head(head)}


def _network(model: Model) -> dict[str, Any] | None:
    """Widths of the layers of the energy's network and its number of weights; None where there is none."""
    if model.network is None:
        return None
    return {"hidden": model.network.widths, "weights": weights_of_network(model.network)}


def _long_range(model: Model) -> dict[str, Any] | None:
    """Sizes of the long-range energy, and how many weights it has; None where there is none."""
    if model.long_range is None:
        return None
    return {**long_range_description(model.long_range)["long_range"], "weights": model.long_range.weights.size}


def _members(model: Model) -> dict[str, Any] | None:
    """Number of members and their calibration; None where the model is no committee."""
    if model.members is None:
        return None
    own = model.members
    return {"count": own.count, "calibration": dict(own.factors), "uncalibrated": own.uncalibrated}


def _repulsion(model: Model) -> dict[str, Any]:
    symbols = species_names(model.numbers)
    pairs = {f"{symbols[a]}-{symbols[b]}": (a, b) for a in range(len(symbols)) for b in range(a, len(symbols))}
    own = model.repulsion.strength
    strength = {pair: float(own[place]) for pair, place in pairs.items()} if isinstance(own, np.ndarray) else own
    return {"strength": strength, "onset": {pair: model.repulsion.onset[place] for pair, place in pairs.items()}}


def _strength_text(strength: float | dict[str, float]) -> str:
    if isinstance(strength, dict):
        return ", ".join(f"{pair} {own:g}" for pair, own in strength.items())
    return f"{strength:g}"


def listing(description: dict[str, Any]) -> RenderableType:
    """Lay out the result of `describe_model`: what a user needs, how the model is made, then the file's metadata."""
    for key, title in TITLES.items():
        if key in description:
            return _section(title, {name: own for name, own in description.items() if own})
    metadata = description["metadata"]
    parts: list[RenderableType] = [_section("What it is for", _entries_for_users(description)), Text()]
    parts.append(_section("How it is made", _model_entries(description)))
    if metadata:
        parts += [Text(), _section("What the file says about it", metadata)]
    return Group(*parts)


def _entries_for_users(description: dict[str, Any]) -> dict[str, Any]:
    """What a user must know before a run: what it answers, for what, and how well."""
    metadata = description["metadata"] if isinstance(description["metadata"], dict) else {}
    onset = description["repulsion"]["onset"]
    shortest = ", ".join(f"{pair} {distance:.3g} Å" for pair, distance in onset.items() if distance)
    outside = "envelope_distance" in description["properties"]
    return {
        "species": description["species"],
        "baseline": _baseline_text(description),
        "properties": ", ".join(description["properties"]),
        "charges": _charges_text(description["charges"]),
        "cutoff": f"{description['density']['cutoff']:g} Å; atoms farther apart do not see each other",
        "limits": metadata.get("limits") or "the file names none; see what it was fitted to",
        "shortest distances": f"{shortest}; nearer than in the training, a repulsion acts" if shortest else "none",
        "training range": "kept; envelope_distance is 0 inside, and grows outside" if outside else "not kept",
        "uncertainties": _uncertainty_text(description["members"]),
        "errors on validation": _validation_errors(metadata) or "the file names none",
    }


def _charges_text(form: dict[str, Any] | None) -> str:
    """How charges follow, what acts between them, and which total charges were fitted."""
    if form is None:
        return "none"
    energies = {
        "none": "no energy",
        "coulomb": "the energy of Gaussian charges",
        "equilibration": "the whole energy of equilibration",
    }
    totals = ", ".join(f"{total:+g}" if total else "0" for total in form.get("totals") or [0.0])
    boundary = "in vacuum" if form.get("boundary") == "vacuum" else "in cells as they are given"
    energy = energies.get(str(form.get("energy")), str(form.get("energy")))
    text = f"{form.get('kind')}, with {energy}, {boundary}; total charges of the training {totals} e"
    if form.get("hardness"):
        text += f"; hardness {', '.join(f'{name} {own:.3g}' for name, own in form['hardness'].items())} eV/e²"
    return text


def _uncertainty_text(members: dict[str, Any] | None) -> str:
    if members is None:
        return "none; it has no members"
    how = "calibrated" if members["calibration"] else "not calibrated"
    return f"the spread of {members['count']} members, {how}"


def _validation_errors(metadata: dict[str, Any]) -> dict[str, str]:
    """Root mean square errors by validation file, each in one line; empty if the file keeps none of this form."""
    errors = metadata.get("errors")
    files = errors.get("validation") if isinstance(errors, dict) else None
    found = {}
    for name, report in files.items() if isinstance(files, dict) else ():
        properties = report.get("properties") if isinstance(report, dict) else None
        own = properties.items() if isinstance(properties, dict) else ()
        values = [f"{label} {_number_text(one[ERROR])} {one.get('unit', '')}" for label, one in own if _has_error(one)]
        if values:
            found[str(name)] = f"{', '.join(values)} (root mean square)"
    return found


def _has_error(errors: Any) -> bool:
    return isinstance(errors, dict) and isinstance(errors.get(ERROR), (int, float))


def _number_text(value: float) -> str:
    return f"{value:.3g}"


def _model_entries(description: dict[str, Any]) -> dict[str, Any]:
    """Put the model's part of the description into words, with units."""
    density, repulsion = description["density"], description["repulsion"]
    return {
        "file": f"{description['file']}, {description['bytes'] / 1024:.0f} KiB",
        "format": f"{description['format']}, version {description['format_version']}",
        "units": description["units"],
        "radial functions": _radial_functions(density),
        "highest angular momentum": f"{density['l_max']}, of the density of neighbours around an atom",
        "heads": {name: _head_text(own) for name, own in description["heads"].items()},
        "network of the energy": _network_text(description["network"]),
        "equivariant network": equivariant_text(own) if (own := description["equivariant"]) else "none",
        "long-range energy": _long_range_text(description["long_range"]),
        "members of a committee": _members_text(description["members"]),
        "local field": "Clausius–Mossotti, from local polarizabilities" if description["local_field"] else "none",
        "repulsion": {
            "strength": f"{_strength_text(repulsion['strength'])}; how steeply it rises inside the onset",
            "onset": {
                pair: f"{distance:.3g} Å" if distance else "none" for pair, distance in repulsion["onset"].items()
            },
        },
    }


def _baseline_text(description: dict[str, Any]) -> str:
    """Name of the potential that the energy corrects, and what gave it in the fit."""
    if not description["baseline"]:
        return "none: the energy is the whole"
    fitted = provider_of_fit(description["metadata"])
    return f"{description['baseline']}{f', fitted on {fitted}' if fitted else ''}; the energy is a correction to it"


def _radial_functions(density: dict[str, Any]) -> str:
    form = density["radial_form"]
    shared = len(set(density["groups"])) < len(density["groups"])
    whose = "shared by all of a group of neighbour species" if shared else "per neighbour species"
    text = f"{density['radial_functions']} {whose} from {density['radial_primitives']} cosines of a "
    text += f"logarithmic distance (warp length {form['warp_length']:g} Å, innermost {form['innermost']:g} Å)"
    if form["decay_power"]:
        text += f", decay length {form['decay_length']:g} Å with power {form['decay_power']:g}"
    return text


def _long_range_text(own: dict[str, Any] | None) -> str:
    """Potentials of all atoms that the energy reads."""
    if own is None:
        return "none"
    powers = ", ".join(f"1/r^{exponent}" for exponent in own["exponents"])
    return (
        f"{own['weights']} weights of potentials {powers}, smooth within {own['smearing']:g} Å, with l ≤ {own['l_max']}"
        f" in spheres of {own['radius']:g} Å, and of their products with the density"
    )


def _members_text(members: dict[str, Any] | None) -> str:
    if members is None:
        return "none"
    factors = ", ".join(f"{name} {factor:.3g}" for name, factor in members["calibration"].items())
    missing = f"; not calibrated: {', '.join(members['uncalibrated'])}" if members["uncalibrated"] else ""
    return f"{members['count']}; factors on their spread, from calibration: {factors or 'none'}{missing}"


def _network_text(network: dict[str, Any] | None) -> str:
    if network is None:
        return "none"
    widths = ", ".join(str(width) for width in network["hidden"])
    return f"{network['weights']} weights, hidden layers of {widths}; it is added to the linear energy"


def _head_text(head: dict[str, int]) -> str:
    order = head["angular_momentum"]
    kind = {0: ", a scalar", 1: ", a vector", 2: ", a symmetric tensor without trace"}.get(order, "")
    return f"{head['weights']} weights, angular momentum {order}{kind}"


def _section(title: str, content: Any) -> RenderableType:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="cyan")
    table.add_column(overflow="fold")
    # Text, not strings: square brackets in what a file says are no markup
    for name, value in _rows(content if isinstance(content, dict) else {"metadata": content}):
        table.add_row(Text(printable(name)), Text(printable(value)))
    return Group(Text(title, style="bold"), table)


def _rows(content: dict[str, Any], depth: int = 0) -> Iterator[tuple[str, str]]:
    """Rows (indented name, value) of a nested mapping."""
    for key, value in content.items():
        name = INDENT * depth + (key if "." in key else key.replace("_", " "))  # a file keeps its name
        if _has_error(value):
            yield name, _error_text(value)
        elif isinstance(value, dict) and value:
            yield name, ""
            yield from _rows(value, depth + 1)
        elif isinstance(value, list) and any(isinstance(own, (dict, list)) for own in value) and not _numbers(value):
            yield name, ""
            yield from _rows({str(place + 1): own for place, own in enumerate(value)}, depth + 1)
        else:
            yield name, _value_text(value)


def _error_text(errors: dict[str, Any]) -> str:
    """One line for the record of `beadwise.learning.fitting.accuracy` about one property."""
    text = f"{errors[ERROR]:.4g} {errors.get('unit', '')} root mean square"
    if isinstance(errors.get("percent_error"), (int, float)):
        text += f", {errors['percent_error']:.3g} % of the standard deviation"
    return text


def _value_text(value: Any) -> str:
    if value is None or value in ({}, []):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        numbers = _numbers(value)
        if len(numbers) > LONGEST_LIST:
            return f"{len(numbers)} numbers from {min(numbers):.6g} to {max(numbers):.6g}"
        texts = [_value_text(own) for own in value]
        return ("\n" if any(len(text) > LONGEST_WORD for text in texts) else ", ").join(texts)
    return str(value)


def _numbers(value: Any) -> list[float]:
    """All numbers of a nested list; empty if it holds anything else."""
    flat: list[float] = []
    for own in value:
        if isinstance(own, list):
            inner = _numbers(own)
            if own and not inner:
                return []
            flat += inner
        elif isinstance(own, (int, float)) and not isinstance(own, bool):
            flat.append(own)
        else:
            return []
    return flat
