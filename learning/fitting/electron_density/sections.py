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
from ...data import DataError, expanded
from ..configuration import check_density, check_output, refusal
from ..orbitals.own_configuration import read_sections, schema_of
from ..sections import SYMBOLS, DensitySettings, OutputSettings
from .basis_file import shells_of_file

SECTION = "electron_density"


@dataclass(frozen=True)
class DensityFiles:
    """Molecules and their electron densities, file by file."""

    train: Annotated[
        list[FileName],
        about("Files of structures to fit; a name may be a pattern, as `run_*/train.xyz`.", min_length=1),
    ]
    densities: Annotated[
        list[FileName],
        about(
            "A file of arrays (`.npz`) for each file of structures, in the same order: `coefficients`, or projections "
            "of the density, `coulomb_projections` or `overlap_projections`, of shape (frames, functions) in atomic "
            "units; with both, errors of energies are told as well.",
            min_length=1,
        ),
    ]
    validation: Annotated[
        float, about("Fraction of the frames that is set aside, and whose errors are reported.", ge=0, lt=1)
    ] = 0.1
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
    products: Annotated[int, about("Products of these that are kept for each λ and parity.", ge=1)] = 16
    few: Annotated[int, about("Channels that the products of an atom are multiplied with once more.", ge=1)] = 6
    features: Annotated[int, about("Principal components of the features of each λ that are fitted.", ge=1)] = 400
    ridge: Annotated[
        float,
        about("Strength of the regularisation: variance of the noise over what the features explain.", gt=0),
    ] = 1e-7


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
    check_density(path, sections["density"])
    folder, own = path.resolve().parent, sections[SECTION]
    basis = _basis(own, folder, refuse)
    if own.l_max > sections["density"].l_max:
        raise refuse(
            f"l_max = {own.l_max} in [{SECTION}]; allowed is at most {sections['density'].l_max}, that of the density"
        )
    if own.l_max < basis.highest:
        raise refuse(
            f"l_max = {own.l_max} in [{SECTION}]; the functions of '{own.basis}' go up to l = {basis.highest}, and "
            "features must, too"
        )
    files = _checked_files(sections["data"], folder, refuse)
    check_output(path, sections["output"], [*files.train, *files.densities, own.basis])
    return ElectronDensityConfiguration(folder, files, sections["density"], own, sections["output"], basis, metadata)


def _basis(own: ElectronDensitySettings, folder: Path, refuse: Any) -> AuxiliaryBasis:
    if strange := [symbol for symbol in own.electrons if symbol not in chemical_symbols[1:]]:
        raise refuse(f"'{strange[0]}' in [{SECTION}] is no element; chemical symbols are needed, as C")
    shells = shells_of_file(folder / own.basis)
    given = {atomic_numbers[symbol]: electrons for symbol, electrons in own.electrons.items()}
    if missing := sorted(set(given) - set(shells)):
        raise refuse(f"electrons of {chemical_symbols[missing[0]]} in [{SECTION}]; '{own.basis}' has no such functions")
    try:
        return AuxiliaryBasis(shells, {number: given.get(number, float(number)) for number in shells})
    except OrbitalError as error:
        raise refuse(f"{error}, in [{SECTION}]") from error


def _checked_files(data: DensityFiles, folder: Path, refuse: Any) -> DensityFiles:
    try:
        train, densities = expanded(data.train, folder), expanded(data.densities, folder)
    except DataError as error:
        raise refuse(f"{error}, in [data]") from error
    if len(train) != len(densities):
        raise refuse(f"{len(train)} files of structures and {len(densities)} of densities in [data]; one for each")
    return replace(data, train=train, densities=densities)
