"""The steps of a fit that train a network, and where their state is kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...model import Model
from ...model.files import load_model
from ...model.outputs import empty_head
from ...progress import Progress
from ..data import Frame
from ..logs.journal import Journal
from .accuracy import report_units
from .configuration import Configuration, ConfigurationError
from .energy_fit import species_energies
from .isolated_atoms import is_isolated


def network_fitting() -> Callable[..., Model]:
    """`beadwise.learning.fitting.network_fit.fit_network`.

    Raises
    ------
    ConfigurationError
        If torch is not installed: only this part of a fit needs it.
    """
    try:
        from .network_fit import fit_network
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the fit of a network needs {error.name}, which is not installed: pip install 'beadwise[fit]'"
        ) from error
    return fit_network


def with_network(
    model: Model,
    frames: list[Frame],
    configuration: Configuration,
    progress: Progress | None,
    isolated: Collection[int] = (),
    journal: Journal | None = None,
) -> Model:
    """The model with the nonlinear part of its energy."""
    assert configuration.energy is not None and configuration.network is not None
    own = configuration.energy, configuration.network
    return network_fitting()(model, frames, *own, progress, isolated, journal, state_path(configuration))


def with_equivariant(
    model: Model,
    frames: list[Frame],
    configuration: Configuration,
    progress: Progress | None,
    isolated: Mapping[int, float],
    journal: Journal | None,
    validation: Sequence[Frame],
    charge: Mapping[str, object],
) -> Model:
    """The model with an equivariant network, in place of its linear heads unless these are to stay.

    Of the validation frames those count that have labels of what is fitted.  Isolated atoms do not: their energy is
    known.  ``charge`` is what the metadata of the model will keep of charges.
    """
    from .equivariant.joint import JointFit
    from .equivariant.ridge_readout import check_labels, with_empty_readouts, with_ridge_readouts
    from .equivariant.training import fit_equivariant

    settings = configuration.equivariant
    assert settings is not None
    own = JointFit.of(configuration, model, charge)
    cutoff = configuration.density.cutoff
    validation = own.judged([frame for frame in validation if not is_isolated(frame, cutoff)])
    validation = own.on_branches_of(model, validation)
    solved = [one for one in own.quantities if one.name in settings.ridge_readouts]
    for one in solved:
        check_labels(one, frames)
    linear = own.errors(model, validation or frames)
    if own.energy is not None and not settings.keeps_linear("energy"):
        offset = species_energies(model.numbers, frames, isolated)
        model = replace(model, heads={**model.heads, "energy": replace(empty_head(0, model.shape), offset=offset)})
    model = own.without_linear(model, frames)
    rest = settings, progress, isolated, journal, validation, state_path(configuration)
    trained = [one for one in own.quantities if one.weight]  # others do not change what is learned
    fitted = fit_equivariant(model, frames, own.energy, *rest, trained, start_of(configuration))
    told: dict[str, Any] = {"frames": "validation" if validation else "training", "linear": vars(linear)}
    told |= fitted.metadata
    if solved:
        before: dict[str, float] = dict(told["network"]["quantities"])
        found: dict[str, dict[str, Any]] = {}
        for one in solved:
            if one not in trained:
                fitted = with_empty_readouts(fitted, one.heads, settings.seed)
            fitted, found[one.name] = with_ridge_readouts(fitted, frames, one, configuration)
            found[one.name] |= {"trained": before[one.name]} if one.name in before else {}
        errors = own.errors(fitted, validation or frames).quantities
        told["network"]["quantities"] = before | {one.name: errors[one.name] for one in solved if one.name in errors}
        told["ridge_readouts"] = found
    return replace(fitted, metadata={"equivariant": told})


def start_of(configuration: Configuration) -> Model | None:
    """The model whose network another one is started from; None without one.

    Raises
    ------
    ModelFileError
        If it cannot be read.
    """
    settings = configuration.equivariant
    return load_model(configuration.folder / settings.start) if settings and settings.start else None


def state_path(configuration: Configuration) -> Path:
    """Where the state of the training of a network is kept: each model has its own, though they share a report."""
    name = f"{Path(configuration.output.model).stem}.training.pt"
    return configuration.folder / configuration.output.report / name


def forget_state(configuration: Configuration) -> None:
    """What is done is not gone on with: a network's state is deleted."""
    if configuration.network or configuration.equivariant:
        state_path(configuration).unlink(missing_ok=True)


def gain_text(model: Model) -> list[str]:
    """What an equivariant network brought over the linear heads, in a line or two; none without a network or labels."""
    told = model.metadata.get("equivariant")
    if not told:
        return []
    linear, network = told["linear"], told["network"]
    errors = [
        f"{name} {1000 * linear[key]:.3g} → {1000 * network[key]:.3g} {unit}"
        for name, key, unit in (("forces", "force", "meV/Å"), ("energies", "energy", "meV"))
        if linear[key] is not None and network[key] is not None
    ]
    squares = [
        f"{name} {linear['quantities'][name]:.3g} → {found:.3g} {report_units()[name]}"
        for name, found in network["quantities"].items()
        if name in linear["quantities"]
    ]
    said = f"errors on {told['frames']} frames, linear → equivariant network"
    kinds = (("mean absolute", errors), ("root mean square", squares))
    text = [f"{kind} {said}: {', '.join(own)}" for kind, own in kinds if own]
    for name, solved in told.get("ridge_readouts", {}).items():
        unit, found = report_units()[name], network["quantities"].get(name)
        trained = f"{solved['trained']:.3g} → " if solved.get("trained") is not None else ""
        on_frames = "" if found is None else f"{trained}{found:.3g} {unit} on {told['frames']} frames, "
        text.append(
            f"readout of the {name.replace('_', ' ')} solved by ridge regression: {on_frames}{solved['left_out']:.3g} "
            f"{unit} on fitted frames left out by turns"
        )
    return text
