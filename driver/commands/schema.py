"""``beadwise schema``: what a configuration may say, for editors and other programs."""

from __future__ import annotations

import json

import click

KINDS = ["fit", "hamiltonian", "density", "learn", "model", "crystal"]


@click.command()
@click.argument("kind", type=click.Choice(KINDS), metavar="KIND")
def schema(kind: str) -> None:
    """Print the JSON Schema of a configuration.

    KIND is fit, hamiltonian or density for a fit of one, learn, model, which stands for a model out of several, or
    crystal, of free energies.  Editors that know the schema complete keys, explain them, and mark what is wrong: write
    it to a file, and name that in the first line of the configuration, as "#:schema ./fit.schema.json".  It has the
    sections of all quantities that are installed here.
    """
    from ...analysis.crystals.cycle_settings import cycle_schema
    from ...learning.fitting.configuration import fit_schema
    from ...learning.fitting.electron_density.sections import electron_density_schema
    from ...learning.fitting.orbitals.sections import hamiltonian_schema
    from ...learning.loop.configuration import learn_schema
    from ...model.evaluators.mixture import mixture_schema
    from ...schema import for_editors

    kinds = {
        "fit": fit_schema,
        "hamiltonian": hamiltonian_schema,
        "density": electron_density_schema,
        "learn": learn_schema,
        "model": mixture_schema,
        "crystal": cycle_schema,
    }
    own = kinds[kind]()
    click.echo(json.dumps(for_editors(own, f"beadwise {kind}"), indent=2, ensure_ascii=False))
