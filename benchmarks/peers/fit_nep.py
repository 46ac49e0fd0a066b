"""Train a NEP by its makers' PyTorch code, neppo, with the settings of the published NEP4 of water.

The schedule runs in processor time, so that it ends where it was told on a busy machine, too.
"""

from __future__ import annotations

from math import cos, pi
from time import process_time

import neppo.graph
import numpy as np
import torch
from ase import Atoms
from labelled import Record, energies, force_error, frames, options
from neppo import StructureContainer, write_model
from neppo.losses import EnergyLoss, ForceLoss, VirialLoss
from neppo.models import NEP, Descriptor
from neppo.prediction import predict
from vesin import ase_neighbor_list

PUBLISHED = {"radial_cutoff": 6.0, "angular_cutoff": 4.0, "n_max_radial": 9, "n_max_angular": 7}
PUBLISHED |= {"n_basis_radial": 9, "n_basis_angular": 7, "l_max_3b": 4, "l_max_4b": 2, "l_max_5b": 0}
NEURONS = 100


def pairs(quantities: str, structure: Atoms, cutoff: float) -> list[np.ndarray]:
    """What ASE's search finds, in a thirtieth of its time."""
    *indices, vectors = ase_neighbor_list(quantities, structure, cutoff)
    return [*(index.astype(np.int64) for index in indices), vectors]


def main() -> None:
    neppo.graph.neighbor_list = pairs
    chosen = options(__doc__, minutes=12.0, points=6, first_rate=1e-2, last_rate=1e-4, batch=1, seed=0)
    torch.set_num_threads(1)
    torch.manual_seed(chosen.seed)
    model = NEP(Descriptor(["O", "H"], **PUBLISHED), neurons=(NEURONS,))
    fitted, valid = frames(chosen.train), frames(chosen.valid)
    train = StructureContainer(model, fitted)
    with torch.no_grad():
        model.descriptor.q_scaler.copy_(train.get_q_scaler(model.descriptor))
        model.output_bias.fill_(-np.mean(energies(fitted) / [len(atoms) for atoms in fitted]))  # it is subtracted
    model.descriptor.q_scaler_is_fitted = True
    model.max_neighbors_radial, model.max_neighbors_angular = train.max_neighbors_radial, train.max_neighbors_angular
    batches = train.get_batches(chosen.batch, shuffle=True, seed=chosen.seed)
    loss = EnergyLoss(remove_shift=False) + ForceLoss() + 0.1 * VirialLoss()
    settings = PUBLISHED | {"neurons": NEURONS, "loss": repr(loss), "minutes": chosen.minutes, "batch": chosen.batch}
    settings |= {"rates": [chosen.first_rate, chosen.last_rate]}
    record = Record(chosen, settings, ("neppo", "torch", "calorine"), solved=False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=chosen.first_rate, weight_decay=0.0)
    rng, start, step, looks = np.random.default_rng(chosen.seed), process_time(), 0, 0
    order: list[int] = []
    while (gone := (process_time() - start) / (60 * chosen.minutes)) < 1.0:
        if gone >= (looks + 1) / chosen.points:
            looks += 1
            start += note(record, model, valid, step, chosen.folder)
        rate = chosen.last_rate + 0.5 * (chosen.first_rate - chosen.last_rate) * (1 + cos(pi * gone))
        optimizer.param_groups[0]["lr"] = rate
        order = order or list(rng.permutation(len(batches)))
        batch, targets = batches[order.pop()]
        optimizer.zero_grad()
        value, _ = loss(model(batch, create_graph=True), targets, model)
        value.backward()
        optimizer.step()
        step += 1
    note(record, model, valid, step, chosen.folder)


def note(record: Record, model: NEP, valid: list, step: int, folder) -> float:
    """Save the model and write its error; the processor time this took, s."""
    start = process_time()
    write_model(model, folder / "nep.txt")
    error = force_error(valid[::4], lambda atoms: predict(model, [atoms])[0].arrays["force_predicted"])
    record.note(steps=step, forces_of_each_fourth_frame=error)
    return process_time() - start


if __name__ == "__main__":
    main()
