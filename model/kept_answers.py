"""Energies of a potential at many structures: evaluated in parallel, and kept on disk as they are computed."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np

from . import Batch, BeadwiseError, Evaluator, StructureError
from .evaluators import files_of, full_name, load_evaluator
from .worker_processes import START, later_interrupts, processes, usable_cores

Labelled = tuple[str, Batch]  # what to call a structure, and its beads
AHEAD = 2  # structures that wait for each process, so that memory stays bounded
LONGEST_NAME = 60  # of a potential in that of its table; a committee names many files
DIGITS = 32  # of the hashes that stand for a structure and for a potential


class KeptEnergies:
    """Energies of a potential, kept in a table with a row for each structure.

    A row is written as soon as its energy is there: whatever ends the program, at most the evaluations under way are
    lost.  What is kept belongs to one potential: its name, the version of what provides it, and the contents of the
    files that it is made of are part of the name of the table.

    Parameters
    ----------
    name : str
        As `beadwise.model.evaluators.load_evaluator` takes it.
    folder : Path
        Where the table is.

    Attributes
    ----------
    file : Path
        The table.

    Raises
    ------
    BeadwiseError
        If there is no such potential, it has no energy, or the table cannot be read.
    """

    def __init__(self, name: str, folder: Path):
        self.name = full_name(name)
        self.evaluator = load_evaluator(self.name)
        if "energy" not in self.evaluator.properties:
            raise BeadwiseError(f"'{name}' has {', '.join(self.evaluator.properties)}; it must have energy")
        slug = re.sub(r"[^A-Za-z0-9.=-]+", "_", Path(self.name).name if Path(self.name).is_file() else self.name)
        self.file = (
            folder / f"energies_{slug}_{_fingerprint(self.name, getattr(self.evaluator, 'provider', ''))[:8]}.csv"
        )
        self._kept = self._read()

    def energies(self, structures: Iterable[Labelled], workers: int | None = None) -> Iterator[np.ndarray]:
        """Energies of the beads of each batch in eV, shape (beads,), in the order of the batches.

        The first evaluations are made here, as processes need a while until they evaluate something.  The processes
        import the program that calls this once more: a script of your own does so below
        ``if __name__ == "__main__"``, as for every use of `multiprocessing`.

        Parameters
        ----------
        structures : iterable of (str, Batch)
            What to call the structure if it cannot be evaluated, and its beads; they are drawn as they are needed.
        workers : int, optional
            Processes; by default one for every core that may be used.

        Raises
        ------
        BeadwiseError
            If a structure cannot be evaluated, or the table cannot be written.
        """
        workers = workers or usable_cores()
        left = iter(structures)
        spent = 0.0
        for label, batch in left:
            began = time.monotonic()
            yield np.array([self._looked_up(label, bead) for bead in beads_of_batch(batch)])
            spent += time.monotonic() - began
            if spent > START and workers > 1:
                break
        yield from self._in_parallel(left, workers)

    def _in_parallel(self, structures: Iterable[Labelled], workers: int) -> Iterator[np.ndarray]:
        """The same with several processes, of which none starts where nothing is left."""
        waiting: dict[Future[float], tuple[str, str]] = {}
        unfinished: list[list[str]] = []
        with processes(workers) as pool:
            for label, batch in structures:
                unfinished.append([])
                for bead in beads_of_batch(batch):
                    key = _key(bead)
                    unfinished[-1].append(key)
                    if key not in self._kept and key not in (known for known, _ in waiting.values()):
                        with later_interrupts():  # a process may start here
                            waiting[pool.submit(_energy_in_process, self.name, bead)] = key, label
                    while len(waiting) >= AHEAD * workers:
                        self._collect(waiting)
                while unfinished and all(key in self._kept for key in unfinished[0]):
                    yield self._of(unfinished.pop(0))
            while unfinished:
                while not all(key in self._kept for key in unfinished[0]):
                    self._collect(waiting)
                yield self._of(unfinished.pop(0))

    def _collect(self, waiting: dict[Future[float], tuple[str, str]]) -> None:
        """Keep what has been evaluated, once something has."""
        done, _ = wait(waiting, return_when=FIRST_COMPLETED)
        for future in done:
            key, label = waiting.pop(future)
            try:
                self._keep(key, future.result())
            except BrokenProcessPool as error:
                raise BeadwiseError(
                    f"a process that evaluates {self.name} was ended from outside, as for want of memory; "
                    f"{len(self._kept)} energies are kept in '{self.file}', and the same command goes on"
                ) from error
            except StructureError as error:
                raise self._failed(label, error) from error

    def _of(self, keys: list[str]) -> np.ndarray:
        return np.array([self._kept[key] for key in keys])

    def _looked_up(self, label: str, bead: Batch) -> float:
        key = _key(bead)
        if key not in self._kept:
            try:
                self._keep(key, finite_energy(self.evaluator, bead))
            except StructureError as error:
                raise self._failed(label, error) from error
        return self._kept[key]

    def _failed(self, label: str, error: StructureError) -> BeadwiseError:
        return BeadwiseError(f"{self.name} cannot be evaluated for {label}: {error}")

    def _keep(self, key: str, energy: float) -> None:
        """Append a row; a row is shorter than what an operating system writes in one piece."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            begins = not self.file.exists() or not self.file.stat().st_size
            with open(self.file, "a", encoding="utf-8") as file:
                file.write(f"# energies of {self.name}\nstructure,energy/eV\n" if begins else "")
                file.write(f"{key},{energy!r}\n")
        except OSError as error:
            raise BeadwiseError(f"energies cannot be kept in '{self.file}': {error.strerror}") from error
        self._kept[key] = energy

    def _read(self) -> dict[str, float]:
        """Rows of the table; half a row that a killed program left is taken away, or the next would be joined to it."""
        try:
            text = self.file.read_text(encoding="utf-8") if self.file.exists() else ""
            whole = text[: text.rfind("\n") + 1]
            if whole != text:
                with open(self.file, "r+", encoding="utf-8") as file:
                    file.truncate(len(whole.encode()))
        except (OSError, UnicodeDecodeError) as error:
            raise BeadwiseError(f"cannot read '{self.file}': {error}") from error
        rows = re.finditer(rf"^([0-9a-f]{{{DIGITS}}}),(\S+)$", whole, flags=re.MULTILINE)
        return {row[1]: float(row[2]) for row in rows}


def beads_of_batch(batch: Batch) -> Iterator[Batch]:
    """Each bead as a batch of its own."""
    for bead in range(batch.beads):
        own = slice(bead, bead + 1)
        yield Batch(batch.numbers, batch.positions[own], batch.cells[own], batch.periodic)


def finite_energy(evaluator: Evaluator, bead: Batch) -> float:
    """Energy of one bead in eV.

    Raises
    ------
    StructureError
        If the potential cannot answer, or not with a finite number.
    """
    energy = float(evaluator.evaluate(bead, ["energy"]).energy[0])
    if not np.isfinite(energy):
        raise StructureError(f"its energy is {energy}; it must be finite")
    return energy


def _key(bead: Batch) -> str:
    """Hash of everything that the energy of a structure depends on."""
    content = hashlib.sha256()
    for array in (bead.numbers, bead.positions, bead.cells, bead.periodic):
        content.update(np.ascontiguousarray(array).tobytes())
    return content.hexdigest()[:DIGITS]


def _fingerprint(name: str, provider: object) -> str:
    """Hash of the name of a potential, the version of what provides it, and its files."""
    content = hashlib.sha256(f"{name} {provider}".encode())
    for file in files_of(name):
        content.update(file.read_bytes())
    return content.hexdigest()[:DIGITS]


_evaluators: dict[str, Evaluator] = {}  # of a worker process, which is asked again and again for the same one


def _energy_in_process(name: str, bead: Batch) -> float:
    """Energy of one bead in eV, in a process of its own."""
    if name not in _evaluators:
        _evaluators[name] = load_evaluator(name)
    return finite_energy(_evaluators[name], bead)
