"""Charges are fitted before all else: their head, and hardnesses that leaving frames out finds best."""

from __future__ import annotations

import logging
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

import numpy as np
from ase.data import chemical_symbols, covalent_radii
from scipy.linalg import LinAlgError
from scipy.optimize import minimize

from ....model import Model, StructureError
from ....model.charges.evaluator import WithCharges
from ....model.charges.record import CHARGES, EQUILIBRATION, GIVEN, TRANSFERS, VACUUM, ChargeForm
from ....progress import Progress
from ....pyx.tensor_head import head_from_features
from ....quantity import Irrep
from ...data import DataError, Frame
from ..configuration import Configuration, ConfigurationError
from ..fit_data import require_origin
from ..target_fit import prior_variances
from .problem import CHARGE_LABEL, DIPOLE_LABEL, AtomFeatures, Labelled, without_head
from .section import ChargeSettings
from .solution import DualEquations

logger = logging.getLogger(__name__)

FIRST_HARDNESS = 5.0  # eV/e²
RANGE_OF_HARDNESS = (0.2, 60.0)
TRIALS_OF_HARDNESS = 15  # for each species
MOST_ROWS = 6000
MOST_ATOMS = 10_000  # of all labelled frames: products of the features of all of them are kept
OF_MOLECULES = ("molecular_dipole", "atomic_dipole")
OFFSET = 1e3  # variance of offsets over that of all features


@dataclass(frozen=True)
class FittedCharges:
    """What came out.

    Parameters
    ----------
    model : Model
        With the head of the charges, and with what its metadata say of them.
    left_out : float or None
        Root mean square of residuals of rows that were left out, in e; None if a network is to give the charges.
    frames : int
        Number of frames with labels.
    """

    model: Model
    left_out: float | None
    frames: int

    @property
    def form(self) -> ChargeForm:
        """How charges follow from the head."""
        return self.evaluator.form

    @property
    def evaluator(self) -> WithCharges:
        """It with its charges."""
        return WithCharges(self.model)

    def text(self) -> str:
        """In words, where charges were fitted."""
        assert self.left_out is not None
        hardness = ", ".join(f"{name} {own:.3g}" for name, own in self.form.hardness.items())
        told = f"charges: {1000 * self.left_out:.3g} me of frames that are left out"
        return f"{told}; hardness {hardness} eV/e²" if hardness else told


def fit_charges(
    configuration: Configuration, model: Model, frames: Sequence[Frame], progress: Progress | None = None
) -> FittedCharges:
    """Fit the head of the charges, and hardnesses that are not given; an empty head where a network gives the charges.

    Parameters
    ----------
    configuration : Configuration
        With a section of charges.
    model : Model
        That gives the density.
    frames : sequence of Frame
    progress : Progress, optional
        Told of each trial of hardnesses.

    Raises
    ------
    ConfigurationError
        If no frame has labels, the section does not fit the frames, or dipoles are not known as they stand.
    DataError
        If charges of a frame cannot be.
    """
    settings = configuration.charges
    assert settings is not None
    check_dipoles(configuration, settings, frames)
    model = replace(model, metadata={**model.metadata, **configuration.metadata})
    form = first_form(settings, model.numbers, frames)
    evaluator = without_head(model, form)
    if settings.network:
        refuse_molecules(frames)
        return FittedCharges(evaluator.model, None, len(frames))
    labelled = _labelled(evaluator, frames, settings)
    shape = replace(model.shape, l_max=settings.l_max)
    if settings.l_max > model.l_max:
        raise ConfigurationError(
            f"l_max = {settings.l_max} in [charges]; allowed are 0 to {model.l_max}, that of the density"
        )
    decays = settings.angular_decay, settings.radial_decay, configuration.density.chemical_channels
    prior = prior_variances(Irrep(0), shape, *decays)
    features = AtomFeatures.read(
        model, shape, [own.frame for own in labelled], np.where(np.isfinite(prior), prior, 1.0)
    )
    scale = float((features.rows[:, np.isfinite(prior)] ** 2).sum(axis=1).mean())
    boost = np.where(np.isfinite(prior), 1.0, np.sqrt(OFFSET * max(scale, 1e-300)))
    rows = features.rows * boost
    is_offset = ~np.isfinite(prior)
    products = rows @ rows.T

    def solution(trial: ChargeForm) -> tuple[np.ndarray, float, list]:
        own = without_head(model, trial)
        found = [one.rows(own, settings.dipole_weight) for one in labelled]
        return (*DualEquations.of(products, rows[:, ~is_offset], features, found).solve(settings.ridge), found)

    form = with_hardness(form, settings, lambda trial: solution(trial)[1])
    try:
        coefficients, left_out, found = solution(form)
    except StructureError as error:
        given = f"hardness = {dict(form.hardness)}" if form.hardness else f"kind = '{form.kind}'"
        raise ConfigurationError(f"{given} in [charges]: {error}") from error
    ends = np.cumsum([len(own.targets) for own in found])[:-1]
    of_atoms = np.concatenate(
        [own.matrix.T @ some for own, some in zip(found, np.split(coefficients, ends), strict=True)]
    )
    weights = (of_atoms @ rows) * boost * np.sqrt(np.where(np.isfinite(prior), prior, 1.0))
    head = head_from_features(0, shape, weights)
    metadata = {**model.metadata, CHARGES: form.record()}
    fitted = replace(model, heads={**model.heads, form.latent: head}, metadata=metadata)
    return FittedCharges(fitted, left_out, len(labelled))


def check_dipoles(configuration: Configuration, settings: ChargeSettings, frames: Sequence[Frame]) -> None:
    """Refuse dipoles whose origin or branch is not known.

    Raises
    ------
    ConfigurationError
        Naming the first frame.
    """
    if settings.dipole_weight or DIPOLE_LABEL in configuration.quantities:
        require_origin(configuration, frames)
    for frame in frames if settings.dipole_weight else ():
        if frame.is_folded:
            raise ConfigurationError(
                f"the dipole of {frame.name} is known up to whole quanta, and [charges] takes it as it stands: say "
                "dipole_quantum = 'none' in [data] if all dipoles stand on one branch, or dipole_weight = 0 in "
                "[charges]"
            )


def refuse_molecules(frames: Sequence[Frame]) -> None:
    """Refuse dipoles of molecules, which are of charges that add up to zero in each of them.

    Raises
    ------
    ConfigurationError
        Naming the first frame.
    """
    for frame in frames:
        if there := [name for name in OF_MOLECULES if name in frame.labels]:
            raise ConfigurationError(
                f"{frame.name} has the label {there[0]}, and network = true in [charges] is for dipoles of whole "
                "structures alone; leave the label or the charges out"
            )


def first_form(settings: ChargeSettings, numbers: Sequence[int], frames: Sequence[Frame]) -> ChargeForm:
    """How charges will follow from the head, before hardnesses are fitted.

    Raises
    ------
    ConfigurationError
        If only some frames have a cell, or totals of transfers are no formal charges.
    """
    symbols = [chemical_symbols[number] for number in numbers]
    for name in ("widths", "hardness", "formal"):
        if strange := sorted(set(getattr(settings, name)) - set(symbols)):
            raise ConfigurationError(
                f"{name} in [charges] has {strange[0]}, which no training frame has; allowed are {', '.join(symbols)}"
            )
    radii = {symbol: float(covalent_radii[number]) for symbol, number in zip(symbols, numbers, strict=True)}
    with_cell = [bool(frame.atoms.pbc.any()) for frame in frames]
    if any(with_cell) and not all(with_cell):
        raise ConfigurationError(
            "some training frames have a cell and others none; charges need them all of one kind, as an interaction "
            "with images is another one"
        )
    totals = sorted({round(float(frame.charge or 0.0), 9) + 0.0 for frame in frames})
    is_hard = settings.kind == EQUILIBRATION
    return ChargeForm(
        kind=settings.kind,
        energy=settings.of_energy,
        widths={**radii, **settings.widths},
        hardness={symbol: settings.hardness.get(symbol, FIRST_HARDNESS) for symbol in symbols} if is_hard else {},
        formal=settings.formal if settings.kind == TRANSFERS else {},
        reach=settings.reach,
        groups=settings.groups,
        boundary=GIVEN if all(with_cell) else VACUUM,
        totals=tuple(totals),
    )


def with_hardness(form: ChargeForm, settings: ChargeSettings, judged) -> ChargeForm:  # type: ignore[no-untyped-def]
    """The form with the hardnesses that frames which are left out find best; `judged` gives their error."""
    free = [symbol for symbol in form.hardness if symbol not in settings.hardness]
    if not free:
        return form

    def of(logarithms: np.ndarray) -> ChargeForm:
        own = np.clip(np.exp(logarithms), *RANGE_OF_HARDNESS)
        return replace(form, hardness={**form.hardness, **{name: float(v) for name, v in zip(free, own, strict=True)}})

    def error(logarithms: np.ndarray) -> float:
        try:
            outside = np.abs(logarithms - np.log(np.clip(np.exp(logarithms), *RANGE_OF_HARDNESS))).sum()
            return judged(of(logarithms)) * (1.0 + outside)
        except (StructureError, LinAlgError):
            return 1e3

    start = np.full(len(free), np.log(FIRST_HARDNESS))
    while error(start) >= 1e3 and start[0] < np.log(RANGE_OF_HARDNESS[1]):
        start = start + 0.5
    options = {"maxfev": TRIALS_OF_HARDNESS * len(free), "xatol": 0.02, "fatol": 1e-6}
    simplex = np.vstack([start, start + 0.6 * np.eye(len(free))])
    found = minimize(error, start, method="Nelder-Mead", options={**options, "initial_simplex": simplex})
    return of(found.x)


def _labelled(evaluator: WithCharges, frames: Sequence[Frame], settings: ChargeSettings) -> list[Labelled]:
    """Frames that say something of charges."""
    there = {CHARGE_LABEL} | ({DIPOLE_LABEL} if settings.dipole_weight else set())
    found, rows, atoms = [], 0, 0
    for frame in frames:
        if frame.weight == 0 or not there & frame.labels.keys():
            continue
        try:
            found.append(Labelled(evaluator, frame, DIPOLE_LABEL in there))
        except StructureError as error:
            raise DataError(f"charges of {frame.name}: {error}") from error
        own = there & frame.labels.keys()
        rows += len(frame.atoms) * (CHARGE_LABEL in own) + 3 * (DIPOLE_LABEL in own)
        atoms += len(frame.atoms)
    if not found:
        raise ConfigurationError(
            f"no training frame has labels for [charges] ({CHARGE_LABEL}, {DIPOLE_LABEL}); add data, or say by keys in "
            "[data] what they are called"
        )
    warn_of_unlabelled(frames, there)
    step = max(-(-rows // MOST_ROWS), -(-atoms // MOST_ATOMS))
    if step > 1:
        logger.warning(
            "charges are fitted to one of every %d frames, as all have %d labels and %d atoms; allowed are %d and %d",
            step,
            rows,
            atoms,
            MOST_ROWS,
            MOST_ATOMS,
        )
        found = found[::step]
    return found


def warn_of_unlabelled(frames: Sequence[Frame], there: Set[str]) -> None:
    """Tell species whose charge no label says: what they get follows from those of other atoms alone."""
    species: set[int] = set()
    told: set[int] = set()
    for frame in frames:
        numbers = frame.atoms.numbers
        species |= set(numbers.tolist())
        if frame.weight and DIPOLE_LABEL in there & frame.labels.keys():
            told |= set(numbers.tolist())
        elif frame.weight and CHARGE_LABEL in frame.labels:
            told |= set(numbers[np.isfinite(frame.labels[CHARGE_LABEL])].tolist())
    if missing := sorted(species - told):
        names = ", ".join(chemical_symbols[number] for number in missing)
        logger.warning("no label says the charge of %s; what they get follows from other atoms alone", names)
