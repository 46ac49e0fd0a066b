"""Whether a structure has periodic images, as those of the training had: a liquid without its cell is a droplet.

A file without a cell, or with a wide one that was made up, is read without complaint, and the model answers for a
droplet in vacuum.  What counts is therefore not the flag of periodicity, but whether atoms see images of others: a
molecule in a wide cell has none, and a slab has them in two directions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..structures import Batch

RECORD = "training_structures"
FEWEST_ATOMS = 24  # eight molecules of water: smaller clusters are looked at on purpose, and no liquid
STRESS = 9  # components of a label


def directions_with_images(batch: Batch, cutoff: float) -> int:
    """In how many directions atoms of the first bead are nearer to images of others than the cutoff.

    Parameters
    ----------
    batch : Batch
        With at least one bead and one atom.
    cutoff : float
        In Å.

    Returns
    -------
    int
        0 for what is not periodic, or has empty space on all sides, wherever the atoms stand in the cell.
    """
    if not batch.periodic.any():
        return 0
    dual = np.linalg.pinv(batch.cells[0][batch.periodic])  # of lower rank where not all directions are periodic
    heights = 1 / np.linalg.norm(dual, axis=0)
    places = np.sort(batch.positions[0] @ dual % 1.0, axis=0)
    gaps = np.diff(places, axis=0, append=places[:1] + 1.0).max(axis=0)
    return int(np.count_nonzero(gaps * heights < cutoff))


def record(batches: Iterable[Batch], cutoff: float) -> dict[str, Any]:
    """What the metadata keep of the structures of a training, one bead each."""
    found = [(directions_with_images(batch, cutoff), batch.atoms) for batch in batches]
    directions, atoms = zip(*found, strict=True) if found else ((0,), (0,))
    return {
        "frames": len(found),
        "directions_with_images": {"fewest": min(directions), "most": max(directions)},
        "atoms": {"fewest": min(atoms), "most": max(atoms)},
    }


def always_had_images(metadata: Any) -> bool:
    """Whether all structures of a training had images, as far as the metadata, whatever they are, tell.

    Models that were fitted before `record` was kept tell it by their errors: a stress in every frame needs a cell.
    """
    kept = metadata.get(RECORD) if isinstance(metadata, dict) else None
    if kept is not None:
        directions = kept.get("directions_with_images") if isinstance(kept, dict) else None
        fewest = directions.get("fewest") if isinstance(directions, dict) else None
        return isinstance(fewest, int) and fewest > 0
    try:
        files = list(metadata["errors"]["training"].values())
        stresses = [own["properties"]["stress"]["count"] == STRESS * own["frames"] for own in files]
    except (KeyError, TypeError, AttributeError):
        return False
    return bool(stresses) and all(stresses)


def what_is_missing(batch: Batch, cutoff: float) -> str:
    """What a structure has in place of the images that the training had; empty if nothing is to be said."""
    if batch.atoms < FEWEST_ATOMS or not batch.beads or directions_with_images(batch, cutoff):
        return ""
    return "its cell leaves empty space on all sides" if batch.periodic.any() else "it is not periodic"


def warning_of(missing: str, atoms: int, cutoff: float, source: str) -> str:
    """What is said of a structure without the images that all had in training.

    Parameters
    ----------
    missing : str
        What `what_is_missing` found.
    atoms : int
    cutoff : float
        In Å.
    source : str
        What the model is called; empty if nothing.
    """
    called = f"'{source}' " if source else ""
    return (
        f"model {called}was fitted to structures with periodic images, and this one of {atoms} atoms has none within "
        f"the cutoff of {cutoff:g} Å: {missing}; a droplet in vacuum is evaluated, so give a liquid or solid its cell"
    )
