"""The energy head from energies, forces and stresses together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ...model import Batch, Model
from ...pyx.tensor_head import DensityShape, TensorHead, feature_sizes, features, head_from_features
from ..data import Frame
from .configuration import EnergySettings
from .least_squares import NormalEquations, Told
from .long_range.columns import prior_of, split, with_long_range

OF_ENERGY = {"energy", "forces", "stress"}  # labels


def species_energies(
    numbers: tuple[int, ...], frames: Iterable[Frame], known: Mapping[int, float] | None = None
) -> np.ndarray:
    """Energies per species in eV that fit the frames' energies best; the shortest where composition does not tell.

    Parameters
    ----------
    numbers : tuple of int
        Species.
    frames : iterable of Frame
    known : mapping of int to float, optional
        Energies of isolated atoms in eV by atomic number, which are kept.

    Returns
    -------
    ndarray of float64, shape (species,)
    """
    offsets = np.array([(known or {}).get(number, 0.0) for number in numbers])
    free = np.array([number not in (known or {}) for number in numbers])
    counts, energies = [], []
    for frame in frames:
        if "energy" in frame.labels and frame.weight > 0:
            own = np.array([(frame.atoms.numbers == number).sum() for number in numbers], dtype=float)
            counts.append(np.sqrt(frame.weight) * own[free])
            energies.append(np.sqrt(frame.weight) * (frame.labels["energy"] - own @ offsets))
    if counts and free.any():
        offsets[free] = np.linalg.lstsq(np.array(counts), np.array(energies, dtype=float), rcond=None)[0]
    return offsets


def energy_rows(model: Model, frame: Frame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of one frame's energy, and their derivatives.

    Parameters
    ----------
    model : Model
        Gives the density; its heads are not used.
    frame : Frame

    Returns
    -------
    value : ndarray of float64, shape (features,)
    gradient : ndarray of float64, shape (atoms * 3, features)
        ∂/∂r.
    strain : ndarray of float64, shape (9, features)
        ∂/∂ε.
    """
    batch = Batch.from_ase(frame.atoms)
    species = model.species_indices(batch.numbers)
    shape = model.shape
    value = features(0, shape, model.density(batch)[0], species)[0]
    width = shape.groups * shape.padded_radial
    columns = shape.species * (width + (shape.l_max + 1) * width**2)
    gradient, strain = np.zeros((3 * batch.atoms, columns)), np.zeros((9, columns))
    model.kernel.feature_gradients(species, batch.positions, batch.cells, batch.periodic, gradient, strain)
    return value, scalar_columns(shape, gradient), scalar_columns(shape, strain)


def scalar_columns(shape: DensityShape, raw: np.ndarray) -> np.ndarray:
    """From the kernel's half derivatives of the full power spectrum to the columns of `features` for λ = 0.

    Parameters
    ----------
    raw : ndarray of float64, shape (rows, species * (width + (l_max + 1) * width²)), width the padded channels

    Returns
    -------
    ndarray of float64, shape (rows, species * sum(feature_sizes(0)))
    """
    rows, width, places = len(raw), shape.groups * shape.padded_radial, shape.padded_places
    upper = places[np.array(np.triu_indices(shape.channels))]
    out = np.zeros((rows, shape.species, sum(feature_sizes(0, shape))))
    by_species = raw.reshape(rows, shape.species, -1)
    out[:, :, 1 : 1 + shape.channels] = by_species[:, :, places]
    quadratic = by_species[:, :, width:].reshape(rows, shape.species, shape.l_max + 1, width, width)
    first = 1 + shape.channels
    for l in range(shape.l_max + 1):  # noqa: E741
        block = quadratic[:, :, l]
        both = block[:, :, upper[0], upper[1]] + block[:, :, upper[1], upper[0]]
        out[:, :, first : first + upper.shape[1]] = both / np.sqrt(2 * l + 1)
        first += upper.shape[1]
    return out.reshape(rows, -1)


def repulsion_labels(model: Model, frame: Frame) -> tuple[float, np.ndarray, np.ndarray]:
    """Energy, forces and virial of the model's pair repulsion alone, which the head must not learn again."""
    response = model.evaluate(Batch.from_ase(frame.atoms), ("energy", "forces", "virial"))
    return float(response.energy[0]), response.forces[0], response.virial[0]


def add_energy_frame(
    equations: NormalEquations,
    model: Model,
    frame: Frame,
    offsets: np.ndarray,
    settings: EnergySettings,
    is_fixed: np.ndarray | None = None,
) -> None:
    """Add what one frame's labels say about the energy head.

    Rows are divided by the expected errors, so that residuals count in units of them, and multiplied by the root of
    the frame's weight.  The offsets of the species of which ``is_fixed`` says so are not fitted.
    """
    if not OF_ENERGY & set(frame.labels) or frame.weight == 0:
        return
    value, gradient, strain = energy_rows(model, frame)
    if is_fixed is not None:
        value.reshape(len(model.numbers), -1)[is_fixed, 0] = 0.0
    value, gradient, strain = with_long_range(model, frame, (value, gradient, strain))
    known_energy, known_forces, known_virial = repulsion_labels(model, frame)
    atoms, counts = len(frame.atoms), np.sqrt(frame.weight)
    rows, targets = [], []
    if "energy" in frame.labels:
        species = model.species_indices(frame.atoms.numbers)
        remainder = frame.labels["energy"] - offsets[species].sum() - known_energy
        weight = counts / (settings.energy_error * np.sqrt(atoms))
        rows.append(weight * value[None])
        targets.append(np.array([weight * remainder]))
    if "forces" in frame.labels:
        weight = counts / settings.force_error
        wanted = (frame.labels["forces"] - known_forces).ravel()
        is_known = np.isfinite(wanted)
        rows.append(-weight * gradient[is_known])
        targets.append(weight * wanted[is_known])
    if "stress" in frame.labels:
        volume = frame.atoms.get_volume()
        weight = counts / (settings.stress_error * volume)
        rows.append(weight * strain)
        targets.append(weight * (frame.labels["stress"] * volume + known_virial).ravel())
    equations.add(np.concatenate(rows), np.concatenate(targets), frame.weight)


def energy_head(
    equations: NormalEquations, model: Model, offsets: np.ndarray, ridge: float, told: Told | None = None
) -> TensorHead:
    """Solve for the energy head."""
    weights = equations.solve(ridge, prior_of(model, equations), told)
    head = head_from_features(0, model.shape, split(model, weights)[0])
    return TensorHead(0, head.shape, head.offset + offsets, head.linear, head.weights)
