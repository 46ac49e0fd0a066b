"""Energies of a potential at many structures, kept in a table as they are computed."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ...model import Batch, BeadwiseError
from ...model.evaluators import files_of, full_name, load_evaluator
from ...model.files import find, shipped_models
from ...model.kept_answers import DIGITS, Answer, KeptAnswers, Labelled, structure_key
from ...reading import refusing

LONGEST_NAME = 230  # of a potential in that of its table; a committee names many files, and names of files have 255


class KeptEnergies:
    """Energies of a potential, kept in a table with a row for each structure.

    What is kept belongs to one potential: its name, the version of what provides it, and the contents of the files that
    it is made of are part of the name of the table.

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
        slug = re.sub(r"[^A-Za-z0-9.=-]+", "_", Path(self.name).name if os.path.isfile(self.name) else self.name)
        version = _fingerprint(self.name, getattr(self.evaluator, "provider", ""))[:8]
        self.file = folder / f"energies_{slug[:LONGEST_NAME]}_{version}.csv"
        table = EnergyTable(self.file, self.name)
        self._answers = KeptAnswers(self.name, self.evaluator, ["energy"], table, self.name)

    def energies(self, structures: Iterable[Labelled], workers: int | None = None) -> Iterator[np.ndarray]:
        """Energies of the beads of each batch in eV, shape (beads,), in the order of the batches.

        Parameters and errors are those of `KeptAnswers.of_all`.
        """
        for answers in self._answers.of_all(structures, workers):
            yield np.array([float(answer["energy"]) for answer in answers])


class EnergyTable:
    """A file with a row for each structure, which is its hash and its energy in eV; see `Shelf`.

    Parameters
    ----------
    file : Path
    name : str
        Of the potential.

    Raises
    ------
    BeadwiseError
        If it cannot be read.
    """

    def __init__(self, file: Path, name: str):
        self.file = file
        self._name = name
        self._kept = self._read()

    @property
    def content(self) -> str:
        """What is kept, and where."""
        return f"{len(self._kept)} energies are kept in '{self.file}'"

    def key(self, bead: Batch) -> str:
        """Hash of the structure alone, as the file belongs to one potential."""
        return structure_key("", bead.numbers, bead.positions, bead.cells, bead.periodic)

    def find(self, key: str, bead: Batch) -> Answer | None:
        """The energy of a bead, if there is a row of it."""
        return {"energy": np.array(self._kept[key])} if key in self._kept else None

    def keep(self, key: str, answer: Answer) -> None:
        """Append a row; a row is shorter than what an operating system writes in one piece."""
        energy = float(answer["energy"])
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            begins = not os.path.exists(self.file) or not self.file.stat().st_size
            with open(self.file, "a", encoding="utf-8") as file:
                file.write(f"# energies of {self._name}\nstructure,energy/eV\n" if begins else "")
                file.write(f"{key},{energy!r}\n")
        except OSError as error:
            raise BeadwiseError(f"its energy cannot be kept in '{self.file}': {error.strerror or error}") from error
        self._kept[key] = energy

    def _read(self) -> dict[str, float]:
        """Rows of the table; half a row that a killed program left is taken away, or the next would be joined to it."""
        try:
            text = self.file.read_text(encoding="utf-8") if os.path.exists(self.file) else ""
            whole = text[: text.rfind("\n") + 1]
            if whole != text:
                with open(self.file, "r+", encoding="utf-8") as file:
                    file.truncate(len(whole.encode()))
        except (OSError, UnicodeDecodeError) as error:
            raise BeadwiseError(f"cannot read '{self.file}': {error}") from error
        rows = re.finditer(rf"^([0-9a-f]{{{DIGITS}}}),(\S+)$", whole, flags=re.MULTILINE)
        with refusing(BeadwiseError, f"cannot read '{self.file}'"):
            return {row[1]: float(row[2]) for row in rows}


def _fingerprint(name: str, provider: object) -> str:
    """Hash of the name of a potential, the version of what provides it, and its files."""
    content = hashlib.sha256(f"{name} {provider}".encode())
    # word by word first, as each file was before there were files of files: else what earlier releases kept would be
    # computed again
    words = [find(word) if word in shipped_models() else Path(word) for word in (name, *re.split("[,:=]", name))]
    files = [path for path in words if os.path.isfile(path)]
    files += [path for path in files_of(name) if path not in files]
    for path in files:
        content.update(path.read_bytes())
    module = sys.modules.get(name.partition(":")[0])  # of an evaluator of the user's own
    if module is not None and getattr(module, "__file__", None):
        content.update(Path(str(module.__file__)).read_bytes())
    return content.hexdigest()[:DIGITS]
