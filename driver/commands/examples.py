"""``beadwise examples``: what ships, and copies of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from .findings import Findings
from .option_groups.copy_options import copy_options
from .options import PATH, json_option


@click.command()
@click.argument("name", required=False)
@click.argument("folder", required=False, type=PATH)
@copy_options
@json_option
def examples(
    name: str | None,
    folder: Path | None,
    steps: int | None,
    beads: int | None,
    temperature: float | None,
    json_file: Path | None,
) -> None:
    """List inputs, models, recipes and job scripts that ship, or copy one of them.

    NAME is a shipped input, or a file such as `slurm_tcp.sh`; it is copied with the files that it needs into FOLDER, by
    default one called after it.  Nothing is written over.  --steps, --beads and --temperature change the copy of an
    input.  Models need no copy: each is used by its name.
    """
    from ...model.worker_processes import usable_cores
    from ..launch.examples.changes import Changes
    from ..launch.examples.copying import copy_example
    from ..launch.examples.listing import shipped_things, table_of

    findings = Findings(json_file)
    if name is None:
        things = shipped_things()
        findings.show(table_of(things))
        findings.numbers([asdict(thing) for thing in things])
        return
    copies = copy_example(name, folder, usable_cores(), Changes(steps, beads, temperature))
    findings.say([f"copied to {copies[0].parent}: {', '.join(copy.name for copy in copies)}"])
    if copies[0].suffix == ".xml":
        findings.say([f"run it with `cd {copies[0].parent} && beadwise run {copies[0].name}`"])
    findings.numbers([str(copy) for copy in copies])
