"""Slow NumPy twins of the compiled kernel, written from the formulas."""

import numpy as np
from beadwise.pyx.coupling import coupling, real_harmonics


def neighbour_vectors(positions, cell, periodic, cutoff):
    """All (centre, neighbour, vector) within the cutoff, by brute force over images."""
    cell = np.array(cell, dtype=float)
    reach = [0, 0, 0]
    if any(periodic):
        full = cell.copy()
        for d in range(3):
            if not periodic[d]:
                others = [full[k] for k in range(3) if periodic[k]]
                full[d] = 0
                basis = np.linalg.svd(np.array(others))[2]
                full[d] = basis[len(others) + sum(not periodic[k] for k in range(d))]
        spacing = 1 / np.linalg.norm(np.linalg.inv(full), axis=0)
        fractional = positions @ np.linalg.inv(full)
        spread = np.ptp(fractional, axis=0)
        reach = [int(np.ceil(cutoff / spacing[d] + spread[d])) if periodic[d] else 0 for d in range(3)]
    found = []
    for i in range(len(positions)):
        for j in range(len(positions)):
            for a in range(-reach[0], reach[0] + 1):
                for b in range(-reach[1], reach[1] + 1):
                    for c in range(-reach[2], reach[2] + 1):
                        if i == j and a == b == c == 0:
                            continue
                        vector = positions[j] - positions[i] + a * cell[0] + b * cell[1] + c * cell[2]
                        if np.linalg.norm(vector) < cutoff:
                            found.append((i, j, vector))
    return found


def hermite(table, cutoff, distance):
    """Value and derivative of the splines of one pair of species: table (nodes, 2, …)."""
    intervals = table.shape[0] - 1
    step = cutoff / intervals
    k = min(int(distance / step), intervals - 1)
    t = distance / step - k
    (v0, d0), (v1, d1) = table[k], table[k + 1]
    value = (1 + 2 * t) * (1 - t) ** 2 * v0 + t * (1 - t) ** 2 * d0 + t * t * (3 - 2 * t) * v1 + t * t * (t - 1) * d1
    slope = (6 * t * t - 6 * t) * (v0 - v1) + (3 * t * t - 4 * t + 1) * d0 + (3 * t * t - 2 * t) * d1
    return value, slope / step


def density(species, positions, cell, periodic, table, cutoff, l_max, groups=None):
    """c[atom, lm, channel] by its definition."""
    kinds, radial = table.shape[0], table.shape[4]
    groups = range(kinds) if groups is None else groups
    total = np.zeros((len(species), (l_max + 1) ** 2, (max(groups) + 1) * radial))
    for i, j, vector in neighbour_vectors(positions, cell, periodic, cutoff):
        distance = np.linalg.norm(vector)
        value, _ = hermite(table[species[i], species[j]], cutoff, distance)
        harmonics = real_harmonics(vector[None] / distance, l_max)[0]
        channels = slice(groups[species[j]] * radial, (groups[species[j]] + 1) * radial)
        total[i, :, channels] += np.outer(harmonics, value)
    return total


def head_values(head, species, coefficients):
    """Components (atoms, 2λ+1) of one head from the density, by explicit sums."""
    order, offset, linear, blocks = head
    out = np.zeros((len(species), 2 * order + 1))
    for i, s in enumerate(species):
        c = coefficients[i]
        for component in range(2 * order + 1):
            out[i, component] = (offset[s] if order == 0 else 0) + linear[s] @ c[order**2 + component]
        for l1, l2, _, g, weights in blocks:
            first, second = c[l1**2 : (l1 + 1) ** 2], c[l2**2 : (l2 + 1) ** 2]
            out[i] += np.einsum("abM,ak,kq,bq->M", g, first, weights[s], second)
    return out


def random_head(rng, order, kinds, channels, pairs, scale=1.0, parity=1):
    """A head with random weights, in the form the kernel takes."""
    blocks = []
    for l1, l2 in pairs:
        weights = scale * rng.normal(size=(kinds, channels, channels))
        if l1 == l2:
            weights = weights + parity * np.swapaxes(weights, 1, 2)
        blocks.append((l1, l2, l1 == l2 and parity == 1, coupling(l1, l2, order), weights))
    offset, linear = rng.normal(size=kinds), rng.normal(size=(kinds, channels))
    if parity == -1:  # the density has no such components
        offset, linear = np.zeros(kinds), np.zeros((kinds, channels))
    return (order, offset, linear, blocks)


def random_table(rng, kinds, nodes, radial, cutoff):
    """Smooth random radial functions that vanish with their slope at the cutoff; derivatives are per grid step."""
    r = np.linspace(0, cutoff, nodes)
    fade = (1 + np.cos(np.pi * r / cutoff)) / 2
    slope_of_fade = -np.pi / cutoff * np.sin(np.pi * r / cutoff) / 2
    table = np.zeros((kinds, kinds, nodes, 2, radial))
    for a in range(kinds):
        for b in range(kinds):
            for n in range(radial):
                k, phase = rng.uniform(0.2, 2.0), rng.uniform(0, 6)
                table[a, b, :, 0, n] = fade * np.cos(k * r + phase)
                table[a, b, :, 1, n] = slope_of_fade * np.cos(k * r + phase) - fade * k * np.sin(k * r + phase)
    table[..., 1, :] *= cutoff / (nodes - 1)
    table[:, :, -1] = 0.0
    return table
