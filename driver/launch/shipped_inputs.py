"""The inputs that are shipped with beadwise: copied into a folder of their own, then run there."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path
from xml.sax.saxutils import escape

from ...runs.input.elements import InputError
from ...runs.input.run_input import RunInput
from ...suggestions import did_you_mean
from .examples.changes import Changes

INPUTS = "beadwise.inputs"
SHIM = Path(__file__).parents[1] / "doors" / "shim.py"


@dataclass(frozen=True)
class Example:
    """What a shipped input starts from, the shipped model that answers for it, in which field, and its spectra.

    Parameters
    ----------
    structure : str
        File beside the input.
    model : str
        Name of a shipped model, or path of a shipped model out of several.
    spectra : tuple of str
        Kinds that are kept current.
    electric_field : tuple of float or None
        Static field in V/Å that is served.
    models : mapping of str to str
        Shipped models of those force fields that `model` does not answer for.
    files : tuple of str
        Files beside the input that it names besides its structure, as those of PLUMED.
    """

    structure: str
    model: str
    spectra: tuple[str, ...] = ()
    electric_field: tuple[float, float, float] | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()


WATER = Example("water_64.xyz", "water")
INFRARED_AND_RAMAN = Example("water_64.xyz", "water", ("ir", "raman"))
ETHENE = str(files(INPUTS) / "ethene_levels.toml")
CORRECTED = {"reference": "water_gfn1"}
TORSION = ("torsion_beads.dat", "torsion_walls.dat")
WINDOWS = tuple(f"torsion_window_{number:02d}.dat" for number in range(12))
EXAMPLES = {  # all others are liquid water
    "water": INFRARED_AND_RAMAN,
    "in_process": INFRARED_AND_RAMAN,
    "trpmd": INFRARED_AND_RAMAN,
    "ethanol_pimd": Example("ethanol.xyz", "ethanol"),
    "ethene_pimd": Example("ethene.xyz", ETHENE),
    "ethene_classical": Example("ethene.xyz", ETHENE),
    "slab": Example("water_slab_128.xyz", "water", ("sfg",)),
    "mts_nvt": Example("water_32.xyz", "water", models=CORRECTED),
    "mts_pimd": Example("water_32.xyz", "water", models=CORRECTED),
    "mts_trpmd": Example("water_32.xyz", "water", ("ir", "raman"), models=CORRECTED),
    "mts_short_range": Example("water_64.xyz", "water_accurate", models={"short": "water_short"}),
    "torsion_metadynamics": Example("ethanol.xyz", "ethanol", files=("torsion_metadynamics.dat", *TORSION)),
    "torsion_opes": Example("ethanol.xyz", "ethanol", files=("torsion_opes.dat", *TORSION)),
    "torsion_umbrella": Example("ethanol.xyz", "ethanol", files=(*WINDOWS, *TORSION)),
    "proton_sharing": Example("water_32.xyz", "water", files=("proton_sharing.dat", "proton_beads.dat")),
    "proton_restraint": Example("water_32.xyz", "water", files=("proton_restraint.dat", "proton_beads.dat")),
    "committee_wall": Example("water_32.xyz", "water", files=("committee_wall.dat", "committee_wall_variables.py")),
    "pa_cmd": Example("water_32.xyz", "water", ("ir", "raman")),
    "piglet": Example("water_32.xyz", "water"),
    "suzuki_chin": Example("water_32.xyz", "water"),
    "water_committee": Example("water_32.xyz", "water", ("ir",)),
    "water_learn_300": Example("water_32.xyz", "water"),
    "water_learn_400": Example("water_32.xyz", "water"),
    "static_field": Example("water_64.xyz", "water", electric_field=(0.0, 0.0, 0.1)),
}


def shipped_inputs() -> list[str]:
    """Names of the shipped inputs."""
    return sorted(Path(entry.name).stem for entry in files(INPUTS).iterdir() if entry.name.endswith(".xml"))


def example_of(name: str) -> Example:
    """Structure and model of a shipped input."""
    return EXAMPLES.get(name, WATER)


def example_for(run: RunInput) -> Example:
    """The example that an input was copied from, or whose RESTART it is; liquid water for any other input.

    Copies and RESTARTs of an example are told by the prefix of their output.
    """
    return example_of(run.prefix)


def is_shipped_input(source: Path) -> bool:
    """Whether a user means a shipped input: its bare name, and no file is called so."""
    return source.name == str(source) and not source.exists() and source.name in shipped_inputs()


def refuse_unknown(source: Path) -> None:
    """Say which shipped inputs a name may stand for that is neither a file nor one of them.

    Raises
    ------
    InputError
        If it is a bare name without an ending, as those of shipped inputs are.
    """
    if source.name == str(source) and not source.suffix and not source.exists() and not is_shipped_input(source):
        names = shipped_inputs()
        raise InputError(
            f"no input '{source}': give a file, or one of the shipped inputs {names}{did_you_mean(source.name, names)}"
        )


def copy_shipped_input(name: str, parent: Path, threads: int = 1, changes: Changes | None = None) -> Path:
    """Copy a shipped input and the files that it names into a new folder ``beadwise-<name>``.

    The copy gets i-PI addresses of its own, so that two of them can run on one machine.  Where i-PI is to evaluate in
    its own process, it gets the path of what i-PI loads.

    Parameters
    ----------
    name : str
        One of :func:`shipped_inputs`.
    parent : Path
        Where to make the folder; a number is added to its name until it is new.
    threads : int, optional
        Of an evaluation in i-PI's process.
    changes : Changes, optional
        What shall be another in the copy.

    Returns
    -------
    Path
        The copied input.

    Raises
    ------
    InputError
        If the folder cannot be made, or the input cannot be changed so; then no folder is left.
    """
    folder = _make_new_folder(parent / f"beadwise-{name.replace('_', '-')}")
    try:
        return copy_into(name, folder, threads, changes)
    except InputError:
        shutil.rmtree(folder)
        raise


def files_of(name: str) -> tuple[str, ...]:
    """Names of the files that a copy of a shipped input needs, the input first."""
    example = example_of(name)
    return (f"{name}.xml", example.structure, *example.files)


def copy_into(name: str, folder: Path, threads: int = 1, changes: Changes | None = None) -> Path:
    """Copy a shipped input and the files that it names into a folder; see `copy_shipped_input`."""
    for file_name in files_of(name):
        with as_file(files(INPUTS) / file_name) as source:
            shutil.copy(source, folder / file_name)
    copy = folder / f"{name}.xml"
    # an address that others on this machine cannot be at before i-PI is
    stem = f"beadwise-{name.replace('_', '-')}"
    text = re.sub(r"(?<=<address>)[^<]*", lambda _: f"{stem}-{secrets.token_hex(8)}", copy.read_text())
    text = re.sub(r"(?<=<pes_path>)[^<]*(?=</pes_path>)", lambda found: escape(str(SHIM)), text)
    copy.write_text(re.sub(r"(?<=\bthreads: )\d+", str(threads), text))
    (changes or Changes()).apply(copy)
    return copy


@contextmanager
def shipped_copy(name: str, parent: Path, threads: int = 1, changes: Changes | None = None) -> Iterator[Path]:
    """Copy a shipped input for a run, and take the copy away again if the run fails before i-PI has begun.

    Parameters
    ----------
    name, parent, threads, changes
        As for `copy_shipped_input`.

    Yields
    ------
    Path
        The copied input.

    Raises
    ------
    InputError
        If the folder cannot be made, or the input cannot be changed so.
    """
    copied = copy_shipped_input(name, parent, threads, changes)
    folder = copied.parent
    ours = set(folder.iterdir())
    try:
        yield copied
    except BaseException:
        with suppress(OSError):
            if set(folder.iterdir()) - {folder / "__pycache__"} == ours:  # i-PI begins with its log
                shutil.rmtree(folder)
        raise


def _make_new_folder(wanted: Path) -> Path:
    number = 1
    while True:
        folder = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            number += 1
        except OSError as error:
            raise InputError(f"cannot make the folder '{folder}' for the shipped input: {error.strerror}") from error
