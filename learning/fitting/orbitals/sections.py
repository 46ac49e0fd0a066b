"""The configuration of a fit of a Hamiltonian, key by key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from ase.data import atomic_numbers

from ....model.orbitals.basis import HIGHEST_SHELL, SHELL_LETTERS, OrbitalBasis
from ....properties.unit_names import ENERGY, UnitError, in_own_units
from ....quantity import HIGHEST_ORDER
from ....schema import FileName, about
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

SECTION = "hamiltonian"
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
            "upper triangles as `fock_upper`, and where these stand as `rows` and `cols`.",
            min_length=1,
        ),
    ]
    validation: ValidationPart = 0.1
    unit: Annotated[str, about("Unit of the Hamiltonian in the files, as `hartree` or `eV`.")] = "hartree"
    p_order: Annotated[
        Literal["xyz", "yzx"],
        about("Order of the three orbitals of a p shell in the files: `xyz` as in PySCF, `yzx` for m = −1, 0, 1."),
    ] = "xyz"
    charge: Annotated[float, about("Charge of the molecules, by which filled levels and gaps are told.", unit="e")] = (
        0.0
    )


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


def _checked_files(data: MatrixFiles, folder: Path, refuse: Refusal) -> MatrixFiles:
    try:
        in_own_units(data.unit, ENERGY)
    except UnitError as error:
        raise refuse(f"{error}, in [data]") from error
    train, matrices = files_side_by_side(data.train, data.matrices, "matrices", folder, refuse)
    return replace(data, train=train, matrices=matrices)
