"""The steps of a fit that train a network, and where their state is kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ...model import Model
from ...model.outputs import empty_head
from ...progress import Progress
from ..data import Frame
from ..logs.journal import Journal
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
) -> Model:
    """The model with an equivariant network, in place of its linear energy unless that is to stay.

    Of the validation frames those count that have labels of the energy.  Isolated atoms do not: their energy is known.
    """
    from .equivariant.objective import errors_of_energy, labelled
    from .equivariant.training import fit_equivariant

    energy, settings = configuration.energy, configuration.equivariant
    assert energy is not None and settings is not None
    cutoff = configuration.density.cutoff
    validation = [frame for frame in labelled(validation) if not is_isolated(frame, cutoff)]
    judged = validation or frames
    linear = errors_of_energy(model, judged, energy)
    if not settings.linear:
        offset = species_energies(model.numbers, frames, isolated)
        model = replace(model, heads={**model.heads, "energy": replace(empty_head(0, model.shape), offset=offset)})
    own = energy, settings, progress, isolated, journal, validation, state_path(configuration)
    fitted = fit_equivariant(model, frames, *own)
    told = {"frames": "validation" if validation else "training", "linear": vars(linear), **fitted.metadata}
    return replace(fitted, metadata={"equivariant": told})


def state_path(configuration: Configuration) -> Path:
    """Where the state of the training of a network is kept: each model has its own, though they share a report."""
    name = f"{Path(configuration.output.model).stem}.training.pt"
    return configuration.folder / configuration.output.report / name


def forget_state(configuration: Configuration) -> None:
    """What is done is not gone on with: a network's state is deleted."""
    if configuration.network or configuration.equivariant:
        state_path(configuration).unlink(missing_ok=True)


def gain_text(model: Model) -> list[str]:
    """What an equivariant network brought over the linear energy, in a line; none without a network or labels."""
    told = model.metadata.get("equivariant")
    if not told:
        return []
    errors = [
        f"{name} {1000 * told['linear'][key]:.3g} → {1000 * told['network'][key]:.3g} {unit}"
        for name, key, unit in (("forces", "force", "meV/Å"), ("energies", "energy", "meV"))
        if told["linear"][key] is not None and told["network"][key] is not None
    ]
    said = f"mean absolute errors on {told['frames']} frames, linear → equivariant network"
    return [f"{said}: {', '.join(errors)}"] if errors else []
