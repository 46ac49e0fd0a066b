"""Folders of the i-PI runs that a crystal's contributions need, and what is made of them when they are done."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...json_text import json_text
from ...model.crystals.reference import CrystalError
from ...model.evaluators import from_any_folder, full_name
from ...progress import Progress
from ...reading import digest_of, json_of, refusing
from ...runs.input.elements import InputError
from ...runs.input.force_fields import SOCKETS
from ...runs.input.named_model import named_model
from ...runs.input.outputs import checkpoint_patterns
from ...runs.input.run_input import RunInput
from ...sampling import gauss_legendre_ratios
from ...sampling.switching import switch_nodes
from ...whole_files import write_text
from ..mass import inputs as mass_inputs
from ..mass import make as mass
from ..prepared_inputs import write_input
from ..promotion import make as promotion
from . import gibbs, harmonic, switch_inputs, switching
from .cycle_identity import check_harmonic, check_input, model_of
from .cycle_results import SAME_TEMPERATURE
from .cycle_settings import ENDING, CycleFile

PLAN = "plan.json"
CHECKPOINTS = 20  # of a run whose input asks for none: what a kill may cost is a twentieth


@dataclass(frozen=True)
class PlannedRun:
    """One i-PI run.

    Parameters
    ----------
    folder : Path
        Of this run alone.
    name : str
        Of its input there.
    model : str
        That its servers need; empty where forces are made in i-PI's own process.
    """

    folder: Path
    name: str
    model: str

    @property
    def path(self) -> Path:
        """The input."""
        return self.folder / self.name


def make_harmonic(cycle: CycleFile, advance: Progress | None = None) -> list[str]:
    """Make the harmonic crystal unless it is there; lines of what was found.

    Raises
    ------
    BeadwiseError
        If it cannot be made, or one that is there is of another crystal or potential.
    """
    assert cycle.run is not None
    path = cycle.file("harmonic")
    if os.path.isfile(path):
        check_harmonic(cycle)
        return []
    report = harmonic.make(
        harmonic.HarmonicRequest(
            structure=cycle.path.parent / cycle.run.structure,
            model=model_of(cycle),
            temperatures=(cycle.settings.temperature,),
            held=cycle.run.held,
            displacement=cycle.run.displacement,
            output=path.with_name(path.name.removesuffix(ENDING)),
        ),
        advance,
    )
    report.write()
    return list(report.lines())


def planned_runs(cycle: CycleFile, key: str) -> list[PlannedRun]:
    """Runs of one contribution, whose folders are made unless they are there.

    Parameters
    ----------
    cycle : CycleFile
        With a harmonic crystal that is there.
    key : str
        Of a section of runs.

    Raises
    ------
    BeadwiseError
        If an input cannot be used, or the folders were made with other settings.
    """
    assert cycle.run is not None
    folder = cycle.path.with_name(f"{cycle.path.stem}.runs") / key
    source = cycle.path.parent / cycle.steps[key].input
    with refusing(InputError, f"cannot read '{source}', the input of [run.{key}] in '{cycle.path}'"):
        told = {
            "settings": asdict(cycle.steps[key]),
            "input": digest_of(source),
            "harmonic": digest_of(cycle.file("harmonic")),
            "structure": digest_of(cycle.path.parent / cycle.run.structure),
            "model": full_name(cycle.run.model),
        }
    if not (folder / PLAN).exists():
        _make_folders(cycle, key, source, folder, told)
    with refusing(CrystalError, f"cannot read '{folder / PLAN}'"):
        plan = json_of((folder / PLAN).read_bytes())
        before, runs = plan["told"], [(str(name), str(model)) for name, model in plan["runs"]]
    if changed := [name for name in told if told[name] != before.get(name)]:
        files = [cycle.file(one).name for one in (["harmonic"] if "structure" in changed else []) + [key]]
        removed = " and ".join(f"'{name}'" for name in files)
        raise CrystalError(
            f"'{folder}' was made with another {' and another '.join(changed)} than '{cycle.path}' has now; change it "
            f"back, or remove that folder and {removed} to begin anew"
        )
    return [PlannedRun(folder / Path(name).stem, name, model) for name, model in runs]


def _make_folders(cycle: CycleFile, key: str, source: Path, folder: Path, told: dict[str, Any]) -> None:
    """Make a folder for each run, all of them or none."""
    unfinished = folder.with_name(f".{key}.{secrets.token_hex(8)}")
    try:
        unfinished.mkdir(parents=True)
        original = RunInput.read(source)
        check_input(cycle, key, original)
        copied = named_files(original.document, source.parent)
        if len({Path(name).name for name in [source.name, *copied]}) <= len(copied):
            raise InputError(
                f"'{source}' names {', '.join(copied)}; runs need copies side by side, so rename those alike"
            )
        for name in [source.name, *copied]:
            shutil.copy(source.parent / name, unfinished / Path(name).name)
        _name_copies(unfinished / source.name, copied)
        run = RunInput.read(unfinished / source.name)
        found = run.only_system().ensemble.temperature
        if abs(found - cycle.settings.temperature) > SAME_TEMPERATURE:
            raise InputError(
                f"'{source}' is at {found:g} K, and '{cycle.path}' at {cycle.settings.temperature:g} K; they must be "
                "the same"
            )
        runs = []
        for path in _write_inputs(cycle, key, run, folder):
            own = unfinished / path.stem
            own.mkdir()
            path.rename(own / path.name)
            for name in copied:
                shutil.copy(unfinished / Path(name).name, own)
            _set_apart(own / path.name)
            _add_checkpoint(own / path.name)
            prepared = RunInput.read(own / path.name)
            runs.append((path.name, (named_model(prepared) or model_of(cycle)) if prepared.sockets else ""))
        for path in [one for one in unfinished.iterdir() if one.is_file()]:
            path.unlink()
        write_text(unfinished / PLAN, json.dumps({"told": told, "runs": runs}, indent=1, ensure_ascii=False))
        unfinished.rename(folder)
    except OSError as error:
        raise CrystalError(f"cannot make the folder '{folder}': {error.strerror or error}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def named_files(root: ElementTree.Element, folder: Path) -> list[str]:
    """Files beside an input that it names, as its structures."""
    texts = dict.fromkeys((element.text or "").strip() for element in root.iter() if len(element) == 0)
    # lists of properties and numbers are no names, and too long for one
    return [text for text in texts if text and len(text) < 256 and not os.path.isabs(text) and _is_file(folder / text)]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _name_copies(path: Path, copied: Sequence[str]) -> None:
    """Let an input name copies that lie beside it."""
    root = RunInput.read(path).document
    for element in root.iter():
        if (name := (element.text or "").strip()) in copied and len(element) == 0:
            element.text = Path(name).name
    write_input(path, root)


def _set_apart(path: Path) -> None:
    """Give the sockets of a run addresses that no other run has, of any crystal on this machine."""
    root = RunInput.read(path).document
    for socket in (one for one in root.iter() if one.tag in SOCKETS):
        if socket.get("mode", "inet").strip() == "inet":
            socket.set("mode", "unix")
        address = socket.find("address")
        if address is None:
            address = ElementTree.SubElement(socket, "address")
        address.text = f" beadwise-{secrets.token_hex(8)} "
    write_input(path, root)


def _add_checkpoint(path: Path) -> None:
    """Let a run write what it goes on from after a kill, unless its input asks for it."""
    run = RunInput.read(path)
    if list(checkpoint_patterns(run.root)):
        return
    output = run.document.find("output")
    assert output is not None  # without it i-PI writes checkpoints, which was looked for
    stride = str(max(1, run.total_steps // CHECKPOINTS))
    ElementTree.SubElement(output, "checkpoint", {"filename": "checkpoint", "stride": stride, "overwrite": "True"})
    write_input(path, run.document)


def _write_inputs(cycle: CycleFile, key: str, run: RunInput, folder: Path) -> list[Path]:
    """Inputs of all runs of a contribution, in the folder of the one that they are made of."""
    step = cycle.steps[key]
    if key == "anharmonic":
        couplings = switch_nodes(step.nodes, step.path)[0].tolist()
        file = cycle.file("harmonic")
        called = os.path.relpath(file, folder / "of a run")
        return switch_inputs.prepare_inputs(run, file, couplings, None, model_of(cycle), step.stride, called)
    if key == "quantum":
        return mass_inputs.prepare_inputs(run, gauss_legendre_ratios(step.ratios)[0].tolist(), _control_of(cycle))
    return [run.path]


def _control_of(cycle: CycleFile) -> Path | None:
    """The harmonic crystal, where it is control variate of the runs over masses."""
    return cycle.file("harmonic") if cycle.steps["quantum"].control_variate else None


def collect(cycle: CycleFile, key: str, runs: Sequence[PlannedRun], advance: Progress | None = None) -> list[str]:
    """Make the result of a contribution, of runs that are done, and write it; lines of what was found.

    Raises
    ------
    BeadwiseError
        If what runs wrote cannot be used.
    """
    assert cycle.run is not None
    paths, skip, file = [run.path for run in runs], cycle.run.skip, cycle.file(key)
    stem = file.with_suffix("")
    report: Any
    if key == "pressure":
        report = gibbs.make(paths, cycle.file("harmonic"), skip)
    elif key == "reference":
        step = cycle.steps[key]
        name = from_any_folder(step.name, [cycle.run.folder])
        request = promotion.PromotionRequest(
            runs=tuple(paths), reference=name, samples=step.samples, skip=skip, workers=cycle.run.workers
        )
        report = promotion.make(request, advance)
    else:
        if key == "anharmonic":
            report = switching.integrate(paths, skip)
        else:
            report = mass.integrate(paths, skip, _control_of(cycle))
        report.write(stem)
    try:
        write_text(file, json_text(report.as_dict()) + "\n")
    except OSError as error:
        raise CrystalError(f"cannot write '{file}': {error.strerror or error}") from error
    return list(report.lines())
