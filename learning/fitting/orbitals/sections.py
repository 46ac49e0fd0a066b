"""The configuration of a fit of a Hamiltonian, key by key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal

from ase.data import atomic_numbers

from ....model.orbitals.basis import HIGHEST_SHELL, SHELL_LETTERS, OrbitalBasis
from ....properties.unit_names import ENERGY, UnitError, in_own_units
from ....quantity import HIGHEST_ORDER
from ....schema import FileName, about
from ...data import DataError, expanded
from ..configuration import check_output, refusal
from ..sections import FEWEST_MEMBERS, SYMBOLS, DensitySettings, OutputSettings
from .own_configuration import (
    COMMITTEE,
    FewChannels,
    KeptProducts,
    Refusal,
    Ridge,
    TrainingFiles,
    ValidationPart,
    files_side_by_side,
    read_sections,
    refuse_beyond_density,
    refuse_no_elements,
    schema_of,
)

SECTION, LEVELS = "hamiltonian", "levels"
SHELLS = SHELL_LETTERS[: HIGHEST_SHELL + 1]


@dataclass(frozen=True)
class MatrixFiles:
    """Molecules and their matrices, file by file."""

    train: TrainingFiles
    matrices: Annotated[
        list[FileName],
        about(
            "A file of matrices for each file of structures, in the same order: `.npy`, or `.npz` with `hamiltonian` "
            "or `fock` and, where there is one, `overlap`, each of shape (frames, orbitals, orbitals); or with their "
            "upper triangles as `fock_upper`, and where these stand as `rows` and `cols`. A fit to levels begins from "
            "them where they are given.",
        ),
    ] = field(default_factory=list)
    validation: ValidationPart = 0.1
    unit: Annotated[str, about("Unit of Hamiltonian and levels in the files, as `hartree` or `eV`.")] = "hartree"
    p_order: Annotated[
        Literal["xyz", "yzx"],
        about("Order of the three orbitals of a p shell in the files: `xyz` as in PySCF, `yzx` for m = −1, 0, 1."),
    ] = "xyz"
    charge: Annotated[float, about("Charge of the molecules, by which filled levels and gaps are told.", unit="e")] = (
        0.0
    )
    levels: Annotated[str, about("Entry of each frame that holds its levels, for a fit to levels.", min_length=1)] = (
        "levels"
    )
    skipped_levels: Annotated[
        int,
        about("How many of the lowest levels of each frame are left out, as those of cores that have no shell.", ge=0),
    ] = 0


@dataclass(frozen=True)
class HamiltonianSettings:
    """The Hamiltonian, block by block, from features of atoms and pairs of atoms.

    See `beadwise.model.orbitals`.
    """

    shells: Annotated[
        dict[str, Annotated[str, about("", min_length=1)]],
        about(
            "Shells of each element by chemical symbol, in the order of the matrices: `ssp` for 1s, 2s, 2p. The three "
            "orbitals of a p shell are x, y, z; those of higher shells are m = −l … l.",
            more=SYMBOLS,
        ),
    ]
    electrons: Annotated[
        dict[str, Annotated[float, about("", ge=0)]],
        about("Electrons that a neutral atom of each element brings into these orbitals.", more=SYMBOLS),
    ]
    overlap: Annotated[
        bool,
        about(
            "If true, an overlap is fitted, too, and levels are those of H C = S C ε; if false, matrices that have an "
            "overlap are fitted in orthogonal orbitals, S^(−1/2) H S^(−1/2) (Löwdin)."
        ),
    ] = False
    target: Annotated[
        Literal["matrices", "levels"],
        about(
            "`matrices` fits blocks; `levels` fits the levels of each frame alone, the lowest where there are fewer "
            "than orbitals, and begins from `matrices` in `[data]` or from `start`."
        ),
    ] = "matrices"
    start: Annotated[
        dict[str, list[float]],
        about(
            "Levels in eV of the shells of each element, in the order of `shells`, from which a fit to levels begins "
            "where there are no matrices.",
            more=SYMBOLS,
        ),
    ] = field(default_factory=dict)
    level_steps: Annotated[int, about("Steps of a fit to levels at most.", ge=1)] = 500
    level_ridge: Annotated[
        float,
        about(
            "As `ridge`, for a fit to levels: how strongly weights are held near those that it begins with. Levels say "
            "less of the weights than matrices do.",
            gt=0,
        ),
    ] = 1e-2
    l_max: Annotated[int, about("Highest angular momentum of the features of an atom.", ge=0, le=HIGHEST_ORDER)] = 3
    channels: Annotated[int, about("Channels of the density of an atom that are kept for each l.", ge=1)] = 8
    products: KeptProducts = 16
    few: FewChannels = 6
    pair_cutoff: Annotated[float, about("Distance from which two atoms have no block in common.", unit="Å", gt=0)] = 7.0
    pair_radial: Annotated[int, about("Radial functions of the distance of a pair.", ge=1)] = 6
    pair_l_max: Annotated[
        int, about("Highest angular momentum of the direction of a pair.", ge=0, le=HIGHEST_ORDER)
    ] = 4
    overlap_radial: Annotated[int, about("Radial functions of the overlap, which depends on pairs alone.", ge=1)] = 24
    ridge: Ridge = 1e-8

    @property
    def basis(self) -> OrbitalBasis:
        """The orbitals; OrbitalError if they cannot be, and KeyError for what is no element."""
        return OrbitalBasis(
            {atomic_numbers[symbol]: tuple(map(SHELLS.index, own)) for symbol, own in self.shells.items()},
            {atomic_numbers[symbol]: own for symbol, own in self.electrons.items()},
        )


@dataclass(frozen=True)
class MemberSettings:
    """The members of a committee, each fitted to a random part of the frames; their spread is the uncertainty.

    Their levels are set as far apart as levels are wrong on the frames of `validation`.
    """

    members: Annotated[
        int, about(f"Number of members; their calibration needs {FEWEST_MEMBERS} or more.", ge=FEWEST_MEMBERS)
    ] = 8
    fraction: Annotated[float, about("Fraction of the frames that each member is fitted to.", gt=0, lt=1)] = 0.5
    seed: Annotated[int, about("Seed of the random choice of frames.", ge=0)] = 0


SECTIONS: dict[str, type] = {
    "data": MatrixFiles,
    "density": DensitySettings,
    SECTION: HamiltonianSettings,
    COMMITTEE: MemberSettings,
    "output": OutputSettings,
}


@dataclass(frozen=True)
class HamiltonianConfiguration:
    """All of a configuration file with a section [hamiltonian]."""

    folder: Path
    data: MatrixFiles
    density: DensitySettings
    hamiltonian: HamiltonianSettings
    output: OutputSettings
    metadata: Mapping[str, Any] = field(default_factory=dict)
    committee: MemberSettings | None = None


def hamiltonian_schema() -> dict[str, Any]:
    """JSON Schema of a configuration of a Hamiltonian."""
    return schema_of(SECTIONS, SECTION, "a Hamiltonian")


def read_hamiltonian_configuration(path: str | Path) -> HamiltonianConfiguration:
    """Read and check a configuration file.

    Raises
    ------
    ConfigurationError
        Naming the section, the key and what is allowed there.
    """
    path = Path(path)
    refuse = refusal(path)
    sections, metadata = read_sections(path, SECTIONS, SECTION)
    _check_hamiltonian(sections[SECTION], sections["density"], refuse)
    folder = path.resolve().parent
    _check_target(sections[SECTION], sections["data"], sections[COMMITTEE], refuse)
    data = _checked_files(sections["data"], folder, refuse)
    check_output(path, sections["output"], [*data.train, *data.matrices])
    return HamiltonianConfiguration(
        folder, data, sections["density"], sections[SECTION], sections["output"], metadata, sections[COMMITTEE]
    )


def _check_hamiltonian(own: HamiltonianSettings, density: DensitySettings, refuse: Refusal) -> None:
    for table in (own.shells, own.electrons):
        refuse_no_elements(table, SECTION, refuse)
    for symbol, shells in own.shells.items():
        if set(shells) - set(SHELLS):
            raise refuse(f"shells of {symbol} are '{shells}' in [{SECTION}]; allowed are letters of '{SHELLS}', as ssp")
    refuse_beyond_density(own.l_max, density, SECTION, refuse)
    basis = own.basis
    highest = 2 * basis.highest
    made = {f"l_max = {own.l_max}": 2 * own.l_max}  # by the products of an atom, and by a vector alone
    if own.overlap:
        made[f"pair_l_max = {own.pair_l_max}"] = own.pair_l_max
    for what, most in made.items():
        if highest > most:
            raise refuse(
                f"{what} in [{SECTION}] makes no λ = {highest}, which blocks between shells {SHELLS[basis.highest]} "
                "need; raise it"
            )


def _check_target(
    own: HamiltonianSettings, data: MatrixFiles, committee: MemberSettings | None, refuse: Refusal
) -> None:
    if own.target == LEVELS and committee is not None:
        raise refuse(f"[{COMMITTEE}] beside target = '{LEVELS}'; members are of fits with target = 'matrices'")
    if own.target != LEVELS and own.start:
        raise refuse(f"start in [{SECTION}] and target = '{own.target}'; it is for target = '{LEVELS}'")
    if data.matrices and own.start:
        raise refuse(f"start in [{SECTION}] and matrices in [data]; a fit to levels begins from one of them")
    if own.target != LEVELS and not data.matrices:
        raise refuse("no matrices in [data]; a file for each file of structures is needed")
    if own.target != LEVELS and data.skipped_levels:
        raise refuse(f"skipped_levels in [data] and target = '{own.target}'; it is for target = '{LEVELS}'")
    if data.matrices:
        return
    if own.overlap:
        raise refuse(f"overlap = true in [{SECTION}] without matrices in [data]; they are needed for the overlap")
    if set(own.start) != set(own.shells):
        raise refuse(
            f"start in [{SECTION}] has {sorted(own.start)}; a fit to levels without matrices needs it for "
            f"{sorted(own.shells)}"
        )
    for symbol, levels in own.start.items():
        if len(levels) != len(own.shells[symbol]) or not all(map(isfinite, levels)):
            raise refuse(
                f"start of {symbol} in [{SECTION}] is {levels}; a finite number in eV is needed for each of its shells "
                f"'{own.shells[symbol]}'"
            )


def _checked_files(data: MatrixFiles, folder: Path, refuse: Refusal) -> MatrixFiles:
    try:
        in_own_units(data.unit, ENERGY)
    except UnitError as error:
        raise refuse(f"{error}, in [data]") from error
    if not data.matrices:
        try:
            return replace(data, train=expanded(data.train, folder))
        except DataError as error:
            raise refuse(f"{error}, in [data]") from error
    train, matrices = files_side_by_side(data.train, data.matrices, "matrices", folder, refuse)
    return replace(data, train=train, matrices=matrices)
