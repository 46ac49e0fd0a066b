"""The configuration of a fit of an electron density, key by key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from ase.data import atomic_numbers, chemical_symbols

from ....model.electron_density.basis import AuxiliaryBasis
from ....model.orbitals.basis import OrbitalError
from ....quantity import HIGHEST_ORDER
from ....schema import FileName, about
from ..configuration import check_output, refusal
from ..orbitals.own_configuration import (
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
from ..sections import SYMBOLS, DensitySettings, OutputSettings
from .basis_file import shells_of_file

SECTION = "electron_density"


@dataclass(frozen=True)
class DensityFiles:
    """Molecules and their electron densities, file by file."""

    train: TrainingFiles
    densities: Annotated[
        list[FileName],
        about(
            "A file of arrays (`.npz`) for each file of structures, in the same order: `coefficients`, or projections "
            "of the density, `coulomb_projections` or `overlap_projections`, of shape (frames, functions) in atomic "
            "units; with both, errors of energies are told as well.",
            min_length=1,
        ),
    ]
    validation: ValidationPart = 0.1
    p_order: Annotated[
        Literal["xyz", "yzx"],
        about("Order of the three functions of a p shell in the files: `xyz` as in PySCF, `yzx` for m = −1, 0, 1."),
    ] = "xyz"
    charge: Annotated[float, about("Charge of the molecules; their electrons are made exact by it.", unit="e")] = 0.0


@dataclass(frozen=True)
class ElectronDensitySettings:
    """The electron density, function by function, from features of atoms.

    See `beadwise.model.electron_density`.
    """

    basis: Annotated[
        FileName,
        about(
            "File of the functions in the format of NWChem, as def2-universal-jfit, for all elements. Functions of an "
            "element stand by angular momentum, then in the order of this file."
        ),
    ]
    metric: Annotated[
        Literal["coulomb", "overlap"],
        about(
            "What is made small: the Coulomb energy of the error, or the integral of its square. The number of "
            "electrons is made exact in the same metric."
        ),
    ] = "coulomb"
    electrons: Annotated[
        dict[str, Annotated[float, about("", gt=0)]],
        about(
            "Electrons that a neutral atom of an element brings, where a core is left out; of other elements all.",
            more=SYMBOLS,
        ),
    ] = field(default_factory=dict)
    l_max: Annotated[
        int,
        about(
            "Highest angular momentum of the features of an atom; at least that of the functions.",
            ge=0,
            le=HIGHEST_ORDER,
        ),
    ] = 4
    channels: Annotated[int, about("Channels of the density of neighbours that are kept for each l.", ge=1)] = 8
    products: KeptProducts = 16
    few: FewChannels = 6
    features: Annotated[int, about("Principal components of the features of each λ that are fitted.", ge=1)] = 400
    ridge: Ridge = 1e-7


SECTIONS: dict[str, type] = {
    "data": DensityFiles,
    "density": DensitySettings,
    SECTION: ElectronDensitySettings,
    "output": OutputSettings,
}


@dataclass(frozen=True)
class ElectronDensityConfiguration:
    """All of a configuration file with a section [electron_density], and the functions that it names."""

    folder: Path
    data: DensityFiles
    density: DensitySettings
    electron_density: ElectronDensitySettings
    output: OutputSettings
    basis: AuxiliaryBasis
    metadata: Mapping[str, Any] = field(default_factory=dict)


def electron_density_schema() -> dict[str, Any]:
    """JSON Schema of a configuration of an electron density."""
    return schema_of(SECTIONS, SECTION, "an electron density")


def read_electron_density_configuration(path: str | Path) -> ElectronDensityConfiguration:
    """Read and check a configuration file, and the functions that it names.

    Raises
    ------
    ConfigurationError
        Naming the section, the key and what is allowed there.
    DataError
        If the file of functions cannot be read.
    """
    path = Path(path)
    refuse = refusal(path)
    sections, metadata = read_sections(path, SECTIONS, SECTION)
    folder, own = path.resolve().parent, sections[SECTION]
    basis = _basis(own, folder, refuse)
    refuse_beyond_density(own.l_max, sections["density"], SECTION, refuse)
    if own.l_max < basis.highest:
        raise refuse(
            f"l_max = {own.l_max} in [{SECTION}]; the functions of '{own.basis}' go up to l = {basis.highest}, and "
            "features must, too"
        )
    files = _checked_files(sections["data"], folder, refuse)
    check_output(path, sections["output"], [*files.train, *files.densities, own.basis])
    return ElectronDensityConfiguration(folder, files, sections["density"], own, sections["output"], basis, metadata)


def _basis(own: ElectronDensitySettings, folder: Path, refuse: Refusal) -> AuxiliaryBasis:
    refuse_no_elements(own.electrons, SECTION, refuse)
    shells = shells_of_file(folder / own.basis)
    given = {atomic_numbers[symbol]: electrons for symbol, electrons in own.electrons.items()}
    if missing := sorted(set(given) - set(shells)):
        raise refuse(f"electrons of {chemical_symbols[missing[0]]} in [{SECTION}]; '{own.basis}' has no such functions")
    try:
        return AuxiliaryBasis(shells, {number: given.get(number, float(number)) for number in shells})
    except OrbitalError as error:
        raise refuse(f"{error}, in [{SECTION}]") from error


def _checked_files(data: DensityFiles, folder: Path, refuse: Refusal) -> DensityFiles:
    train, densities = files_side_by_side(data.train, data.densities, "densities", folder, refuse)
    return replace(data, train=train, densities=densities)
