# What the kernel holds of heads and of a network, from the tuples that its docstring describes.  `owned` collects the
# arrays that are pointed to.  Included by kernel.pyx.


cdef Head make_head(const Basis& basis, int index, form, list owned) except *:
    cdef Head head
    cdef Block block
    cdef str name = f"head {index}"
    order, offset, linear, blocks = entries(name, form, ("lambda", "offset", "linear", "blocks"))
    head.lambda_ = whole(f"lambda of {name}", order, 0, min(LAMBDA_LIMIT, basis.l_max))
    head.offset = read(f"offset of {name}", offset, (basis.species,))
    head.linear = read(f"linear of {name}", linear, (basis.species, basis.channels()))
    owned += [offset, linear]
    if not isinstance(blocks, (list, tuple)):
        raise TypeError(f"blocks of {name} is {blocks!r}; it must be a list of tuples")
    for place, own in enumerate(blocks):
        block = make_block(basis, f"block {place} of {name}", head.lambda_, own, owned)
        if block.coupling.size():  # without one it adds nothing
            head.blocks.push_back(block)
    return head


cdef tuple entries(str name, given, tuple names):
    """The entries of a tuple, if there are as many as names."""
    if not isinstance(given, (tuple, list)) or len(given) != len(names):
        raise TypeError(f"{name} is not a tuple ({', '.join(names)})")
    return tuple(given)


cdef Block make_block(const Basis& basis, str name, int order, form, list owned) except *:
    cdef Block block
    l1, l2, symmetric, coupling, weights = entries(name, form, ("l1", "l2", "symmetric", "coupling", "weights"))
    block.l1 = whole(f"l1 of {name}", l1, 0, basis.l_max)
    block.l2 = whole(f"l2 of {name}", l2, abs(block.l1 - order), min(basis.l_max, block.l1 + order))
    block.symmetric = bool(symmetric)
    if block.symmetric and block.l1 != block.l2:
        raise ValueError(f"symmetric of {name} is True; it must be False for l1 = {l1} and l2 = {l2}")
    sizes = (2 * block.l1 + 1, 2 * block.l2 + 1, 2 * order + 1)
    array_of(f"coupling of {name}", coupling, cnp.NPY_DOUBLE, sizes)
    array_of(f"weights of {name}", weights, cnp.NPY_DOUBLE, (basis.species, basis.channels(), basis.channels()))
    if order == 0 and not np.allclose(coupling[:, :, 0], coupling[0, 0, 0] * np.eye(sizes[0]), rtol=1e-12, atol=1e-12):
        raise ValueError(f"coupling of {name} is not a multiple of the identity; that of a scalar must be")
    if block.symmetric:  # (m1, m2) and (m2, m1) give the same product
        coupling = coupling * (2 * np.triu(np.ones(sizes[:2])) - np.eye(sizes[0]))[:, :, None]
    for m1, m2, component in np.argwhere(np.abs(coupling) > 1e-12).tolist():
        block.m1.push_back(m1)
        block.m2.push_back(m2)
        block.component.push_back(component)
        block.coupling.push_back(coupling[m1, m2, component])
    by_right, by_left = np.ascontiguousarray(np.swapaxes(weights, 1, 2)), np.ascontiguousarray(weights)
    block.weights = read("weights", by_right, weights.shape)
    block.transposed = read("weights", by_left, weights.shape)
    owned += [by_right, by_left]
    return block


cdef Network make_network(const Basis& basis, form, list owned) except *:
    cdef Network network
    cdef DenseLayer layer
    skip, layers, final = entries("network", form, ("skip", "layers", "final"))
    kinds, channels = basis.species, basis.channels()
    features = channels + (basis.l_max + 1) * channels * (channels + 1) // 2
    inputs = -(-features // 8) * 8
    network.features = inputs
    network.skip = read("skip of network", skip, (kinds, inputs))
    if not isinstance(layers, (list, tuple)) or not layers:
        raise TypeError(f"layers of network is {layers!r}; it must be a list of at least one (weights, bias)")
    for index, own in enumerate(layers):
        name = f"layer {index} of network"
        weights, bias = entries(name, own, ("weights", "bias"))
        outputs = checked(f"weights of {name}", weights, cnp.NPY_DOUBLE, (kinds, inputs, "outputs")).shape[2]
        if outputs % 8 or outputs == 0:
            raise ValueError(f"weights of {name} has shape {weights.shape}; outputs must be a multiple of 8")
        layer.inputs, layer.outputs = inputs, outputs
        tiles = weights.reshape(kinds, inputs, outputs // 8, 8)
        tiled = np.ascontiguousarray(np.swapaxes(tiles, 1, 2))
        layer.weights = read(f"weights of {name}", tiled, (kinds, outputs // 8, inputs, 8))
        layer.bias = read(f"bias of {name}", bias, (kinds, outputs))
        network.layers.push_back(layer)
        owned += [tiled, bias]
        inputs = outputs
    network.final_weights = read("final of network", final, (kinds, inputs))
    owned += [skip, final]
    return network
