# ruff: noqa: E741
"""A slow NumPy twin of the equivariant network, written from its formulas."""

import numpy as np
import twin
from beadwise.potentials.equivariant_network import four_body_paths, message_paths, three_body_paths
from beadwise.pyx.coupling import coupling, real_harmonics


def outputs(model, atoms):
    """What the network adds to each of its heads: by name, shape (atoms, 2 λ + 1)."""
    network, radial = model.equivariant, model.radial
    species = np.searchsorted(model.numbers, atoms.numbers)
    table = radial.spline_table(radial.radial)
    where = atoms.positions, atoms.cell.array, atoms.pbc
    density = twin.density(species, *where, table, radial.cutoff, model.l_max, model.groups)
    own = [features(network.layers[0], s, c) for s, c in zip(species, density, strict=True)]
    found = [(network.layers[0], own)]
    if network.message is not None:
        message, layer = network.message, network.layers[1]
        sent = [sent_features(network.message, s, *one) for s, one in zip(species, own, strict=True)]
        total = np.zeros((len(species), (message.l_max + 1) ** 2, (message.l_sent + 1) ** 2, message.sent))
        for i, j, vector in twin.neighbour_vectors(*where, radial.cutoff):
            distance = np.linalg.norm(vector)
            value, _ = twin.hermite(table[species[i], species[j]], radial.cutoff, distance)
            rho = np.einsum("lnk,n->lk", message.radial[species[i], species[j]], value)
            harmonics = real_harmonics(vector[None] / distance, message.l_max)[0]
            by_order = np.array([rho[l] for l in range(message.l_max + 1) for _ in range(2 * l + 1)])
            total[i] += np.einsum("a,ak,bk->abk", harmonics, by_order, sent[j])
        second = []
        for i, s in enumerate(species):
            heard = np.zeros(((message.l_max + 1) ** 2, message.sent))
            for weights, (l, L, order) in zip(
                message.paths[s], message_paths(message.l_max, message.l_sent), strict=True
            ):
                block = total[i, l * l : (l + 1) ** 2, L * L : (L + 1) ** 2]
                heard[order**2 : (order + 1) ** 2] += weights * np.einsum("abM,abk->Mk", coupling(l, L, order), block)
            inputs = np.concatenate([heard, own[i][0]], axis=1)
            second.append(features(layer, s, inputs))
        found.append((layer, second))
    added = {}
    for layer, atoms_features in found:
        for name, (skip, final) in layer.scalars.items():
            value = [[skip[s] @ z + final[s] @ h] for s, (_, _, _, z, h) in zip(species, atoms_features, strict=True)]
            added[name] = added.get(name, 0) + np.array(value)
        for name, (linear, gate) in layer.tensors.items():
            order = model.heads[name].order
            value = []
            for s, (A, B, Q, _, h) in zip(species, atoms_features, strict=True):
                all_channels = np.concatenate([A, B, Q], axis=1)[order**2 : (order + 1) ** 2]
                value.append(all_channels @ (linear[s] + h @ gate[s]))
            added[name] = added.get(name, 0) + np.array(value)
    return added


def features(layer, s, inputs):
    """A, B, Q, z and h of one atom of species s from its inputs (harmonics, inputs)."""
    harmonics, orders = (layer.l_max + 1) ** 2, range(layer.l_max + 1)
    A, P, B, Q = (np.zeros((harmonics, layer.channels)) for _ in range(4))
    for l in orders:
        block = slice(l * l, (l + 1) ** 2)
        A[block] = inputs[block] @ layer.contraction[s, l]
    for weights, path in zip(layer.three[s], three_body_paths(layer.l_max), strict=True):
        add_product(P, A, A, weights, path)
    for l in orders:
        block = slice(l * l, (l + 1) ** 2)
        B[block] = P[block] @ layer.mixing[s, l]
    for weights, path in zip(layer.four[s], four_body_paths(layer.l_max, layer.l_read), strict=True):
        add_product(Q, B, A, weights, path)
    squares = [
        np.sum(x[l * l : (l + 1) ** 2] * y[l * l : (l + 1) ** 2], axis=0)
        for x, y in ((A, A), (B, A), (B, B))
        for l in orders
    ]
    z = h = np.concatenate([A[0], *squares])
    for weights, bias in layer.hidden:
        h = h @ weights[s] + bias[s]
        h = h / (1 + np.exp(-h))
    return A, B, Q, z, h


def add_product(out, first, second, weights, path):
    """Add weights · [first_l1 ⊗ second_l2]_L."""
    l1, l2, order = path
    x, y = first[l1**2 : (l1 + 1) ** 2], second[l2**2 : (l2 + 1) ** 2]
    out[order**2 : (order + 1) ** 2] += weights * np.einsum("abM,ak,bk->Mk", coupling(l1, l2, order), x, y)


def sent_features(message, s, A, B, Q, z, h):
    """s_LM,k of one atom, shape ((l_sent + 1)², sent)."""
    channels = np.concatenate([A, B, Q], axis=1)
    sent = np.zeros(((message.l_sent + 1) ** 2, message.sent))
    for order in range(message.l_sent + 1):
        block, gate = slice(order**2, (order + 1) ** 2), message.bias[s, order] + h @ message.gate[s, order]
        sent[block] = gate * (channels[block] @ message.linear[s, order - 1] if order else 1.0)
    return sent
