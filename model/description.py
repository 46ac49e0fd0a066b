"""What a model file says of itself, for a reader and for a program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..json_text import plain
from ..pyx.tensor_head import TensorHead
from . import Model
from .evaluators import provider_of_fit
from .files import find, load_model, read
from .structures import species_names
from .summary import weights_of_head, weights_of_network

LONGEST_LIST = 12  # numbers; of longer lists the listing gives count and range
LONGEST_WORD = 24  # characters; longer items of a list stand on lines of their own
INDENT = "  "
ERROR = "root_mean_square_error"


def describe_model(name: str | Path) -> dict[str, Any]:
    """Everything that a model file says of itself, except its weights.

    Parameters
    ----------
    name : str or Path
        A model file, or the name of a shipped model.

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
    path = find(name)
    header, _ = read(path)
    model = load_model(path)
    return plain(
        {
            "file": path.name,
            "bytes": path.stat().st_size,
            "format": header["format"],
            "format_version": header["format_version"],
            "units": header.get("units"),
            "species": species_names(model.numbers),
            "properties": model.properties,
            "density": _density(model),
            "heads": {head: _head(own) for head, own in model.heads.items()},
            "network": _network(model),
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


def _members(model: Model) -> dict[str, Any] | None:
    """Number of members and their calibration; None where the model is no committee."""
    if model.members is None:
        return None
    own = model.members
    return {"count": own.count, "calibration": dict(own.factors), "uncalibrated": own.uncalibrated}


def _repulsion(model: Model) -> dict[str, Any]:
    symbols = species_names(model.numbers)
    onset = {
        f"{symbols[a]}-{symbols[b]}": model.repulsion.onset[a, b]
        for a in range(len(symbols))
        for b in range(a, len(symbols))
    }
    return {"strength": model.repulsion.strength, "onset": onset}


def listing(description: dict[str, Any]) -> RenderableType:
    """Lay out the result of `describe_model`: the model first, then its metadata in the order of the file."""
    metadata = description["metadata"]
    parts: list[RenderableType] = [_section("Model", _model_entries(description))]
    if metadata:
        parts += [Text(), _section("What the file says about it", metadata)]
    return Group(*parts)


def _model_entries(description: dict[str, Any]) -> dict[str, Any]:
    """Put the model's part of the description into words, with units."""
    density, repulsion = description["density"], description["repulsion"]
    return {
        "file": f"{description['file']}, {description['bytes'] / 1024:.0f} KiB",
        "baseline": _baseline_text(description),
        "format": f"{description['format']}, version {description['format_version']}",
        "units": description["units"],
        "species": description["species"],
        "properties": description["properties"],
        "cutoff": f"{density['cutoff']:g} Å",
        "radial functions": _radial_functions(density),
        "highest angular momentum": density["l_max"],
        "heads": {
            name: f"{own['weights']} weights, angular momentum {own['angular_momentum']}"
            for name, own in description["heads"].items()
        },
        "network of the energy": _network_text(description["network"]),
        "members of a committee": _members_text(description["members"]),
        "local field": "Clausius–Mossotti" if description["local_field"] else "none",
        "repulsion": {
            "strength": repulsion["strength"],
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


def _members_text(members: dict[str, Any] | None) -> str:
    if members is None:
        return "none"
    factors = ", ".join(f"{name} {factor:.3g}" for name, factor in members["calibration"].items())
    missing = f"; not calibrated: {', '.join(members['uncalibrated'])}" if members["uncalibrated"] else ""
    return f"{members['count']}, calibration {factors or 'none'}{missing}"


def _network_text(network: dict[str, Any] | None) -> str:
    if network is None:
        return "none"
    return f"{network['weights']} weights, hidden layers of {', '.join(str(width) for width in network['hidden'])}"


def _section(title: str, content: Any) -> RenderableType:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="cyan")
    table.add_column(overflow="fold")
    # Text, not strings: square brackets in what a file says are no markup
    for name, value in _rows(content if isinstance(content, dict) else {"metadata": content}):
        table.add_row(Text(name), Text(value))
    return Group(Text(title, style="bold"), table)


def _rows(content: dict[str, Any], depth: int = 0) -> Iterator[tuple[str, str]]:
    """Rows (indented name, value) of a nested mapping."""
    for key, value in content.items():
        name = INDENT * depth + (key if "." in key else key.replace("_", " "))  # a file keeps its name
        if isinstance(value, dict) and ERROR in value:
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
    if errors.get("percent_error") is not None:
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
