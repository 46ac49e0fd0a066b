"""A slow NumPy twin of the equivariant network, written from the formulas, and networks with random weights."""

import numpy as np
from beadwise.pyx.coupling import coupling


def natural_paths(l_max, orders, ordered=False):
    """(l1, l2, order) of natural parity; l1 ≤ l2 unless the factors differ."""
    return [
        (l1, l2, order)
        for order in orders
        for l1 in range(l_max + 1)
        for l2 in range(0 if ordered else l1, l_max + 1)
        if abs(l1 - l2) <= order <= l1 + l2 and (l1 + l2 + order) % 2 == 0
    ]


def random_layer(rng, kinds, inputs, channels, l_max, widths, scalars, tensors, orders=(1, 2)):
    """A layer in the form the kernel takes; scalars and tensors are indices of heads."""

    def normal(*shape):
        return rng.normal(size=shape)

    levels = l_max + 1
    features = channels * (1 + 3 * levels)
    three = [
        (*path, coupling(*path), normal(kinds, channels) / np.sqrt(levels))
        for path in natural_paths(l_max, range(levels))
    ]
    four = [
        (*path, coupling(*path), normal(kinds, channels) / np.sqrt(levels))
        for path in natural_paths(l_max, orders, ordered=True)
    ]
    hidden, width = [], features
    for outputs in widths:
        hidden.append((normal(kinds, width, outputs) / np.sqrt(width) / 2, normal(kinds, outputs)))
        width = outputs
    return (
        normal(kinds, levels, inputs, channels) / np.sqrt(inputs),
        three,
        normal(kinds, levels, channels, channels) / np.sqrt(channels),
        four,
        hidden,
        [(head, 0.01 * normal(kinds, features), normal(kinds, width)) for head in scalars],
        [(head, normal(kinds, 3 * channels), normal(kinds, width, 3 * channels) / width) for head in tensors],
    )


def rows(l):  # noqa: E741
    return slice(l * l, (l + 1) ** 2)


def product(paths, species, first, second):
    """Σ_paths w G(m1, m2, M) first_{l1 m1} second_{l2 m2}, channel by channel."""
    out = np.zeros_like(first)
    for l1, l2, order, g, weights in paths:
        out[rows(order)] += np.einsum("abM,ak,bk,k->Mk", g, first[rows(l1)], second[rows(l2)], weights[species])
    return out


def silu(x):
    return x / (1 + np.exp(-x))


def layer_values(layer, species, density):
    """What one atom's density gives: {head: components}, V = [A, B, Q] and the last hidden layer."""
    contraction, three, mixing, four, hidden, scalars, tensors = layer
    levels = contraction.shape[1]
    each = [rows(level) for level in range(levels)]
    a = np.concatenate([density[own] @ weights for own, weights in zip(each, contraction[species], strict=True)])
    p = product(three, species, a, a)
    b = np.concatenate([p[own] @ weights for own, weights in zip(each, mixing[species], strict=True)])
    q = product(four, species, b, a)
    invariants = [(x[own] * y[own]).sum(axis=0) for x, y in ((a, a), (b, a), (b, b)) for own in each]
    z = np.concatenate([a[0], *invariants])
    h = z
    for weights, bias in hidden:
        h = silu(h @ weights[species] + bias[species])
    channels = np.concatenate([a, b, q], axis=1)
    values = {head: skip[species] @ z + final[species] @ h for head, skip, final in scalars}
    return values, channels, h, tensors


def outputs(layer, species, density, heads):
    """All outputs of one atom, for heads given as their λ."""
    values, channels, h, tensors = layer_values(layer, species, density)
    found = [np.zeros(2 * order + 1) for order in heads]
    for head, value in values.items():
        found[head] += value
    for head, linear, gate in tensors:
        found[head] += channels[rows(heads[head])] @ (linear[species] + h @ gate[species])
    return np.concatenate(found)


def random_message(rng, kinds, radial, channels, width, l_max, l_sent, sent):
    """A message in the form the kernel takes."""

    def normal(*shape):
        return rng.normal(size=shape)

    send = [
        (
            normal(kinds, 3 * channels, sent) / np.sqrt(3 * channels) if order else None,
            normal(kinds, sent),
            normal(kinds, width, sent) / np.sqrt(width),
        )
        for order in range(l_sent + 1)
    ]
    paths = [
        (level, sent_order, order, coupling(level, sent_order, order), normal(kinds, sent) / np.sqrt(l_sent + 1))
        for level, sent_order, order in natural_paths(l_max, range(l_max + 1), ordered=True)
        if sent_order <= l_sent
    ]
    return normal(kinds, kinds, l_max + 1, radial, sent) / np.sqrt(radial), send, paths


def sent_features(message, species, channels, h):
    """s_LM of one atom from V = [A, B, Q] and the hidden layer."""
    _, send, _ = message
    features = []
    for order, (linear, bias, gate) in enumerate(send):
        gates = bias[species] + h @ gate[species]
        features.append(gates * (channels[rows(order)] @ linear[species]) if order else gates[None])
    return np.concatenate(features)


def network_outputs(network, species, densities, heads, edges):
    """All outputs of all atoms; edges are (centre, neighbour, radial functions, harmonics) of every neighbour."""
    (first, *others), message = network
    found = np.array([outputs(first, s, c, heads) for s, c in zip(species, densities, strict=True)])
    if message is None:
        return found
    (second,) = others
    radial, _, paths = message
    levels, size = radial.shape[2], first[0].shape[3]
    states = [layer_values(first, s, c)[1:3] for s, c in zip(species, densities, strict=True)]
    sent = [sent_features(message, s, *state) for s, state in zip(species, states, strict=True)]
    received = np.zeros((len(species), levels**2, *sent[0].shape))
    for i, j, values, harmonics in edges:
        rho = np.concatenate(
            [
                (values @ own)[None].repeat(2 * order + 1, axis=0)
                for order, own in enumerate(radial[species[i], species[j]])
            ]
        )
        received[i] += (harmonics[: levels**2, None] * rho)[:, None] * sent[j]
    for i, s in enumerate(species):
        coupled = np.zeros((levels**2, radial.shape[4]))
        for l1, l2, order, g, weights in paths:
            own = received[i, rows(l1), rows(l2)]
            coupled[rows(order)] += np.einsum("abM,abk,k->Mk", g, own, weights[s])
        inputs = np.concatenate([coupled, states[i][0][:, :size]], axis=1)
        found[i] += outputs(second, s, inputs, heads)
    return found
