"""Labels of a fit of an electron density: structures and their coefficients, checked and in our order of functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.units import Bohr

from ....model import Batch
from ....model.electron_density.basis import Functions
from ....model.electron_density.integrals import METRICS, Metric, metric_matrix
from ....model.electron_density.model import solved, with_electrons
from ....model.errors import StructureError
from ...data import DataError, read_frames
from ..orbitals.array_files import arrays_of_file, reals_of
from ..orbitals.matrices import check_charge, joined, part_of_batch
from .sections import ElectronDensityConfiguration

WRONG_CHARGE = 0.02  # of the electrons: no fit in a metric is so far off, another order of functions is
WRONG_PROJECTION = 0.02  # of the projections, that coefficients beside them do not have


@dataclass(frozen=True)
class Densities:
    """Frames of one molecule with their densities.

    Parameters
    ----------
    batch : Batch
        Without a cell.
    functions : Functions
    coefficients : ndarray of float64, shape (frames, functions)
        In the order of `functions`, in atomic units, with the exact number of electrons.
    projections : mapping of str to ndarray
        w of the density itself, by metric, in the same order; where the file has them.
    """

    batch: Batch
    functions: Functions
    coefficients: np.ndarray
    projections: Mapping[str, np.ndarray]

    def part(self, chosen: np.ndarray) -> Densities:
        """Some of the frames."""
        projections = {name: own[chosen] for name, own in self.projections.items()}
        return Densities(part_of_batch(self.batch, chosen), self.functions, self.coefficients[chosen], projections)

    def metrics(self, metric: Metric) -> np.ndarray:
        """S or J of all frames, shape (frames, functions, functions)."""
        return metric_matrix(self.functions.basis, self.batch.numbers, self.batch.positions / Bohr, metric)


def read_densities(configuration: ElectronDensityConfiguration) -> list[Densities]:
    """All frames of all files, those of the same atoms together.

    Raises
    ------
    DataError
        If a file is missing or holds something else, or numbers do not fit the functions of the structures.
    """
    found: dict[bytes, list[Densities]] = {}
    for structures, densities in zip(configuration.data.train, configuration.data.densities, strict=True):
        path = configuration.folder / densities
        frames = [frame.atoms for frame in read_frames(configuration.folder / structures)]
        alike: dict[bytes, list[int]] = {}
        for number, atoms in enumerate(frames):
            if atoms.pbc.any():
                raise DataError(f"{structures}, frame {number} is periodic; densities are fitted to molecules")
            check_charge(atoms, configuration.data.charge, f"{structures}, frame {number}")
            alike.setdefault(atoms.numbers.tobytes(), []).append(number)
        arrays = _arrays(path, len(frames))
        for kind, places in alike.items():
            batch = joined([Batch.from_ase(frames[place]) for place in places])
            own = {name: array[places] for name, array in arrays.items()}
            where = [f"{path}, frame {place}" for place in places]
            found.setdefault(kind, []).append(_checked(configuration, batch, own, where))
    return [_together(own) for own in found.values()]


def _arrays(path: Path, frames: int) -> dict[str, np.ndarray]:
    """Coefficients and projections of a file, frame by frame."""
    content = arrays_of_file(path, "densities", "coefficients")
    names = ("coefficients", *(f"{metric}_projections" for metric in METRICS))
    arrays = {name: reals_of(content[name], name, path, 2) for name in names if name in content}
    if not arrays:
        raise DataError(f"'{path}' holds {', '.join(content) or 'nothing'}; one of {', '.join(names)} is needed")
    for name, own in arrays.items():
        if len(own) != frames:
            raise DataError(f"'{path}' has {len(own)} {name} for {frames} structures; one for each is needed")
    return arrays


def _checked(
    configuration: ElectronDensityConfiguration, batch: Batch, arrays: dict[str, np.ndarray], where: Sequence[str]
) -> Densities:
    """Frames of the same atoms with their coefficients, or with those that projections have."""
    basis, settings = configuration.basis, configuration.electron_density
    with _naming(where[0]):
        functions = Functions(basis, batch.numbers)
    for name, own in arrays.items():
        arrays[name] = _of_functions(own, functions, f"{where[0]} has {{}} {name}", settings.basis)
    order = functions.labels_order(configuration.data.p_order)
    ours = {name: own[:, order] for name, own in arrays.items()}
    projections: dict[str, np.ndarray] = {
        name: ours[f"{name}_projections"] for name in METRICS if f"{name}_projections" in ours
    }
    metrics: dict[str, np.ndarray] = {
        name: metric_matrix(basis, batch.numbers, batch.positions / Bohr, name)
        for name in METRICS
        if name in projections or name == settings.metric
    }
    electrons = basis.electrons_of(batch.numbers) - configuration.data.charge
    with _naming(where[0]):
        if "coefficients" not in ours:
            chosen = settings.metric if settings.metric in projections else next(iter(projections))
            ours["coefficients"] = solved(metrics[chosen], projections[chosen])
        found, shifts = with_electrons(ours["coefficients"], metrics[settings.metric], functions.charges, electrons)
    worst = int(np.argmax(np.abs(shifts)))
    if abs(shifts[worst]) > WRONG_CHARGE * electrons:
        raise DataError(
            f"{where[worst]} has {shifts[worst] + electrons:.6g} electrons, and the molecule {electrons:g}; are the "
            "functions, their order and the charge those of the file?"
        )
    for name, own in projections.items():
        rest = np.einsum("fpq,fq->fp", metrics[name], found) - own
        errors = np.linalg.norm(rest, axis=1) / np.linalg.norm(own, axis=1)
        worst = int(np.argmax(errors))
        if not errors[worst] < WRONG_PROJECTION:
            raise DataError(
                f"{where[worst]}: coefficients and {name}_projections differ by {100 * errors[worst]:.3g} %; are the "
                "functions, their order and p_order those of the file, and positions in Å?"
            )
    return Densities(batch, functions, found, projections)


@contextmanager
def _naming(where: str) -> Iterator[None]:
    """Say of which frames a structure is refused."""
    try:
        yield
    except StructureError as error:
        raise DataError(f"{where} and those like it: {error}") from error


def _of_functions(array: np.ndarray, functions: Functions, text: str, name: str) -> np.ndarray:
    """As many numbers as there are functions; longer rows, for larger molecules of the same file, end in zeros."""
    if array.shape[1] < functions.count or array[:, functions.count :].any():
        has = int(np.max(np.nonzero(array.any(axis=0))[0], initial=-1)) + 1 if array.size else 0
        raise DataError(
            f"{text.format(has if array.shape[1] > functions.count else array.shape[1])}; the functions of its atoms "
            f"in '{name}' are {functions.count}"
        )
    return array[:, : functions.count]


def _together(own: Sequence[Densities]) -> Densities:
    names = [name for name in own[0].projections if all(name in one.projections for one in own)]
    projections = {name: np.concatenate([one.projections[name] for one in own]) for name in names}
    batch = joined([one.batch for one in own])
    return Densities(batch, own[0].functions, np.concatenate([one.coefficients for one in own]), projections)


def pieces_of(densities: Sequence[Densities], size: int) -> Iterator[Densities]:
    """A few frames at a time."""
    for own in densities:
        for first in range(0, own.batch.beads, size):
            yield own.part(np.arange(first, min(first + size, own.batch.beads)))
