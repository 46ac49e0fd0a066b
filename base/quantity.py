"""The one vocabulary: what a quantity is, from which heads, outputs, labels, units and extras of a model follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Annotated, Literal

import numpy as np

from .schema import about

SAMPLES = ("cell", "atom", "molecule")
HIGHEST_ORDER = 6  # λ that the kernel is compiled for
OPEN = -1  # length of an axis that each model tells, as the energies of a density of states
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Unit:
    """Powers of e, Å and eV; ``str`` writes it as it stands beside a number.

    What plain numbers are counted in, as ``ppm``, is `plain`; two units that differ in it alone measure the same.
    """

    charge: int = 0
    length: int = 0
    energy: int = 0
    plain: str = field(default="", compare=False)

    def __str__(self) -> str:
        if self.plain:
            return self.plain
        powers = {"e": self.charge, "eV": self.energy, "Å": self.length}
        above, below = (
            "·".join(
                name + (str(abs(power)).translate(SUPERSCRIPTS) if abs(power) > 1 else "")
                for name, power in powers.items()
                if sign * power > 0
            )
            for sign in (1, -1)
        )
        return f"{above or '1'}/{below}" if below else above

    def per_length(self) -> Unit:
        """The unit of a derivative by positions."""
        return Unit(self.charge, self.length - 1, self.energy)


@dataclass(frozen=True)
class Irrep:
    """Components that rotate as real spherical harmonics of one order.

    Parameters
    ----------
    order : int
        λ.
    parity : int
        1 for a tensor, which inversion multiplies by (−1)^λ; −1 for a pseudotensor, with −(−1)^λ.
    count : int
        How many of them, of one name: the values of a spectrum are ``Irrep(0, count=50)``.
    name : str
        Of the heads in a model file, behind the name of the quantity; by default that of the quantity alone where it
        has one irrep, else λ, with ``odd`` for a pseudotensor.
    """

    order: int
    parity: int = 1
    count: int = 1
    name: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.order <= HIGHEST_ORDER or self.parity not in (1, -1) or self.count < 1:
            raise ValueError(
                f"an irrep of λ = {self.order}, parity {self.parity} and count {self.count}; allowed are λ from 0 to "
                f"{HIGHEST_ORDER}, 1 and -1, and at least 1"
            )
        if self.order == 0 and self.parity == -1:
            raise ValueError("a pseudoscalar, λ = 0 and parity -1: two densities of one atom do not make one")

    @property
    def components(self) -> int:
        """Numbers of one sample."""
        return (2 * self.order + 1) * self.count


@dataclass(frozen=True)
class Form:
    """Cartesian form of components, and its inverse.

    Parameters
    ----------
    irreps : tuple of Irrep
        In the order of the components.
    shape : tuple of int
        Of one sample; ``(OPEN,)`` where each model tells how many values there are, whose `Layout` has the form.
    cartesian : callable
        From components (…, components) to (…, axes of one sample).
    components : callable
        Its inverse.
    axes : tuple of str
        A label for each value that is independent of the others, as ``xx``, in their order; by default their numbers.
    independent : tuple of tuple of int
        Where these stand in one sample; empty if all are independent, in C order.
    """

    irreps: tuple[Irrep, ...]
    shape: tuple[int, ...]
    cartesian: Callable[[np.ndarray], np.ndarray]
    components: Callable[[np.ndarray], np.ndarray]
    axes: tuple[str, ...] = ()
    independent: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        if self.is_open:
            return
        values = len(self.independent) or self.size
        if not self.axes:
            object.__setattr__(self, "axes", tuple(map(str, range(values))))
        if len(self.axes) != values:
            raise ValueError(f"{len(self.axes)} labels of axes for a form of {values} independent values")

    @property
    def is_open(self) -> bool:
        """Whether each model tells how many values one sample has."""
        return self.shape == (OPEN,)

    @property
    def size(self) -> int:
        """Numbers of one sample in Cartesian form; `OPEN` where each model tells."""
        return prod(self.shape)

    def independent_values(self, values: np.ndarray) -> np.ndarray:
        """What is independent in samples (…, axes of one sample), on one last axis."""
        if not self.independent:
            return values.reshape(*values.shape[: values.ndim - len(self.shape)], self.size)
        return values[(..., *np.array(self.independent).T)]


@dataclass(frozen=True)
class CellMap:
    """What turns a sum of local contributions into the value of a periodic cell, as a local field does.

    Parameters
    ----------
    apply : callable
        ``apply(additive, volume)`` for samples (beads, *shape) and volumes (beads,) in Å³.
    invert : callable
        ``invert(value, volume)``.
    differentiate : callable
        ``differentiate(derivative, additive, volume)``, derivatives (beads, …, *shape), at constant volume.
    refuse : callable
        ``refuse(additive, volume)`` gives what is wrong with the first bead that cannot be mapped; empty if nothing.
    """

    apply: Callable[[np.ndarray, np.ndarray], np.ndarray]
    invert: Callable[[np.ndarray, np.ndarray], np.ndarray]
    differentiate: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    refuse: Callable[[np.ndarray, np.ndarray], str]


@dataclass(frozen=True)
class HeadSettings:
    """What every quantity's section of a fit has: highest angular momentum, ridge, and how the prior falls with it.

    The weights' expected variance falls as exp(−angular_decay (l1 + l2)), and as `radial_decay_of` says.
    """

    l_max: Annotated[
        int,
        about("Highest angular momentum that is used, at most that of the density.", ge=0, le=HIGHEST_ORDER),
    ] = 3
    ridge: Annotated[
        float,
        about(
            "Strength of the regularisation: variance of the noise over the variance that the features are expected to "
            "explain.",
            ge=0,
        ),
    ] = 1e-4
    angular_decay: Annotated[
        float,
        about(
            "How fast the expected variance of the weights falls with the angular momenta l and l′ of a feature: as "
            "exp(−angular_decay (l + l′)).",
            ge=0,
        ),
    ] = 0.5

    def radial_decay_of(self, irrep: Irrep) -> float:
        """The power of ((1 + n)(1 + n'))⁻¹ with which the variance of the weights of one irrep falls."""
        raise NotImplementedError


@dataclass(frozen=True)
class UniformSettings(HeadSettings):
    """`HeadSettings` with the same ``radial_decay`` for all irreps, and what labels of derivatives count."""

    radial_decay: Annotated[
        float,
        about(
            "How fast the expected variance of the weights falls with the numbers n and n′, from 0, of the radial "
            "functions of a feature: as ((1 + n)(1 + n′))^−radial_decay.",
            ge=0,
        ),
    ] = 0.0
    derivative_length: Annotated[
        float,
        about(
            "What labels of derivatives count, as Born charges for a dipole: an error of a derivative times this "
            "length weighs as much as an error of a value over the square root of the number of atoms; 0 leaves them "
            "out.",
            unit="Å",
            ge=0,
        ),
    ] = 0.1

    def radial_decay_of(self, irrep: Irrep) -> float:
        """The radial decay, whatever the irrep."""
        return self.radial_decay


@dataclass(frozen=True)
class Head:
    """One head of a model: its name, λ and parity, and where its components stand among those of its quantity."""

    name: str
    order: int
    parity: int
    place: slice
    irrep: Irrep = field(repr=False)


@dataclass(frozen=True)
class Quantity:
    """One thing that a model can be asked for, read from the density of every atom.

    Parameters
    ----------
    name : str
        In Python, in ``--want``, in the TOML of a fit, and, unless another is given, everywhere else.
    form : Form
    unit : Unit
    per : str
        ``cell``, a sum over its atoms, ``atom``, or ``molecule``, a sum over the atoms of each.
    extras, member_extras : str
        Keys in i-PI's extras, of the value and of what every member of a committee says; by default `name` and
        ``member_`` with it.
    label : str
        In extended xyz; by default `name`.
    cell_map : CellMap, optional
        Of a quantity per cell, where the fit asks for it.
    derivative, derivative_extras : str
        Name and key of the derivative by positions, with an axis of displacements (atoms, 3) before its own; by
        default ``…_derivatives``.  Only of a quantity per cell.
    is_molecular : bool
        Whether a quantity per cell has a part for each molecule too, ``molecular_…``, without any `cell_map`.
    settings : type of HeadSettings
        Its section of a fit, with its defaults.
    ase, derivative_ase : str
        Names of the value and of its derivative among the results of the ASE calculator; by default as here.
    aliases, derivative_aliases : tuple of str
        Other names of the label, and of that of the derivative, in the files of others; prefixes such as ``REF_`` and
        capital letters need not be listed.

    Raises
    ------
    ValueError
        If it is not a name, or its parts do not belong together.
    """

    name: str
    form: Form
    unit: Unit
    per: Literal["cell", "atom", "molecule"] = "cell"
    extras: str = ""
    member_extras: str = ""
    label: str = ""
    cell_map: CellMap | None = None
    derivative: str = ""
    derivative_extras: str = ""
    is_molecular: bool = False
    settings: type[HeadSettings] = UniformSettings
    ase: str = ""
    derivative_ase: str = ""
    aliases: tuple[str, ...] = ()
    derivative_aliases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.name != self.name.lower():
            raise ValueError(
                f"a quantity is called '{self.name}'; a name in lower case is needed, of letters, digits and _"
            )
        if self.per not in SAMPLES:
            raise ValueError(f"quantity '{self.name}' is per {self.per}; allowed are {', '.join(SAMPLES)}")
        if self.per != "cell" and (self.cell_map or self.derivative or self.is_molecular):
            raise ValueError(
                f"quantity '{self.name}' is per {self.per}; a map, derivatives and molecules need one per cell"
            )
        self._check_form()
        if (
            type(self.settings) is not type
            or not issubclass(self.settings, HeadSettings)
            or self.settings is HeadSettings
        ):
            raise ValueError(f"settings of '{self.name}' are {self.settings}; a class made from HeadSettings is needed")
        defaults = {
            "extras": self.name,
            "member_extras": f"member_{self.name}",
            "label": self.name,
            "derivative": f"{self.name}_derivatives" if self.per == "cell" else "",
            "ase": self.name,
        }
        for attribute, default in defaults.items():
            object.__setattr__(self, attribute, getattr(self, attribute) or default)
        for attribute in ("derivative_extras", "derivative_ase"):
            object.__setattr__(self, attribute, getattr(self, attribute) or self.derivative)

    def _check_form(self) -> None:
        """Refuse a form that does not fit its irreps, whose parts are no inverse, or whose heads have one name."""
        form, components = self.form, self.components
        parts = [self.part(irrep) for irrep in form.irreps]
        if len(set(parts)) < len(parts):
            raise ValueError(f"irreps of '{self.name}' make the heads {parts}; each needs a name of its own")
        probe = np.cos(np.arange(6.0 * components)).reshape(2, 3, components)  # derivatives have several axes in front
        try:
            cartesian = form.cartesian(probe)
            shape = (components,) if form.is_open else form.shape
            fits = cartesian.shape == (2, 3, *shape) and np.allclose(form.components(cartesian), probe, atol=1e-9)
        except (ValueError, IndexError, TypeError) as error:
            raise ValueError(f"the form of '{self.name}' cannot take {components} components: {error}") from error
        if not fits:
            raise ValueError(
                f"the form of '{self.name}' makes {cartesian.shape[2:]} of {components} components, for {form.shape}; "
                "its components must be the inverse of its Cartesian form"
            )

    @cached_property
    def heads(self) -> tuple[Head, ...]:
        """The heads that give its components, in their order."""
        heads, first = [], 0
        for irrep in self.form.irreps:
            name = self.part(irrep)
            for copy in range(irrep.count):
                own = name if irrep.count == 1 else f"{name}.{copy}"
                heads.append(Head(own, irrep.order, irrep.parity, slice(first, first + 2 * irrep.order + 1), irrep))
                first += 2 * irrep.order + 1
        return tuple(heads)

    def part(self, irrep: Irrep) -> str:
        """Name of an irrep's heads in a model file, and in what a fit says."""
        if irrep.name or len(self.form.irreps) == 1:
            return f"{self.name}_{irrep.name}" if irrep.name else self.name
        return f"{self.name}_{irrep.order}{'odd' if irrep.parity < 0 else ''}"

    @property
    def components(self) -> int:
        """Numbers of one sample, as irreps."""
        return sum(irrep.components for irrep in self.form.irreps)
