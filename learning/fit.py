"""From a configuration to a fitted model: one pass over the frames for every head, then one solution each."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase.neighborlist import neighbor_list

from ..model import Batch, Corrected, Evaluator, Model
from ..model.model import ORDERS, Repulsion, empty_head
from ..model.radial import RadialBasis, RadialForm
from ..pyx.tensor_head import DensityShape, TensorHead, feature_sizes, head_from_features
from .baseline_labels import CachedBaseline, without_baseline
from .configuration import Configuration, ConfigurationError, DensitySettings
from .data import Frame, iterate_frames, read_frames, require_files, species_of
from .energy_fit import add_energy_frame, energy_head, species_energies
from .errors import ErrorReport, evaluate_errors
from .least_squares import NormalEquations
from .property_fit import add_property_frame, prior_variances
from .report import plot_parity

Progress = Callable[[str, int, int], None]


def fit(configuration: Configuration, progress: Progress | None = None) -> Model:
    """Fit every head that the configuration names.

    Memory is bounded by the frames and one matrix of normal equations at a time.

    Parameters
    ----------
    configuration : Configuration
    progress : callable, optional
        Called with the head's name, frames done, and frames in all.

    Returns
    -------
    Model
        Without validation errors; `with_errors` adds them.  With a baseline it is the correction, which names it.

    Raises
    ------
    BaselineError
        If the baseline cannot be had, or cannot be evaluated for a frame.
    ConfigurationError
        If no frame has the labels of a head that should be fitted.
    DataError
        If a data file is missing, validation included, or cannot be used.
    """
    require_files([configuration.folder / name for name in file_labels(configuration)])
    if configuration.network:
        network_fitting()  # before anything is fitted that would be lost
    baseline = cached_baseline(configuration)
    frames = read_frames([configuration.folder / name for name in configuration.data.train])
    if baseline is not None:  # of all files: what it cannot evaluate is found before anything is fitted
        baseline.prepare(iterate_frames([configuration.folder / name for name in file_labels(configuration)]), progress)
        frames = without_baseline(frames, baseline)
    model = bare_model(configuration, frames)
    heads: dict[str, TensorHead] = {}
    for name in wanted_heads(configuration):
        counted = with_progress(frames, name, progress)
        heads[name] = fit_head(name, model, counted, frames, configuration)
    model = replace(model, heads=heads)
    if configuration.network:
        model = with_network(model, frames, configuration, progress)
    metadata = {**configuration.metadata, "envelope": envelope(model, frames)}
    if baseline is None:
        return replace(model, metadata=metadata)
    metadata["baseline"] = {
        "name": baseline.name,
        "provider": baseline.provider,
        "species_energies": species_energies(model.numbers, frames).tolist(),
    }
    return replace(model, baseline=baseline.name, metadata=metadata)


def cached_baseline(configuration: Configuration) -> CachedBaseline | None:
    """The baseline that the energy corrects, None where there is none."""
    energy = configuration.energy
    if energy is None or not energy.baseline:
        return None
    return CachedBaseline(energy.baseline, configuration.folder / configuration.output.baselines)


def network_fitting() -> Callable[..., Model]:
    """`beadwise.learning.network_fit.fit_network`.

    Raises
    ------
    ConfigurationError
        If torch is not installed: only this part of a fit needs it.
    """
    try:
        from .network_fit import fit_network
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"[network] needs {error.name}, which is not installed: pip install 'beadwise[fit]'"
        ) from error
    return fit_network


def with_network(model: Model, frames: list[Frame], configuration: Configuration, progress: Progress | None) -> Model:
    """The model with the nonlinear part of its energy."""
    assert configuration.energy is not None and configuration.network is not None

    def advance(done: int, steps: int) -> None:
        if progress:
            progress("energy network", done, steps)

    return network_fitting()(model, frames, configuration.energy, configuration.network, advance)


def wanted_heads(configuration: Configuration) -> list[str]:
    """Heads that the configuration's sections ask for."""
    names = ["energy"] if configuration.energy else []
    names += ["dipole"] if configuration.dipole else []
    names += ["polarizability_isotropic", "polarizability_anisotropic"] if configuration.polarizability else []
    return names


def with_progress(frames: list[Frame], name: str, progress: Progress | None) -> Iterable[Frame]:
    """Yield the frames and report after each."""
    for index, frame in enumerate(frames):
        yield frame
        if progress:
            progress(name, index + 1, len(frames))


def fit_head(
    name: str, model: Model, counted: Iterable[Frame], frames: list[Frame], configuration: Configuration
) -> TensorHead:
    """Add all frames to one head's normal equations, and solve."""
    order, shape = ORDERS[name], head_shape(name, model, configuration)
    equations = NormalEquations(shape.species * sum(feature_sizes(order, shape)))
    if name == "energy":
        assert configuration.energy is not None
        offsets = species_energies(model.numbers, frames)
        for frame in counted:
            add_energy_frame(equations, model, frame, offsets, configuration.energy)
        require_rows(equations, name)
        return energy_head(equations, model, offsets, configuration.energy.ridge)
    for frame in counted:
        add_property_frame(equations, name, shape, model, frame)
    require_rows(equations, name)
    ridge, angular_decay, radial_decay = regularisation(name, configuration)
    prior = prior_variances(order, shape, angular_decay, radial_decay, configuration.density.chemical_channels)
    return head_from_features(order, shape, equations.solve(ridge, prior))


def head_shape(name: str, model: Model, configuration: Configuration) -> DensityShape:
    """Sizes of the part of the density that a head reads."""
    settings = configuration.dipole if name == "dipole" else configuration.polarizability
    if name == "energy" or settings is None:
        return model.shape
    if not ORDERS[name] <= settings.l_max <= model.l_max:
        raise ConfigurationError(
            f"l_max = {settings.l_max} of the {name} head; allowed are {ORDERS[name]}, its own angular momentum, "
            f"to {model.l_max}, that of the density"
        )
    return replace(model.shape, l_max=settings.l_max)


def regularisation(name: str, configuration: Configuration) -> tuple[float, float, float]:
    """Ridge, angular decay and radial decay of a property's head."""
    if name == "dipole":
        assert configuration.dipole is not None
        own = configuration.dipole
        return own.ridge, own.angular_decay, own.radial_decay
    assert configuration.polarizability is not None
    both = configuration.polarizability
    isotropic = name == "polarizability_isotropic"
    return (
        both.ridge,
        both.angular_decay,
        both.isotropic_radial_decay if isotropic else both.anisotropic_radial_decay,
    )


def require_rows(equations: NormalEquations, name: str) -> None:
    """Refuse a head that no frame says anything about."""
    if equations.rows == 0:
        raise ConfigurationError(f"no training frame has labels for the {name} head; remove its section or add data")


def bare_model(configuration: Configuration, frames: list[Frame]) -> Model:
    """The model before its heads: species, density and repulsion, with an energy that is the repulsion's alone."""
    numbers = species_of(frames)
    onset = configuration.repulsion.onset_fraction * shortest_distances(numbers, frames)
    polarizability, density = configuration.polarizability, configuration.density
    basis, groups = radial_basis(density, len(numbers)), neighbour_groups(density, len(numbers))
    shape = DensityShape(len(numbers), basis.radial, density.l_max, max(groups) + 1)
    return Model(
        numbers,
        density.l_max,
        basis,
        {"energy": empty_head(0, shape)},
        Repulsion(onset, configuration.repulsion.strength),
        polarizability.local_field if polarizability else True,
        groups=groups,
    )


def neighbour_groups(settings: DensitySettings, species: int) -> tuple[int, ...]:
    """Group of every species: one for all if they share chemical channels, else its own."""
    return (0,) * species if settings.chemical_channels else tuple(range(species))


def radial_basis(settings: DensitySettings, species: int) -> RadialBasis:
    """Radial functions, the same for every centre."""
    form = RadialForm(
        settings.cutoff, settings.warp_length, settings.innermost, settings.decay_length, settings.decay_power
    )
    if settings.chemical_channels:
        return RadialBasis.of_chemical_channels(form, species, settings.radial, settings.chemical_channels)
    return RadialBasis.of_primitives(form, species, settings.radial)


def shortest_distances(numbers: tuple[int, ...], frames: Iterable[Frame]) -> np.ndarray:
    """Shortest distance in Å of every pair of species in the frames; 0 for a pair that does not occur."""
    shortest = np.full((len(numbers), len(numbers)), np.inf)
    for frame in frames:
        first, second, distance = neighbor_list("ijd", frame.atoms, 3.0)
        species = np.searchsorted(numbers, frame.atoms.numbers)
        np.minimum.at(shortest, (species[first], species[second]), distance)
    return np.where(np.isfinite(shortest), shortest, 0.0)


def envelope(model: Model, frames: Iterable[Frame]) -> dict[str, list]:
    """Range of every two-body density seen in training, per species: outside it the model extrapolates."""
    shape = model.shape
    low = np.full((shape.species, shape.channels), np.inf)
    high = -low
    for frame in frames:
        batch = Batch.from_ase(frame.atoms)
        scalars, species = model.density(batch)[0][:, 0], model.species_indices(batch.numbers)
        np.minimum.at(low, species, scalars)
        np.maximum.at(high, species, scalars)
    return {"two_body_low": low.tolist(), "two_body_high": high.tolist()}


def error_reports(
    model: Model, configuration: Configuration, progress: Progress | None = None
) -> dict[str, ErrorReport]:
    """Errors on every file of the configuration, by its label (see `file_labels`): those of the whole potential."""
    reports = {}
    baseline = cached_baseline(configuration)
    whole: Evaluator = model if baseline is None else Corrected(baseline, model)
    for name, label in file_labels(configuration).items():
        frames = read_frames(configuration.folder / name)
        if baseline is not None:
            baseline.prepare(frames, progress)
        count = itertools.count(1)

        def advance(label: str = label, total: int = len(frames), count: Iterator[int] = count) -> None:
            if progress:
                progress(f"errors on {label}", next(count), total)

        reports[label] = evaluate_errors(whole, frames, advance)
    return reports


def file_labels(configuration: Configuration) -> dict[str, str]:
    """Label of every data file in reports: its name without folders, or all of it where two files share the name."""
    data = configuration.data
    names = list(dict.fromkeys([*data.validation, *data.independent, *data.train]))
    short = [Path(name).name for name in names]
    return {name: own if short.count(own) == 1 else name for name, own in zip(names, short, strict=True)}


def with_errors(model: Model, configuration: Configuration, reports: Mapping[str, ErrorReport]) -> Model:
    """The model with its sources and errors among its metadata."""
    data = configuration.data
    sets = {"training": data.train, "validation": data.validation, "independent": data.independent}
    labels = file_labels(configuration)
    errors = {kind: {labels[name]: reports[labels[name]].as_dict() for name in names} for kind, names in sets.items()}
    return replace(model, metadata={**model.metadata, "errors": errors})


def write_report(configuration: Configuration, reports: Mapping[str, ErrorReport]) -> Path:
    """Write the errors of every file as JSON, and parity plots; the folder that holds them.

    Raises
    ------
    ConfigurationError
        If the folder cannot be made.
    """
    folder = configuration.folder / configuration.output.report
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"cannot make the report folder '{folder}': {error.strerror}") from error
    content = {name: report.as_dict() for name, report in reports.items()}
    (folder / "errors.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    for name, report in reports.items():
        plot_parity({name: report}, folder / f"{'_'.join(Path(name).with_suffix('').parts).replace('.', '')}.png")
    return folder


def model_path(configuration: Configuration) -> Path:
    """Where the fitted model goes."""
    return configuration.folder / configuration.output.model
