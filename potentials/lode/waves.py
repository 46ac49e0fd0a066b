"""Expanded potentials of a crystal as a sum over waves, with their adjoints.

Around atom i the potential of all atoms of species b, V_b(r) = V⁻¹ Σ_k v(k) Σ_{j∈b} e^{ik·(r − r_j)}, has the
coefficients ``V⁻¹ Σ_k 4π v(k) Y_lm(k) J_nl(k) Re[i^l e^{ik·r_i} S_b(k)*]``, with J_nl(k) = ∫ r² R_nl(r) j_l(kr) dr and
the structure factors S_b = Σ_{j∈b} e^{ik·r_j} (Grisafi, Ceriotti, J. Chem. Phys. 151, 204105 (2019)).  All images of
an atom are in it, the atom itself, too; for p = 1 and 3 without k = 0: with a uniform background.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import gamma, pi

import numpy as np

from .power_law import bessel_integral, transform
from .settings import Expansion
from .solid_harmonics import solid_harmonics

SLICE = 2**21  # numbers of a phase table at a time
REMEMBERED = 2**19  # numbers of the columns of a cell, four times 4 MB, that are kept
MOST_WAVES = 5_000_000  # beyond, one evaluation takes minutes


def half_waves(cell: np.ndarray, longest: float) -> np.ndarray:
    """Wave vectors up to a length, one of k and −k, with k = 0 first.

    Parameters
    ----------
    cell : ndarray of float64, shape (3, 3)
        Lattice vectors in Å, one per row.
    longest : float
        In 1/Å.

    Returns
    -------
    ndarray of float64, shape (waves, 3)

    Raises
    ------
    ValueError
        If there are about more than `MOST_WAVES`.
    """
    volume = abs(np.linalg.det(cell))
    waves = volume * longest**3 / (12 * pi**2)  # half of 4π k³/3 over (2π)³/V
    if waves > MOST_WAVES:
        raise ValueError(
            f"a cell of {volume:.3g} Å³ has {waves:.3g} waves of long-range potentials; allowed are {MOST_WAVES:.0e}: "
            "a longer smearing or a smaller cell is needed"
        )
    most = np.floor(longest * np.linalg.norm(cell, axis=1) / (2 * pi)).astype(int)
    grid = np.stack(np.meshgrid(*(np.arange(-own, own + 1) for own in most), indexing="ij"), axis=-1).reshape(-1, 3)
    first = np.sign(grid[:, 0]) * 4 + np.sign(grid[:, 1]) * 2 + np.sign(grid[:, 2])
    grid = grid[first >= 0]
    grid = grid[np.argsort(np.abs(grid).sum(axis=1), kind="stable")]
    vectors = grid @ (2 * pi * np.linalg.inv(cell).T)
    return vectors[np.linalg.norm(vectors, axis=1) <= longest]


def transform_slope(wave: np.ndarray, exponent: int, smearing: float) -> np.ndarray:
    """Derivative of `power_law.transform` by k; zero at k = 0."""
    x = 0.5 * (smearing * wave) ** 2
    safe, wide = np.where(x > 0, x, 1.0), np.where(x > 0, wave, 1.0)
    s = (3 - exponent) / 2
    front = pi**1.5 * 2.0 ** (3 - exponent) / gamma(exponent / 2)
    # d/dk [k^(p−3) Γ(s, x)] = (p−3)/k · k^(p−3) Γ − k^(p−3) x^(s−1) e^−x σ²k
    steep = front * wide ** (exponent - 3) * safe ** (s - 1) * np.exp(-safe) * smearing**2 * wide
    return np.where(x > 0, (exponent - 3) / wide * transform(wave, exponent, smearing) - steep, 0.0)


def wave_columns(vectors: np.ndarray, expansion: Expansion) -> tuple[np.ndarray, np.ndarray]:
    """What a wave adds to each column, times the volume, and its gradient by k; both of k and −k together.

    Returns
    -------
    values : ndarray of float64, shape (waves, columns)
    gradients : ndarray of float64, shape (waves, columns, 3)
    """
    own = expansion
    wave = np.linalg.norm(vectors, axis=1)
    direction = vectors / np.where(wave > 0, wave, 1.0)[:, None]
    harmonics, slopes = solid_harmonics(vectors, own.l_max)
    weight = 4 * pi * np.where(wave > 0, 2.0, 1.0)
    values, gradients = [], []
    for exponent in own.exponents:
        v, dv = transform(wave, exponent, own.smearing), transform_slope(wave, exponent, own.smearing)
        for n in range(own.radial):
            for l in range(own.l_max + 1):  # noqa: E741
                g, dg = bessel_integral(wave, n, l, own.radius), bessel_slope(wave, n, l, own.radius)
                part = slice(l * l, (l + 1) ** 2)
                values.append((weight * v * g)[:, None] * harmonics[:, part])
                radial = (weight * (dv * g + v * dg))[:, None] * direction
                gradients.append(
                    radial[:, None] * harmonics[:, part, None] + (weight * v * g)[:, None, None] * slopes[:, part]
                )
    return np.concatenate(values, axis=1), np.concatenate(gradients, axis=1)


def bessel_slope(wave: np.ndarray, n: int, l: int, radius: float) -> np.ndarray:  # noqa: E741
    """Derivative of `power_law.bessel_integral` by k: d/dz [j_m/z^m] = −z j_(m+1)/z^(m+1) (DLMF 10.51.3)."""
    higher = bessel_integral(wave, n, l + 1, radius)  # 2^μ μ! a^(l+1) j_(m+1)/κ^(m+1)
    return -wave * radius * higher


@lru_cache(maxsize=1)
def _of_cell(expansion: Expansion, cell: bytes) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray] | None]:
    """Waves of a cell and, if they are few, `wave_columns` of all: beads and steps have the same cell as a rule."""
    vectors = half_waves(np.frombuffer(cell).reshape(3, 3), expansion.longest_wave)
    is_small = len(vectors) * expansion.columns <= REMEMBERED
    return vectors, wave_columns(vectors, expansion) if is_small else None


@dataclass(frozen=True)
class Waves:
    """Sums over the waves of one cell for atoms at some places.

    Parameters
    ----------
    expansion : Expansion
    cell : ndarray of float64, shape (3, 3)
    """

    expansion: Expansion
    cell: np.ndarray

    def potentials(self, positions: np.ndarray, species: np.ndarray, count: int) -> np.ndarray:
        """Coefficients around each atom of the potential of each species.

        Parameters
        ----------
        positions : ndarray of float64, shape (atoms, 3)
        species : ndarray of int, shape (atoms,)
        count : int
            Of species.

        Returns
        -------
        ndarray of float64, shape (atoms, species, columns)
        """
        out = np.zeros((len(positions), count, self.expansion.columns))
        for _, values, _, phases, factors in self._slices(positions, species, count):
            between = phases[:, :, None] * factors.conj()[:, None]  # (waves, atoms, species)
            out += np.einsum("kib,kc->ibc", between.real, values * self._real)
            out += np.einsum("kib,kc->ibc", between.imag, values * self._imaginary)
        return out

    def pull_back(
        self, positions: np.ndarray, species: np.ndarray, adjoints: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Gradient of Σ adjoint · coefficient.

        Parameters
        ----------
        positions, species
            As of `potentials`.
        adjoints : ndarray of float64, shape (atoms, species, columns)

        Returns
        -------
        gradient : ndarray of float64, shape (atoms, 3)
            By positions.
        strain : ndarray of float64, shape (3, 3)
            By ε, which takes positions and lattice vectors to (1 + ε) of them.
        """
        gradient, strain = np.zeros((len(positions), 3)), np.zeros((3, 3))
        count, total = adjoints.shape[1], 0.0
        for vectors, values, slopes, phases, factors in self._slices(positions, species, count):
            weights = np.einsum("ibc,kc->kib", adjoints, values * self._real)
            weights = weights - 1j * np.einsum("ibc,kc->kib", adjoints, values * self._imaginary)
            own = (weights * factors.conj()[:, None]).sum(axis=2) * phases
            others = np.einsum("kib,ki->kb", weights, phases)
            gradient += np.einsum("ki,kx->ix", -own.imag, vectors)
            seen = others[:, species] * phases.conj()
            gradient += np.einsum("ki,kx->ix", seen.imag, vectors)
            total += float(own.real.sum())
            between = phases[:, :, None] * factors.conj()[:, None]
            by_column = np.einsum("ibc,kib->kc", adjoints, between.real) * self._real
            by_column += np.einsum("ibc,kib->kc", adjoints, between.imag) * self._imaginary
            strain -= np.einsum("kb,kc,kca->ba", vectors, by_column, slopes)
        return gradient, strain - total * np.eye(3)

    def pairs(self, positions: np.ndarray, with_strain: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same for each pair of atoms: what is around i of j and all its images.

        Returns
        -------
        values : ndarray of float64, shape (atoms, atoms, columns)
        gradients : ndarray of float64, shape (atoms, atoms, columns, 3)
            By the position of i, that of j fixed.
        strains : ndarray of float64, shape (atoms, atoms, columns, 3, 3)
        """
        atoms, columns = len(positions), self.expansion.columns
        first, second = np.triu_indices(atoms)
        parts = 13 if with_strain else 4  # of each column: value, gradient, strain
        found = np.zeros((len(first), columns, parts))
        is_real = self._real != 0
        for vectors, own, slopes, phases, _ in self._slices(positions, np.zeros(atoms, int), atoms):
            between = phases[:, first] * phases[:, second].conj()
            value = own * (self._real + self._imaginary)
            # d/dr_i Re[z] = −k Im[z], d/dr_i Im[z] = k Re[z]
            along = value[:, :, None] * vectors[:, None] * np.where(is_real, -1.0, 1.0)[:, None]
            still = [value[:, :, None]]
            if with_strain:
                bent = -vectors[:, None, :, None] * slopes[:, :, None, :]
                still.append((bent * (self._real + self._imaginary)[:, None, None]).reshape(*value.shape, 9))
            of_place = np.concatenate(still, axis=2)
            for part, mask in ((between.real, is_real), (between.imag, ~is_real)):
                turned = np.ascontiguousarray(part.T)
                with_value = turned @ of_place[:, mask].reshape(len(vectors), -1)
                with_slope = turned @ along[:, ~mask].reshape(len(vectors), -1)
                found[:, mask, :1] += with_value.reshape(len(first), mask.sum(), -1)[:, :, :1]
                found[:, mask, 4:] += with_value.reshape(len(first), mask.sum(), -1)[:, :, 1:]
                found[:, ~mask, 1:4] += with_slope.reshape(len(first), (~mask).sum(), 3)
        whole = np.zeros((atoms, atoms, columns, parts))
        parity = np.where(is_real, 1.0, -1.0)[:, None]
        signs = np.where((np.arange(parts) > 0) & (np.arange(parts) < 4), -1.0, 1.0)
        whole[second, first] = found * parity * signs
        whole[first, second] = found
        values, gradients = whole[..., 0], whole[..., 1:4]
        if not with_strain:
            return values, gradients, np.zeros((atoms, atoms, columns, 0, 0))
        strains = whole[..., 4:].reshape(atoms, atoms, columns, 3, 3)
        return values, gradients, strains - values[..., None, None] * np.eye(3)

    @property
    def _real(self) -> np.ndarray:
        """Real part of i^l for each column, over the volume."""
        return np.array([1.0, 0.0, -1.0, 0.0])[self.expansion.angular % 4] / abs(np.linalg.det(self.cell))

    @property
    def _imaginary(self) -> np.ndarray:
        """Factor of the imaginary part of what i^l multiplies: Re[i z] = −Im z."""
        return np.array([0.0, -1.0, 0.0, 1.0])[self.expansion.angular % 4] / abs(np.linalg.det(self.cell))

    def _slices(self, positions: np.ndarray, species: np.ndarray, count: int):  # type: ignore[no-untyped-def]
        """Waves some at a time: vectors, columns, their gradients, phases of atoms, structure factors of species."""
        vectors, kept = _of_cell(self.expansion, np.asarray(self.cell, dtype=np.float64).tobytes())
        members = np.eye(count)[species]
        step = max(1, SLICE // max(1, len(positions) * count))
        for first in range(0, len(vectors), step):
            part = slice(first, first + step)
            own = vectors[part]
            values, slopes = wave_columns(own, self.expansion) if kept is None else (kept[0][part], kept[1][part])
            phases = np.exp(1j * (own @ positions.T))
            yield own, values, slopes, phases, phases @ members
