"""From a configuration to a fitted model: one pass over the frames for every head, then one solution each."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ase.data import chemical_symbols

from ...model import Batch, Corrected, Evaluator, Model
from ...model.charges.evaluator import charges_of
from ...model.charges.record import CHARGES, has_charges
from ...model.evaluators import full_name
from ...model.files import load_model
from ...model.members import Members
from ...model.outputs import empty_head
from ...model.training import unlabelled
from ...model.training.net_charge import NOMINAL
from ...model.training.periodicity import RECORD, record
from ...progress import Progress
from ...pyx.tensor_head import TensorHead
from ...quantity import Irrep, Quantity
from ...whole_files import write_text
from ..data import DataError, Frame, species_of
from ..logs.journal import Journal
from .accuracy import ErrorReport, NothingToCompareError, evaluate_errors
from .bare_model import bare_model, envelope
from .baseline_labels import CachedBaseline, without_baseline
from .calibration import calibrated, calibration_record, reliabilities
from .charges.fit import FittedCharges, fit_charges
from .charges.labels import without_charges
from .committee_fit import LAST_LAYER, fit_with_members
from .configuration import Configuration, ConfigurationError
from .electrons.zero import on_one_zero
from .energy_fit import species_energies
from .fit_data import FitData, charge_of_dipoles, labels_by_role, nominal_record, read_fit_data
from .head_fit import HeadProblem, frames_of_head, parts, require_labels
from .isolated_atoms import given_atoms, isolated_energies, without_isolated
from .kept_equations import equations_of, forget_equations
from .local_labels import in_its_field, with_local_labels
from .memory import check_memory
from .network_steps import network_fitting, start_of, with_equivariant, with_network
from .polarization.branches import on_one_branch
from .target_fit import labelled_species

logger = logging.getLogger(__name__)


def fit(
    configuration: Configuration,
    progress: Progress | None = None,
    data: FitData | None = None,
    journal: Journal | None = None,
) -> Model:
    """Fit every head that the configuration names.

    Memory is bounded by the frames and one matrix of normal equations at a time.

    Parameters
    ----------
    configuration : Configuration
    progress : Progress, optional
        Told of each head how many of the frames are done, and of the network its passes and their loss.
    data : FitData, optional
        What `read_fit_data` gives, which is read otherwise.
    journal : Journal, optional
        Told of each head that is fitted, and of each pass of the network.

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
    ModelFileError
        If there is no model to start from.
    DataError
        If a data file is missing, validation included, or cannot be used, or other frames have species that those of
        the training lack.
    """
    if configuration.network or configuration.equivariant:
        network_fitting()  # before anything is fitted that would be lost
        start_of(configuration)
    fitted = fitted_model(configuration)
    baseline = cached_baseline(configuration)
    data = data or read_fit_data(configuration)
    frames = [frame for frame in data.of("training") if frame.weight > 0]
    if not frames:
        raise ConfigurationError("all training frames have the weight 0; at least one is needed")
    if configuration.energy is not None:
        frames += given_atoms(configuration.energy.isolated_atoms, species_of(frames))
    check_species(
        data, fitted.numbers if fitted else species_of(without_isolated(frames, configuration.density.cutoff))
    )
    if baseline is not None:  # of all files: what it cannot evaluate is found before anything is fitted
        baseline.prepare([*data, *frames], progress)
        frames = without_baseline(frames, baseline)
    validation = [] if configuration.equivariant is None else data.of("validation")
    if baseline is not None:
        validation = without_baseline(validation, baseline)
    charges = None
    if configuration.charges is not None:
        charges = with_charges(configuration, frames, progress, journal)
        with_dipoles = "dipole" in configuration.quantities
        frames = without_charges(frames, charges.evaluator, with_dipoles)
        validation = without_charges(validation, charges.evaluator, with_dipoles)
    model = fit_heads(configuration, frames, progress, fitted, journal, validation)
    if charges is not None:
        heads = {charges.form.latent: charges.model.heads[charges.form.latent], **model.heads}  # a network has its own
        model = replace(model, heads=heads, metadata={**model.metadata, CHARGES: charges.form.record()})
    if model.members is not None and (validation := data.of("validation")):
        validation = validation if baseline is None else without_baseline(validation, baseline)
        try:
            model = with_calibration(model, validation, progress)
        except DataError as error:  # a fit should not be lost to what follows
            logger.warning("the members are not calibrated: %s", error)
    if baseline is None or configuration.adds_members:
        return model
    isolated = isolated_energies(frames, configuration.density.cutoff)
    described = {
        "name": baseline.name,
        "provider": baseline.provider,
        "species_energies": species_energies(model.numbers, frames, isolated).tolist(),
    }
    return replace(model, baseline=baseline.name, metadata={**model.metadata, "baseline": described})


def with_charges(
    configuration: Configuration, frames: Sequence[Frame], progress: Progress | None, journal: Journal | None
) -> FittedCharges:
    """The charges of a fit, which come before all else."""
    atoms = without_isolated(frames, configuration.density.cutoff)
    found = fit_charges(configuration, bare_model(configuration, atoms), atoms, progress)
    if found.left_out is not None:
        logger.info("%s", found.text())
        if journal:
            journal.tell("head", name="charges", frames=found.frames)
    return found


def check_species(data: FitData, known: Collection[int]) -> None:
    """Refuse frames to be judged by that have atoms which the model will not know, before anything is fitted.

    Raises
    ------
    DataError
        Naming the frame.
    """
    for frame in (*data.of("validation"), *data.of("independent")):
        if strange := sorted(set(frame.atoms.numbers.tolist()) - set(known)):
            raise DataError(
                f"{frame.name} has {chemical_symbols[strange[0]]}, which the model will not know; allowed are the "
                f"species of the training frames, {[chemical_symbols[number] for number in sorted(known)]}"
            )


def fitted_model(configuration: Configuration) -> Model | None:
    """The model that gets members; None if one is to be fitted.

    Raises
    ------
    ConfigurationError
        If its energy is not the one that the configuration describes.
    ModelFileError
        If it cannot be read.
    """
    committee, energy = configuration.committee, configuration.energy
    if committee is None or not committee.model:
        return None
    fitted = load_model(configuration.folder / committee.model)
    if has_charges(fitted.metadata):
        raise ConfigurationError(
            f"'{committee.model}', which is to get members, has charges, of which members know nothing; allowed is a "
            "model without [charges]"
        )
    has_network = fitted.network is not None or fitted.equivariant is not None
    if energy is not None and has_network and committee.kind != LAST_LAYER:
        raise ConfigurationError(
            f"kind = '{committee.kind}' in [committee] for '{committee.model}', whose energy has a network, which "
            f"members share; allowed is {LAST_LAYER}"
        )
    if energy is not None and fitted.baseline != full_name(energy.baseline):
        raise ConfigurationError(
            f"baseline = '{energy.baseline}' in [energy]; '{committee.model}', which gets members, corrects "
            f"'{fitted.baseline}', and both must be the same"
        )
    said = nominal_record(configuration)
    if said and said[NOMINAL] != fitted.metadata.get(NOMINAL):
        raise ConfigurationError(
            f"nominal_charges = {said[NOMINAL]} in [dipole]; '{committee.model}', which gets members, has "
            f"{fitted.metadata.get(NOMINAL, 'none')}, and both must be the same"
        )
    wanted = {head.name for quantity, irrep in wanted_parts(configuration).values() for head in quantity.heads}
    lost = set(fitted.members.deviations) - wanted if fitted.members else set()
    if lost:
        raise ConfigurationError(
            f"'{committee.model}' has members of the heads {sorted(lost)}, which the configuration leaves out; all its "
            "members are replaced, so that every head that has some needs its section"
        )
    return fitted


def fit_heads(
    configuration: Configuration,
    frames: list[Frame],
    progress: Progress | None,
    fitted: Model | None = None,
    journal: Journal | None = None,
    validation: Sequence[Frame] = (),
) -> Model:
    """The model of these frames, with members that are not calibrated yet if there is to be a committee.

    Only an equivariant network sees the validation frames, which say when it is trained.

    Raises
    ------
    ConfigurationError
        If the fitted model, which gets members, is not the one that the configuration describes.
    """
    committee, cutoff = configuration.committee, configuration.density.cutoff
    isolated = isolated_energies(frames, cutoff) if configuration.energy is not None else {}
    frames = with_local_labels(configuration, without_isolated(frames, cutoff))
    validation = with_local_labels(configuration, validation)
    require_labels(configuration, frames)
    charge = charge_of_dipoles(configuration, frames)
    labelled = {name: len(own) for name, own in labelled_species(configuration.quantities, frames).items()}
    check_memory(configuration, species_of(frames), max(len(frame.atoms) for frame in frames), labelled)
    model = bare_model(configuration, frames) if fitted is None else without_heads(fitted)
    frames = on_one_branch(configuration, model, frames, lambda own, name: with_progress(own, name, progress))
    told = fitted.curves if fitted is not None else None
    configuration, frames, curves = on_one_zero(configuration, model, frames, told)
    heads: dict[str, TensorHead] = {}
    deviations: dict[str, tuple[TensorHead, ...]] = {}
    for name in wanted_parts(configuration):
        problem = HeadProblem.of(name, model, frames, configuration, isolated)
        own_frames = frames_of_head(name, frames, configuration)
        counted = with_progress(own_frames, name, progress)
        if committee is None:
            equations = equations_of(problem, own_frames, counted)
            heads |= dict(zip(problem.names, problem.solve(equations), strict=True))
            model = problem.with_long_range(equations)
        else:
            own, of_members = fit_with_members(problem, counted, committee)
            heads |= dict(zip(problem.names, own, strict=True))
            deviations |= dict(zip(problem.names, of_members, strict=True))
        if journal:
            journal.tell("head", name=name, frames=len(frames))
    members = Members(deviations) if deviations else None
    if fitted is not None:
        check_same_heads(fitted, heads, configuration)
        kept = {name: own for name, own in fitted.metadata.items() if name != "calibration"}  # of other members
        return replace(fitted, members=members, metadata={**kept, **configuration.metadata}, source="")
    model = replace(model, heads=heads, curves=curves)
    if configuration.network:
        model = with_network(model, frames, configuration, progress, isolated, journal)
    if configuration.equivariant:
        model = with_equivariant(model, frames, configuration, progress, isolated, journal, validation, charge)
    forget_equations(configuration, wanted_parts(configuration))
    structures = record((Batch.from_ase(frame.atoms) for frame in frames), model.radial.cutoff)
    metadata = {
        **model.metadata,
        **configuration.metadata,
        **charge,
        **unlabelled.record(model.numbers, labelled_species(configuration.quantities, frames)),
        "envelope": envelope(model, frames),
        RECORD: structures,
    }
    return replace(model, members=members, metadata=metadata)


def without_heads(model: Model) -> Model:
    """The density and the repulsion of a fitted model alone."""
    return replace(
        model, heads={"energy": empty_head(0, model.shape)}, network=None, equivariant=None, members=None, curves=None
    )


def check_same_heads(fitted: Model, heads: Mapping[str, TensorHead], configuration: Configuration) -> None:
    """Refuse members of other heads than those that a model has.

    Raises
    ------
    ConfigurationError
        Naming the head.
    """
    for name, head in heads.items():
        has = fitted.heads[name].l_max if name in fitted.heads else None
        if has != head.l_max:
            assert configuration.committee is not None
            raise ConfigurationError(
                f"the {name} head of '{configuration.committee.model}' has l_max = {has}, that of the configuration "
                f"{head.l_max}; members need those of the model"
            )


def with_calibration(model: Model, frames: list[Frame], progress: Progress | None = None) -> Model:
    """The model with calibrated members, and what came out among its metadata."""
    assert model.members is not None
    advance = _told(progress, "calibration", 2 * len(frames))
    model = calibrated(model, frames, advance)
    record = calibration_record(model, reliabilities(model, frames, advance))
    return replace(model, metadata={**model.metadata, "calibration": {"frames": len(frames), **record}})


def cached_baseline(configuration: Configuration) -> CachedBaseline | None:
    """The baseline that the energy corrects, None where there is none."""
    energy = configuration.energy
    if energy is None or not energy.baseline:
        return None
    return CachedBaseline(energy.baseline, configuration.folder / configuration.output.baselines)


def wanted_parts(configuration: Configuration) -> dict[str, tuple[Quantity, Irrep]]:
    """Parts of quantities that the configuration's sections ask for, by the names of their heads."""
    wanted = {*configuration.quantities, *(["energy"] if configuration.energy else [])}
    return {name: own for name, own in parts().items() if own[0].name in wanted}


def with_progress(frames: Sequence[Frame], name: str, progress: Progress | None) -> Iterable[Frame]:
    """Yield the frames and report after each."""
    tell = _told(progress, name.replace("_", " "), len(frames))
    for frame in frames:
        yield frame
        tell()


def _told(progress: Progress | None, label: str, total: int) -> Callable[[], None]:
    """Tell that a stage begins, and make what is called after each part of it."""
    count = itertools.count()

    def advance() -> None:
        if progress:
            progress(label, next(count), total)

    advance()
    return advance


def error_reports(
    model: Model, configuration: Configuration, progress: Progress | None = None, data: FitData | None = None
) -> dict[str, ErrorReport]:
    """Errors of the whole potential on sets (see `labels_by_role`); what cannot be compared is left out, and told."""
    reports = {}
    baseline = cached_baseline(configuration)
    own = charges_of(model) if has_charges(model.metadata) else in_its_field(model)
    whole: Evaluator = own if baseline is None else Corrected(baseline, own)
    for label, frames in (data or read_fit_data(configuration)).sets.items():
        if baseline is not None:
            baseline.prepare(frames, progress)
        try:
            reports[label] = evaluate_errors(whole, frames, _told(progress, f"errors on {label}", len(frames)))
        except NothingToCompareError as error:
            logger.warning("%s: %s", label, error)
    return reports


def with_errors(model: Model, configuration: Configuration, reports: Mapping[str, ErrorReport]) -> Model:
    """The model with its sources and errors among its metadata."""
    sets = labels_by_role(configuration)
    errors = {
        role: {label: reports[label].as_dict() for label in sets[role] if label in reports}
        for role in ("training", "validation", "independent")
    }
    return replace(model, metadata={**model.metadata, "errors": errors})


def write_report(configuration: Configuration, reports: Mapping[str, ErrorReport]) -> Path:
    """Write the errors of every file as JSON, and parity plots; the folder that holds them.

    Raises
    ------
    ConfigurationError
        If the folder cannot be made.
    """
    from ..pictures.parity import plot_parity  # takes long to import, and not every fit is drawn

    folder = configuration.folder / configuration.output.report
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"cannot make the report folder '{folder}': {error.strerror}") from error
    content = {name: report.as_dict() for name, report in reports.items()}
    write_text(folder / "errors.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    for name, report in reports.items():
        plot_parity({name: report}, folder / f"{'_'.join(Path(name).with_suffix('').parts).replace('.', '')}.png")
    return folder


def model_path(configuration: Configuration) -> Path:
    """Where the fitted model goes."""
    return configuration.folder / configuration.output.model
