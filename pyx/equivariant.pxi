# What the kernel holds of an equivariant network, from the tuples that its docstring describes.  `owned` collects the
# arrays that are pointed to.  Included by kernel.pyx.

from .channel_products import Path, adjoint_list, forward_list, message_lists


cdef Equivariant make_equivariant(const Basis& basis, const vector[Head]& heads, form, list owned) except *:
    cdef Equivariant network
    cdef int count, inputs
    layers, message = entries("equivariant", form, ("layers", "message"))
    count = 1 if message is None else 2
    if len(listed("layers of equivariant", layers)) != count:
        raise ValueError(f"layers of equivariant has {len(layers)} entries; allowed are 1 without a message, 2 with one")
    network.layers.push_back(make_equivariant_layer(basis, heads, "layer 0 of equivariant", basis.channels(),
                                                    basis.l_max, layers[0], owned))
    if message is not None:
        network.messages.push_back(make_message(basis, network.layers[0], message, owned))
        inputs = network.messages[0].sent + network.layers[0].channels
        network.layers.push_back(make_equivariant_layer(basis, heads, "layer 1 of equivariant", inputs,
                                                        network.layers[0].l_max, layers[1], owned))
        if network.layers[1].l_max != network.layers[0].l_max:
            raise ValueError(f"contraction of layer 1 of equivariant has shape {layers[1][0].shape}; allowed are as many "
                             f"angular momenta as in layer 0, {network.layers[0].l_max + 1}")
    return network


cdef Message make_message(const Basis& basis, const EquivariantLayer& layer, form, list owned) except *:
    cdef Message message
    # without these types, Cython's own search for them does not end
    cdef object radial, send, paths, by_radial, by_sent, couplings, weights, forward, adjoint
    cdef tuple sizes
    cdef int order, kinds = basis.species, levels = layer.l_max + 1, channels = layer.channels
    radial, send, paths = entries("message of equivariant", form, ("radial", "send", "paths"))
    sizes = (kinds, kinds, levels, basis.radial, "sent")
    message.sent = checked("radial of the message", radial, cnp.NPY_DOUBLE, sizes).shape[4]
    if message.sent % 8 or message.sent == 0:
        raise ValueError(f"radial of the message has shape {radial.shape}; the channels sent must be a multiple of 8")
    message.l_max = layer.l_max
    by_radial = np.ascontiguousarray(np.swapaxes(radial, 2, 3))
    by_sent = np.ascontiguousarray(np.swapaxes(radial, 3, 4))
    message.radial = read("radial", by_radial, by_radial.shape)
    message.radial_transposed = read("radial", by_sent, by_sent.shape)
    owned += [by_radial, by_sent]
    if not 1 <= len(listed("send of the message", send)) <= levels:
        raise ValueError(f"send of the message has {len(send)} orders; allowed are 1 to {levels}")
    message.l_sent = len(send) - 1
    for order in range(len(send)):
        message.senders.push_back(make_sender(f"order {order} of send", layer, kinds, message.sent, send[order], owned))
    couplings, weights = checked_paths("paths of the message", kinds, message.sent, paths, layer.l_max, message.l_sent)
    weights_of(message.paths, weights, owned)
    forward, adjoint = message_lists(couplings, message.rows())
    message.paths.forward = as_bilinear(forward)
    message.paths.to_first = as_bilinear(adjoint)
    return message


cdef bint reads_any(const Equivariant& network, const vector[char]& heads):
    """Whether a network adds to any of some heads."""
    cdef size_t layer, index
    for layer in range(network.layers.size()):
        for index in range(network.layers[layer].scalars.size()):
            if heads[network.layers[layer].scalars[index].head]:
                return True
        for index in range(network.layers[layer].tensors.size()):
            if heads[network.layers[layer].tensors[index].head]:
                return True
    return False


cdef Sender make_sender(str name, const EquivariantLayer& layer, int kinds, int sent, form, list owned) except *:
    """What is sent of one order; without channels of their own it is of order 0, the gate alone."""
    cdef Sender sender
    linear, bias, gate = entries(name, form, ("linear", "bias", "gate"))
    sender.gate = make_dense(name, kinds, layer.width(), (gate, bias), owned, sent)
    sender.linear = NULL
    sender.linear_transposed = NULL
    if not name.startswith("order 0 "):
        sizes = (kinds, 3 * layer.channels, sent)
        sender.linear = read(f"linear of {name}", linear, sizes)
        transposed = np.ascontiguousarray(np.swapaxes(linear, 1, 2))
        sender.linear_transposed = read("linear", transposed, transposed.shape)
        owned += [linear, transposed]
    return sender


cdef EquivariantLayer make_equivariant_layer(const Basis& basis, const vector[Head]& heads, str name, int inputs,
                                             int highest, form, list owned) except *:
    cdef EquivariantLayer layer
    contraction, three, mixing, four, hidden, scalars, tensors = entries(
        name, form, ("contraction", "three", "mixing", "four", "hidden", "scalars", "tensors"))
    kinds = basis.species
    shape = checked(f"contraction of {name}", contraction, cnp.NPY_DOUBLE, (kinds, "l", inputs, "channels")).shape
    levels, channels = shape[1], shape[3]
    if not 1 <= levels <= highest + 1 or channels % 8 or channels == 0:
        raise ValueError(f"contraction of {name} has shape {contraction.shape}; allowed are 1 to {highest + 1} angular "
                         "momenta, and channels in multiples of 8")
    layer.inputs, layer.channels, layer.l_max = inputs, channels, levels - 1
    layer.features = channels * (1 + 3 * levels)
    layer.contraction = read(f"contraction of {name}", contraction, (kinds, levels, inputs, channels))
    layer.mixing = read(f"mixing of {name}", mixing, (kinds, levels, channels, channels))
    by_output, by_mixed = (np.ascontiguousarray(np.swapaxes(own, 2, 3)) for own in (contraction, mixing))
    layer.contraction_transposed = read("contraction", by_output, (kinds, levels, channels, inputs))
    layer.mixing_transposed = read("mixing", by_mixed, (kinds, levels, channels, channels))
    owned += [contraction, mixing, by_output, by_mixed]
    layer.three = make_product(f"three of {name}", kinds, layer.l_max, channels, True, three, owned)
    layer.four = make_product(f"four of {name}", kinds, layer.l_max, channels, False, four, owned)
    if not listed(f"hidden of {name}", hidden):
        raise ValueError(f"hidden of {name} is empty; at least one (weights, bias) is needed")
    width = layer.features
    for index, own in enumerate(hidden):
        layer.hidden.push_back(make_dense(f"hidden layer {index} of {name}", kinds, width, own, owned))
        width = layer.hidden.back().outputs
    read_scalars(layer, heads, kinds, name, scalars, owned)
    read_tensors(layer, heads, kinds, name, tensors, owned)
    return layer


cdef read_scalars(EquivariantLayer& layer, const vector[Head]& heads, int kinds, str name, forms, list owned):
    cdef ScalarReadout scalar
    for place, own in enumerate(listed(f"scalars of {name}", forms)):
        own_name = f"scalar {place} of {name}"
        index, skip, final = entries(own_name, own, ("head", "skip", "final"))
        scalar.head = whole(f"head of {own_name}", index, 0, heads.size() - 1)
        scalar.output = first_output(heads, scalar.head)
        if heads[scalar.head].lambda_ != 0:
            raise ValueError(f"head of {own_name} is {index}, of lambda {heads[scalar.head].lambda_}; it must be 0")
        scalar.skip = read(f"skip of {own_name}", skip, (kinds, layer.features))
        scalar.final_weights = read(f"final of {own_name}", final, (kinds, layer.width()))
        owned += [skip, final]
        layer.scalars.push_back(scalar)


cdef read_tensors(EquivariantLayer& layer, const vector[Head]& heads, int kinds, str name, forms, list owned):
    cdef TensorReadout tensor
    for place, own in enumerate(listed(f"tensors of {name}", forms)):
        own_name = f"tensor {place} of {name}"
        index, linear, gate = entries(own_name, own, ("head", "linear", "gate"))
        tensor.head = whole(f"head of {own_name}", index, 0, heads.size() - 1)
        tensor.output = first_output(heads, tensor.head)
        tensor.order = heads[tensor.head].lambda_
        if not 1 <= tensor.order <= layer.l_max:
            raise ValueError(f"head of {own_name} is {index}, of lambda {tensor.order}; allowed are 1 to {layer.l_max}")
        tensor.factors = make_dense(own_name, kinds, layer.width(), (gate, linear), owned, 3 * layer.channels)
        layer.tensors.push_back(tensor)


cdef listed(str name, given):
    """The same, if it is a list or a tuple."""
    if not isinstance(given, (list, tuple)):
        raise TypeError(f"{name} is {given!r:.80}; it must be a list of tuples")
    return given


cdef int first_output(const vector[Head]& heads, int index):
    """Where the components of a head begin among the outputs."""
    cdef int first = 0, before
    for before in range(index):
        first += heads[before].components()
    return first


cdef DenseLayer make_dense(str name, int kinds, int inputs, form, list owned, width="outputs") except *:
    """A dense layer whose weights stand in tiles for both directions."""
    cdef DenseLayer layer
    weights, bias = entries(name, form, ("weights", "bias"))
    outputs = checked(f"weights of {name}", weights, cnp.NPY_DOUBLE, (kinds, inputs, width)).shape[2]
    if outputs % 8 or outputs == 0:
        raise ValueError(f"weights of {name} has shape {weights.shape}; outputs must be a multiple of 8")
    tiles, transposed = tiled(weights), tiled(np.swapaxes(weights, 1, 2))
    layer.inputs, layer.outputs = inputs, outputs
    layer.weights = read(f"weights of {name}", tiles, (kinds, outputs // 8, inputs, 8))
    layer.transposed = read(f"weights of {name}", transposed, (kinds, inputs // 8, outputs, 8))
    layer.bias = read(f"bias of {name}", bias, (kinds, outputs))
    owned += [tiles, transposed, bias]
    return layer


def tiled(weights):
    """(species, inputs, outputs) as (species, outputs / 8, inputs, 8)."""
    kinds, inputs, outputs = weights.shape
    return np.ascontiguousarray(np.swapaxes(weights.reshape(kinds, inputs, outputs // 8, 8), 1, 2))


cdef Product make_product(str name, int kinds, int l_max, int channels, bint square, forms, list owned) except *:
    """A product of channels; `square` if both factors are the same."""
    cdef Product product
    paths, weights = checked_paths(name, kinds, channels, forms, l_max, l_max)
    weights_of(product, weights, owned)
    product.forward = as_bilinear(forward_list(paths, square))
    product.to_first = as_bilinear(adjoint_list(paths, square))
    if not square:
        product.to_second = as_bilinear(adjoint_list(paths, False, True))
    return product


cdef tuple checked_paths(str name, int kinds, int channels, forms, int l_max, int highest_second):
    """The paths of a product, and their weights (species, paths, channels)."""
    weights = np.zeros((kinds, len(listed(name, forms)), channels))
    paths = []
    for index, form in enumerate(forms):
        own = f"path {index} of {name}"
        l1, l2, order, coupling, of_path = entries(own, form, ("l1", "l2", "order", "coupling", "weights"))
        sizes = (whole(f"l1 of {own}", l1, 0, l_max), whole(f"l2 of {own}", l2, 0, highest_second),
                 whole(f"order of {own}", order, 0, l_max))
        checked(f"coupling of {own}", coupling, cnp.NPY_DOUBLE, tuple([2 * size + 1 for size in sizes]))
        weights[:, index] = checked(f"weights of {own}", of_path, cnp.NPY_DOUBLE, (kinds, channels))
        paths.append(Path(*sizes, coupling))
    return paths, weights


cdef weights_of(Product& product, weights, list owned):
    product.paths = weights.shape[1]
    product.weights = read("weights", weights, weights.shape)
    owned.append(weights)


cdef Bilinear as_bilinear(found) except *:
    cdef Bilinear made
    cdef Term term
    cdef Segment segment
    cdef Row row
    for term.first, term.second, term.coefficient in found.terms:
        made.terms.push_back(term)
    for segment.path, segment.end in found.segments:
        made.segments.push_back(segment)
    for row.row, row.end in found.rows:
        made.rows.push_back(row)
    return made
