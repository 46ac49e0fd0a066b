"""Energies, vectors and tensors of products of a few learned channels of every atom's density, and of messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..pyx.coupling import coupling, pairs
from ..pyx.tensor_head import DensityShape
from ..short_repr import short_repr
from .padding import LANES, padded, whole

Sizes = tuple[int, ...]
Path = tuple[int, int, int]  # angular momenta (l1, l2, L) of [x_l1 ⊗ y_l2]_L


def three_body_paths(l_max: int) -> list[Path]:
    """Paths (l1 ≤ l2) → L ≤ l_max of natural parity, by L."""
    return [(l1, l2, order) for order in range(l_max + 1) for l1, l2 in pairs(order, l_max)]


def four_body_paths(l_max: int, l_read: int) -> list[Path]:
    """Paths (l1, l2) → L of [B_l1 ⊗ A_l2]_L for the L = 1 … l_read that readouts and messages need."""
    return [
        path
        for order in range(1, l_read + 1)
        for l1, l2 in pairs(order, l_max)
        for path in dict.fromkeys([(l1, l2, order), (l2, l1, order)])
    ]


def message_paths(l_max: int, l_sent: int) -> list[Path]:
    """Paths (l, L) → Λ of [Y_l ⊗ s_L]_Λ of natural parity, L ≤ l_sent, all others ≤ l_max, by Λ."""
    return [
        (l, sent, order)
        for order in range(l_max + 1)
        for l in range(l_max + 1)  # noqa: E741
        for sent in range(l_sent + 1)
        if abs(l - sent) <= order <= l + sent and (l + sent + order) % 2 == 0
    ]


def number_of_scalars(l_max: int, channels: int) -> int:
    """How many invariants of one atom a layer makes: A_00, A·A, B·A and B·B."""
    return channels * (1 + 3 * (l_max + 1))


@dataclass(frozen=True, repr=False)
class EquivariantLayer:
    """Products of a few channels of one atom, up to five bodies, and what is read from them.

    With c the inputs (the density, or in a second layer messages and channels of the first), s the species of the atom:

    - ``A_lm,k = Σ_q W^s_l,qk c_lm,q``: channels, learned combinations of radial functions and neighbour species;
    - ``P_LM,k = Σ_(l1≤l2) w^s_path,k [A_l1,k ⊗ A_l2,k]_LM``, ``B_LM,k = Σ_k' U^s_L,k'k P_LM,k'``: three bodies;
    - ``Q_LM,k = Σ_(l1,l2) v^s_path,k [B_l1,k ⊗ A_l2,k]_LM``: four bodies, for the L that are read otherwise than in z;
    - ``z = (A_00,k | A_l·A_l | B_l·A_l | B_l·B_l)``, by (l, k): up to five bodies, plain sums over m;
    - ``h`` = dense layers of z with silu(x) = x/(1 + e^−x);
    - a scalar is ``skipᵀ z + finalᵀ h``; a tensor ``y_M = Σ_k (linear_k + Σ_h gate_hk h_h) V_LM,k``, V = (A | B | Q).

    Products of the density as a complete basis of many bodies: Drautz, Phys. Rev. B 99, 014104 (2019); Nigam,
    Pozdnyakov, Ceriotti, J. Chem. Phys. 153, 121101 (2020); in a few learned channels, one product for each: Batatia et
    al., NeurIPS 35, 11423 (2022).  Brackets are `beadwise.pyx.coupling.coupling`.

    Parameters
    ----------
    contraction : ndarray of float64, shape (species, l_max + 1, inputs, channels)
        W; channels are a multiple of 8.
    three : ndarray of float64, shape (species, paths, channels)
        w, by `three_body_paths`.
    mixing : ndarray of float64, shape (species, l_max + 1, channels, channels)
        U, from the third axis to the last.
    four : ndarray of float64, shape (species, paths, channels)
        v, by `four_body_paths`.
    l_read : int
        Highest L of Q; 0 if there is no Q.
    hidden : sequence of tuple (weights, bias)
        Of shapes (species, inputs, outputs) and (species, outputs); the first reads z.
    scalars : mapping of str to tuple (skip, final)
        By the names of heads with λ = 0; shapes (species, scalars) and (species, outputs of the last hidden layer).
    tensors : mapping of str to tuple (linear, gate)
        By the names of heads with λ ≥ 1; shapes (species, 3 channels) and (species, hidden, 3 channels).

    Raises
    ------
    ValueError
        If a shape does not fit, or a number is not finite.
    """

    contraction: np.ndarray
    three: np.ndarray
    mixing: np.ndarray
    four: np.ndarray
    l_read: int
    hidden: Sequence[tuple[np.ndarray, np.ndarray]]
    scalars: Mapping[str, tuple[np.ndarray, np.ndarray]]
    tensors: Mapping[str, tuple[np.ndarray, np.ndarray]]

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if self.contraction.ndim != 4 or self.channels % LANES or not self.channels:
            raise ValueError(
                f"contraction of an equivariant layer has shape {self.contraction.shape}; expected is (species, "
                f"l_max + 1, inputs, channels) with channels in multiples of {LANES}"
            )
        if not 0 <= self.l_read <= self.l_max:
            raise ValueError(f"l_read of an equivariant layer is {self.l_read}; allowed are 0 to {self.l_max}")
        species, own = self.species, self.channels
        if not self.hidden:
            raise ValueError("an equivariant layer has no hidden layers; it needs at least one")
        expected: dict[str, Sizes] = {
            "three": (species, len(three_body_paths(self.l_max)), own),
            "mixing": (species, self.l_max + 1, own, own),
            "four": (species, len(four_body_paths(self.l_max, self.l_read)), own),
        }
        check_shapes("an equivariant layer", {name: getattr(self, name) for name in expected}, expected)
        width = number_of_scalars(self.l_max, own)
        for index, (weights, bias) in enumerate(self.hidden):
            outputs = bias.shape[-1]
            of_layer = {f"weights of hidden layer {index}": weights, f"bias of hidden layer {index}": bias}
            check_shapes("an equivariant layer", of_layer, [(species, width, outputs), (species, outputs)])
            width = outputs
        scalars, channels = number_of_scalars(self.l_max, own), 3 * own
        for name, (skip, final) in self.scalars.items():
            arrays = {"skip": skip, "final": final}
            check_shapes(f"the scalar '{name}'", arrays, [(species, scalars), (species, width)])
        for name, (linear, gate) in self.tensors.items():
            arrays = {"linear": linear, "gate": gate}
            check_shapes(f"the tensor '{name}'", arrays, [(species, channels), (species, width, channels)])

    @property
    def species(self) -> int:
        """Number of species."""
        return self.contraction.shape[0]

    @property
    def l_max(self) -> int:
        """Highest angular momentum of the channels."""
        return self.contraction.shape[1] - 1

    @property
    def inputs(self) -> int:
        """Channels that are contracted."""
        return self.contraction.shape[2]

    @property
    def channels(self) -> int:
        """Channels of A, B and Q."""
        return self.contraction.shape[3]

    @property
    def widths(self) -> tuple[int, ...]:
        """Outputs of the hidden layers."""
        return tuple(bias.shape[1] for _, bias in self.hidden)

    def arrays(self) -> Iterator[np.ndarray]:
        """All weights."""
        yield from (self.contraction, self.three, self.mixing, self.four)
        for own in (*self.hidden, *self.scalars.values(), *self.tensors.values()):
            yield from own

    def of_lonely_atom(self, name: str) -> np.ndarray:
        """What a scalar is for an atom without neighbours, shape (species,)."""
        values = np.zeros((self.species, self.hidden[0][0].shape[1]))
        for weights, bias in self.hidden:
            values = np.einsum("si,sio->so", values, weights) + bias
            values = values / (1 + np.exp(-values))
        return np.einsum("so,so->s", values, self.scalars[name][1])

    def kernel_form(self, names: Sequence[str], inputs: int, places: np.ndarray) -> tuple:
        """(contraction, three, mixing, four, hidden, scalars, tensors) as `beadwise.pyx.kernel.Kernel` takes it.

        Parameters
        ----------
        names : sequence of str
            Heads of the kernel in their order.
        inputs : int
            Channels of the kernel, padded.
        places : ndarray of int, shape (inputs of the layer,)
            Where its inputs stand among these.
        """
        contraction = np.zeros((self.species, self.l_max + 1, inputs, self.channels))
        contraction[:, :, places] = self.contraction
        hidden = [(padded(w, *((1, 2) if index else (2,))), padded(b, 1)) for index, (w, b) in enumerate(self.hidden)]
        return (
            contraction,
            kernel_paths(three_body_paths(self.l_max), self.three),
            whole(self.mixing),
            kernel_paths(four_body_paths(self.l_max, self.l_read), self.four),
            hidden,
            [(names.index(name), whole(skip), padded(final, 1)) for name, (skip, final) in self.scalars.items()],
            [(names.index(name), whole(linear), padded(gate, 1)) for name, (linear, gate) in self.tensors.items()],
        )


@dataclass(frozen=True, repr=False)
class Message:
    """What every atom hears of the features of its neighbours.

    ``s_00,k = b_0k + Σ_h G_0hk h_h`` and ``s_LM,k = (b_Lk + Σ_h G_Lhk h_h) Σ_q M_L,qk V_LM,q`` are sent, V = (A | B |
    Q) and h of the first layer; ``T_i[lm, LM, k] = Σ_j ρ_l,k(r_ij) Y_lm(r̂_ij) s_j,LM,k`` are received, with ``ρ_l,k =
    Σ_n radial_l,nk R_n``, and coupled to ``A'_ΛM,k = Σ_(l,L) u_path,k [T]_ΛM,k`` (Batatia et al., NeurIPS 35, 11423
    (2022), with the coupling after the sum over neighbours).

    Parameters
    ----------
    radial : ndarray of float64, shape (species of the centre, species of the neighbour, l_max + 1, radial, sent)
        Sent channels are a multiple of 8.
    linear : ndarray of float64, shape (species, l_sent, 3 channels, sent)
        M for L = 1 … l_sent.
    bias : ndarray of float64, shape (species, l_sent + 1, sent)
        b.
    gate : ndarray of float64, shape (species, l_sent + 1, hidden, sent)
        G.
    paths : ndarray of float64, shape (species, paths, sent)
        u, by `message_paths`.

    Raises
    ------
    ValueError
        If a shape does not fit, or a number is not finite.
    """

    radial: np.ndarray
    linear: np.ndarray
    bias: np.ndarray
    gate: np.ndarray
    paths: np.ndarray

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if self.radial.ndim != 5 or self.linear.ndim != 4 or self.sent % LANES or not self.sent:
            raise ValueError(
                f"a message with radial weights {self.radial.shape} and linear weights {self.linear.shape}; expected "
                f"are (species, species, l_max + 1, radial, sent) and (species, l_sent, channels, sent), sent in "
                f"multiples of {LANES}"
            )
        species, sent = self.radial.shape[0], self.sent
        sizes: dict[str, Sizes] = {
            "radial": (species, species, *self.radial.shape[2:]),
            "linear": (species, self.l_sent, self.linear.shape[2], sent),
            "bias": (species, self.l_sent + 1, sent),
            "gate": (species, self.l_sent + 1, *self.gate.shape[2:3], sent),
            "paths": (species, len(message_paths(self.l_max, self.l_sent)), sent),
        }
        check_shapes("a message", {name: getattr(self, name) for name in sizes}, sizes)

    @property
    def l_max(self) -> int:
        """Highest angular momentum of the harmonics."""
        return self.radial.shape[2] - 1

    @property
    def l_sent(self) -> int:
        """Highest angular momentum of what is sent."""
        return self.linear.shape[1]

    @property
    def sent(self) -> int:
        """Channels that are sent."""
        return self.radial.shape[4]

    def arrays(self) -> Iterator[np.ndarray]:
        """All weights."""
        yield from (self.radial, self.linear, self.bias, self.gate, self.paths)

    def kernel_form(self, padded_radial: int) -> tuple:
        """(radial, send, paths) as `beadwise.pyx.kernel.Kernel` takes it."""
        radial = np.zeros((*self.radial.shape[:3], padded_radial, self.sent))
        radial[:, :, :, : self.radial.shape[3]] = self.radial
        send = [
            (whole(self.linear[:, order - 1]) if order else None, whole(self.bias[:, order]), padded(gate, 1))
            for order, gate in enumerate(np.moveaxis(self.gate, 1, 0))
        ]
        return radial, send, kernel_paths(message_paths(self.l_max, self.l_sent), self.paths)


@dataclass(frozen=True, repr=False)
class EquivariantNetwork:
    """A layer, or two with a message between them, that adds to the heads of a model: both layers' readouts are added.

    The second layer reads (A' of the message | A of the first layer).

    Parameters
    ----------
    shape : DensityShape
        Of the density that the first layer and the message read.
    layers : sequence of EquivariantLayer
        One, or two with a message.
    message : Message, optional

    Raises
    ------
    ValueError
        If the parts do not fit each other.
    """

    shape: DensityShape
    layers: Sequence[EquivariantLayer]
    message: Message | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if len(self.layers) != 1 + (self.message is not None):
            raise ValueError(
                f"{len(self.layers)} layers {'with' if self.message else 'without'} a message; allowed are one without "
                "and two with a message"
            )
        first, shape = self.layers[0], self.shape
        found = first.species, first.inputs
        if found != (shape.species, shape.channels) or first.l_max > shape.l_max:
            raise ValueError(f"an equivariant layer for {found} species and channels, l ≤ {first.l_max}; needs {shape}")
        if self.message is not None:
            self._check_message(self.message)

    def _check_message(self, message: Message) -> None:
        first, second = self.layers
        species = first.species
        received = message.radial.shape[:4], message.linear.shape[2], message.gate.shape[2]
        expected = (species, species, first.l_max + 1, self.shape.radial), 3 * first.channels, first.widths[-1]
        if received != expected or message.l_sent > first.l_read:
            raise ValueError(
                f"a message with radial weights, channels and hidden widths of {received}, l ≤ {message.l_sent}; "
                f"expected are {expected}, l ≤ {first.l_read}"
            )
        found = second.species, second.l_max, second.inputs
        if found != (species, message.l_max, message.sent + first.channels):
            raise ValueError(
                f"a second layer for species, l_max and inputs {found}; expected are "
                f"{(species, message.l_max, message.sent + first.channels)}"
            )

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the heads that it adds to."""
        return tuple(dict.fromkeys(name for layer in self.layers for name in (*layer.scalars, *layer.tensors)))

    @property
    def l_max(self) -> int:
        """Highest angular momentum of its channels."""
        return self.layers[0].l_max

    def arrays(self) -> Iterator[np.ndarray]:
        """All weights."""
        for layer in self.layers:
            yield from layer.arrays()
        if self.message:
            yield from self.message.arrays()

    def energies_of_isolated_atoms(self) -> np.ndarray:
        """What it says of the energy of an atom without neighbours, in eV, shape (species,)."""
        return sum((layer.of_lonely_atom("energy") for layer in self.layers), np.zeros(self.shape.species))

    def kernel_form(self, names: Sequence[str]) -> tuple:
        """(layers, message) as `beadwise.pyx.kernel.Kernel` takes it, for its heads in their order."""
        shape, first = self.shape, self.layers[0]
        layers = [first.kernel_form(names, shape.groups * shape.padded_radial, shape.padded_places)]
        for layer in self.layers[1:]:
            layers.append(layer.kernel_form(names, layer.inputs, np.arange(layer.inputs)))
        return layers, self.message.kernel_form(shape.padded_radial) if self.message else None


def check_shapes(what: str, arrays: Mapping[str, np.ndarray], expected: Mapping[str, Sizes] | Sequence[Sizes]) -> None:
    """Refuse arrays of other shapes, or with numbers that are not finite.

    Raises
    ------
    ValueError
        Naming the array.
    """
    sizes = expected.values() if isinstance(expected, Mapping) else expected
    for (name, array), shape in zip(arrays.items(), sizes, strict=True):
        if array.shape != shape:
            raise ValueError(f"{name} of {what} has shape {array.shape}; expected {shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} of {what} has numbers that are not finite")


def kernel_paths(paths: Sequence[Path], weights: np.ndarray) -> list[tuple]:
    """(l1, l2, L, coupling, weights (species, channels)) of every path."""
    return [(*path, coupling(*path), whole(weights[:, index])) for index, path in enumerate(paths)]
