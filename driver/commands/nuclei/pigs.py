"""``beadwise pigs``: the mean force on centroids at an elevated temperature as a correction to a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..findings import Findings
from ..options import PATH, json_option, number, output_path, trust_option

ONLY_PREPARE = ("temperature", "beads", "frames", "interval")
ONLY_FIT = ("model", "output", "cutoff")
PARTS, CORRECTION = ".toml", ".safetensors"


def _parts_path(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    """Refuse what would not be read as a model out of parts, and a folder that does not exist."""
    if value is not None and value.suffix != PARTS:
        raise click.BadParameter(f"'{value}' is no file of parts; allowed is a name that ends in {PARTS}")
    return output_path(context, parameter, value)


@click.command()
@click.argument("run", type=PATH, metavar="[RUN]", required=False)
@click.option(
    "--prepare",
    type=PATH,
    metavar="INPUT",
    help="Write the i-PI input of the run that is needed beside this input, and do nothing else.  The name of a "
    "shipped input makes a new folder.",
)
@number("--temperature", unit="K", text="Temperature of the run, in K, for --prepare  [default: 500].")
@click.option("--beads", type=click.IntRange(min=2), metavar="N", help="Number of beads, for --prepare  [default: 16].")
@click.option(
    "--frames", type=click.IntRange(min=20), metavar="N", help="Number of frames, for --prepare  [default: 200]."
)
@number("--interval", unit="FS", text="Time between frames in fs, for --prepare  [default: 25].")
@click.option("--model", metavar="MODEL", help="Model that RUN sampled, which is corrected.")
@click.option(
    "--output",
    type=PATH,
    callback=_parts_path,
    metavar="FILE.toml",
    help="Model out of parts to write  [default: MODEL_pigs.toml]; the correction is FILE.safetensors.",
)
@number("--cutoff", unit="A", text="Cutoff of the correction in Å  [default: 4].")
@json_option
@trust_option
def pigs(run: Path | None, prepare: Path | None, json_file: Path | None, **options: Any) -> None:
    """Correct a model by the mean force on centroids, for spectra from classical dynamics.

    The method is called Te PIGS.  RUN is a folder, input or RESTART of the run that --prepare wrote the input of,
    finished or going on.  The correction is fitted to what the mean force of the beads differs from the force at the
    centroid; the model out of parts that is written is for classical dynamics, `beadwise run INPUT --model FILE.toml
    --spectrum ir,raman`, whose spectra are named after it.
    """
    if (prepare is None) == (run is None):
        raise click.UsageError("either RUN or --prepare INPUT is needed")
    for name in ONLY_FIT if prepare is not None else ONLY_PREPARE:
        if options[name] is not None:
            raise click.UsageError(f"--{name} is {'for RUN, not for' if prepare is not None else 'for'} --prepare")
    if run is not None and options["model"] is None:
        raise click.UsageError("--model is missing: the model that the run sampled")
    findings = Findings(json_file)
    if prepare is not None:
        _prepare(prepare, findings, {name: options[name] for name in ONLY_PREPARE if options[name] is not None})
    elif run is not None:
        _fit(run, findings, options["model"], options["output"], options["cutoff"])


def _prepare(source: Path, findings: Findings, given: dict[str, Any]) -> None:
    """Write the input."""
    from ....analysis.pigs.inputs import Sampling, prepare_input
    from ....analysis.results import warned
    from ....runs.input.run_input import RunInput
    from ...launch.shipped_inputs import copy_shipped_input, is_shipped_input, refuse_unknown

    refuse_unknown(source)
    sampling = Sampling(**given)
    path = copy_shipped_input(source.name, Path()) if is_shipped_input(source) else source
    written = prepare_input(RunInput.read(path), sampling)
    findings.say([*warned(sampling.warnings), written])
    findings.numbers({"input": written, "warnings": sampling.warnings})


def _fit(run: Path, findings: Findings, model: str, output: Path | None, cutoff: float | None) -> None:
    """Collect, fit and write."""
    from ....analysis.pigs.inputs import Sampling
    from ....analysis.pigs.samples import read_samples
    from ....analysis.results import warned, written_to
    from ....learning.centroid.correction import fit_correction
    from ....learning.centroid.frames import check_potential, frames_of
    from ....learning.centroid.parts import SUFFIX, write_parts
    from ....learning.fitting.sections import DensitySettings
    from ....model import save
    from ....model.evaluators import load_evaluator
    from ....model.training.centroid_force import ISOTOPES, TEMPERATURE
    from ....runs.source import find_run
    from ...launch.stages import Stages

    path = output or Path(f"{Path(model).stem}{SUFFIX}{PARTS}")
    file = path.with_suffix(CORRECTION)
    _refuse_own_files(model, path, file)
    samples = read_samples(find_run(run))
    potential = load_evaluator(model)
    check_potential(potential, model, samples.numbers, samples.positions, samples.cells, samples.classical)
    record = {TEMPERATURE: samples.temperature, "beads": samples.beads, "model": model, ISOTOPES: [*samples.isotopes]}
    metadata = {
        "title": f"Te PIGS correction of {Path(model).name}: mean force on centroids at {samples.temperature:g} K",
        "limits": [
            "a correction for classical dynamics (one bead), never alone and never with several beads",
            f"centroids as at {samples.temperature:g} K and the density of the run; elsewhere it extrapolates",
        ],
        "pigs": record,
    }
    frames = frames_of(samples.numbers, samples.positions, samples.cells, samples.differences)
    density = DensitySettings(cutoff=cutoff or 4.0, radial=6, l_max=3)
    with Stages() as stages:
        correction, errors = fit_correction(frames, density, metadata, stages)
    save(correction, file)
    write_parts(path, model, file, samples.temperature, potential.properties)
    warnings = [*Sampling(samples.temperature).warnings, *errors.warnings]
    lines = [f"Te PIGS at {samples.temperature:g} K, {samples.beads} beads", *errors.lines, *warned(warnings)]
    findings.say([*lines, written_to([path, file])])
    findings.numbers({**record, **errors.as_dict(), "warnings": warnings, "files": [path, file]})


def _refuse_own_files(model: str, *written: Path) -> None:
    """Refuse to write over the potential, or a file that it is made of."""
    from ....errors import BeadwiseError
    from ....model.evaluators import files_of

    own = {file.resolve() for file in files_of(model)}
    for path in written:
        if path.resolve() in own:
            raise BeadwiseError(f"'{path}' is a file of --model '{model}' itself; give another --output")
