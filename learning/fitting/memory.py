"""Memory that a fit needs, known from its configuration and the number of species before anything is fitted."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...properties.quantities import quantities
from ...pyx.feature_derivatives import BYTES_AT_A_TIME
from ...pyx.tensor_head import feature_sizes
from ...quantity import HeadSettings
from .bare_model import density_shape
from .configuration import Configuration, ConfigurationError, DensitySettings
from .least_squares import WAITING_BYTES
from .long_range.columns import bare_long_range

GIBIBYTE = 2**30
ENERGY_ROWS = 3  # copies of the derivatives of the features of one frame, raw and sorted and weighted
DERIVATIVE_BLOCKS = 4  # copies of the derivatives of some atoms, raw and sorted and chosen and weighted
CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


@dataclass(frozen=True)
class Need:
    """What one part of a quantity needs.

    Parameters
    ----------
    part : str
        Of a quantity, as its heads are called.
    features : int
        Weights of each head.
    species : int
        That have such weights.
    matrix : int
        Bytes of its normal equations.
    bytes : int
        In all, while it is fitted.
    """

    part: str
    features: int
    species: int
    matrix: int
    bytes: int


def needs(
    density: DensitySettings,
    sections: Mapping[str, HeadSettings | None],
    species: int,
    atoms: int,
    matrices: int = 2,
    long_range: int = 0,
    labelled: Mapping[str, int] | None = None,
) -> list[Need]:
    """What every part of some quantities needs, the largest first.

    Parameters
    ----------
    density : DensitySettings
    sections : mapping of str to HeadSettings or None
        Of quantities; None for the energy.
    species : int
    atoms : int
        Of the largest frame.
    matrices : int
        How many of the size of the normal equations there are at a time: they and what is solved.
    long_range : int
        Number of long-range features that the energy reads, too.
    labelled : mapping of str to int, optional
        Number of species with labels of quantities that only some have.
    """
    shape, found = density_shape(density, species), []
    for name, settings in sections.items():
        own = shape if settings is None else replace(shape, l_max=settings.l_max)
        kinds = (labelled or {}).get(name) or species
        for irrep in quantities()[name].form.irreps:
            features = kinds * sum(feature_sizes(irrep.order, own, irrep.parity))
            features += long_range if settings is None else 0
            matrix = 8 * features**2
            derivatives = DERIVATIVE_BLOCKS * BYTES_AT_A_TIME if getattr(settings, "derivative_length", 0) else 0
            rows = WAITING_BYTES + derivatives if settings else ENERGY_ROWS * 8 * (3 * atoms + 9) * 2 * features
            found.append(Need(quantities()[name].part(irrep), features, kinds, matrix, matrices * matrix + rows))
    return sorted(found, key=lambda need: -need.bytes)


def matrices_of(configuration: Configuration) -> int:
    """How many matrices of the size of the normal equations a fit has at a time."""
    committee = configuration.committee
    if committee is None:
        return 2
    return 3 if committee.kind == "last-layer" else committee.members + 2


def sections_of(configuration: Configuration) -> dict[str, HeadSettings | None]:
    """Settings of the quantities that are fitted; None for the energy."""
    energy: dict[str, HeadSettings | None] = {"energy": None} if configuration.energy is not None else {}
    return energy | dict(configuration.quantities)


def check_memory(
    configuration: Configuration, species: Sequence[int], atoms: int, labelled: Mapping[str, int] | None = None
) -> None:
    """Refuse a fit that needs more memory than there is; the arguments are those of `needs`.

    Raises
    ------
    ConfigurationError
        Naming the part, its size, and what makes it smaller.
    """
    there = available_memory()
    sections = sections_of(configuration)
    own = bare_long_range(configuration.lode, len(species), configuration.density.cutoff)
    far = own.weights.size if own is not None else 0
    matrices = matrices_of(configuration)
    for need in needs(configuration.density, sections, len(species), atoms, matrices, far, labelled):
        if there is not None and need.bytes > there:
            raise ConfigurationError(
                f"{description(need, configuration.density)}, and {size(there)} are there; use "
                "chemical_channels in [density], fewer radial functions or a lower l_max"
            )


def description(need: Need, density: DensitySettings) -> str:
    """What one part needs, for people."""
    kinds = f"{need.species} species" if need.species > 1 else "one species"
    return (
        f"the {need.part} head has {need.features} weights for {kinds} and {density.radial} radial functions: "
        f"{size(need.matrix)} of normal equations, {size(need.bytes)} in all"
    )


def memory_lines(
    density: DensitySettings, sections: Mapping[str, HeadSettings | None], species: int, atoms: int, matrices: int = 2,
    labelled: Mapping[str, int] | None = None,
) -> Iterator[str]:  # fmt: skip
    """The largest need of a fit, and whether it is there."""
    for need in needs(density, sections, species, atoms, matrices, labelled=labelled)[:1]:
        there = available_memory()
        lacks = there is not None and need.bytes > there
        yield f"{'warning: ' if lacks else ''}memory of a fit: {description(need, density)}" + (
            f"; {size(there)} are there" if there is not None else ""
        )


def size(count: int) -> str:
    """Bytes for people."""
    return f"{count / GIBIBYTE:.3g} GiB" if count >= GIBIBYTE / 10 else f"{max(1, round(count / 2**20))} MiB"


def available_memory() -> int | None:
    """Bytes that this process may still take, by its limits, its container and the machine; None if unknown."""
    return min((count for count in (_of_limits(), _of_container(), _of_machine()) if count is not None), default=None)


def _of_limits() -> int | None:
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return None
    try:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        used = 0
    return max(limit - used, 0)


def _of_container() -> int | None:
    for most, used in CGROUPS:
        try:
            return max(int(Path(most).read_text()) - int(Path(used).read_text()), 0)
        except (OSError, ValueError):  # another version of control groups, or "max"
            continue
    return None


def _of_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, ValueError, IndexError, StopIteration):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None
