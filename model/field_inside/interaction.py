"""The dipole–dipole interaction of points and their images, by Ewald's sum in a conductor, or without images."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import erfc

from ...pyx.pairs import pairs_within
from ..errors import StructureError

WEIGHT = 1.5  # of the splitting: above 1 for fewer pairs and more waves, which cost less here


class DipoleInteraction:
    """T_ij = Σ_R (1/r³ − 3 r r/r⁵) with r = r_j − r_i + R, so that two dipoles have the energy p_i·T_ij·p_j.

    In a lattice it is Ewald's sum without the wave k = 0, which means a conductor around all (tin foil; de Leeuw,
    Perram, Smith, Proc. R. Soc. Lond. A 373, 27 (1980)); with ``B_0 = erfc(κr)/r`` and
    ``B_n = [(2n−1) B_(n−1) + (2κ²)^n e^(−κ²r²)/(κ√π)]/r²`` the near part is ``B_1 − B_2 r r``.  At short range 1/r³ may
    be damped as if both were smeared out (Thole, Chem. Phys. 59, 341 (1981)):
    1 − e^(−w) and 1 − (1 + w) e^(−w) for the two terms, w = (r/damping)³.

    Parameters
    ----------
    positions : ndarray of float64, shape (sites, 3)
        In Å.
    cell : ndarray of float64, shape (3, 3)
        Lattice vectors in Å, one per row.
    periodic : bool
        Whether there are images, in all three directions.
    damping : float
        Length in Å; 0 for none.
    accuracy : float
        What is left out of both sums, about, relative to the whole.
    splitting : float, optional
        κ in 1/Å; by default such that both sums cost about the same.

    Raises
    ------
    StructureError
        If two sites lie on each other.
    """

    def __init__(
        self,
        positions: np.ndarray,
        cell: np.ndarray,
        periodic: bool = True,
        damping: float = 0.0,
        accuracy: float = 1e-10,
        splitting: float | None = None,
    ):
        self.positions = np.ascontiguousarray(positions, dtype=np.float64)
        self.cell = np.ascontiguousarray(cell, dtype=np.float64)
        self.periodic, self.damping = periodic, damping
        self.volume = abs(float(np.linalg.det(self.cell))) if periodic else math.inf
        self._depth = math.sqrt(-math.log(accuracy))
        self._kappa = self._splitting(splitting) if periodic else 0.0
        self._find_pairs()
        self.waves, self._weights = self._find_waves()
        phases = self.positions @ self.waves.T
        self._cosines, self._sines = np.cos(phases), np.sin(phases)

    @property
    def sites(self) -> int:
        """Number of sites."""
        return len(self.positions)

    def _splitting(self, given: float | None) -> float:
        if given is not None:
            return given
        return WEIGHT * math.sqrt(math.pi) * (max(self.sites, 1) / self.volume**2) ** (1 / 6)

    def _find_pairs(self) -> None:
        """Pairs within the reach of the near part, each both ways, and its functions B_1, B_2, B_3."""
        if self.periodic:
            # e^(−w) of the damping may reach farther than Ewald's near part, and knows nothing of κ
            reach = max(self._depth / self._kappa, self.damping * self._depth ** (2 / 3))
        else:
            span = np.ptp(self.positions, axis=0) if self.sites else np.zeros(3)
            reach = 1.001 * float(np.linalg.norm(span)) + 1.0
        self._first, self._second, self._between = pairs_within(self.positions, self.cell, [self.periodic] * 3, reach)
        square = np.square(self._between).sum(axis=1)
        if len(square) and square.min() < 1e-12:
            pair = int(np.argmin(square))
            raise StructureError(
                f"polarizable sites {self._first[pair]} and {self._second[pair]} lie on each other; they must be apart"
            )
        self._radial = self._near_functions(square)

    def _near_functions(self, square: np.ndarray) -> list[np.ndarray]:
        distance = np.sqrt(square)
        kappa = self._kappa
        functions = [erfc(kappa * distance) / distance]
        gauss = np.exp(-(kappa**2) * square) / (kappa * math.sqrt(math.pi)) if kappa else np.zeros_like(square)
        for n in (1, 2, 3):
            functions.append(((2 * n - 1) * functions[-1] + (2 * kappa**2) ** n * gauss) / square)
        if self.damping:
            w = (distance / self.damping) ** 3
            faded = np.exp(-w)
            functions[1] = functions[1] - faded / distance**3
            functions[2] = functions[2] - 3 * (1 + w) * faded / distance**5
            functions[3] = functions[3] - (15 * (1 + w) + 9 * w**2) * faded / distance**7
        return functions

    def _find_waves(self) -> tuple[np.ndarray, np.ndarray]:
        """Half of all waves that count, and 4π e^(−k²/4κ²)/(V k²) of both a wave and its opposite."""
        if not self.periodic:
            return np.zeros((0, 3)), np.zeros(0)
        highest = 2 * self._kappa * self._depth
        dual = 2 * np.pi * np.linalg.inv(self.cell).T
        most = np.ceil(highest * np.linalg.norm(self.cell, axis=1) / (2 * np.pi)).astype(int)
        grid = np.stack(np.meshgrid(*(np.arange(-m, m + 1) for m in most), indexing="ij"), axis=-1).reshape(-1, 3)
        waves = grid[len(grid) // 2 + 1 :] @ dual  # opposite waves have places that add up to the middle
        square = np.square(waves).sum(axis=1)
        counts = square <= highest**2
        waves, square = waves[counts], square[counts]
        return waves, 8 * np.pi / self.volume * np.exp(-square / (4 * self._kappa**2)) / square

    @property
    def _own(self) -> float:
        """What the waves hold of a dipole with itself."""
        return 4 * self._kappa**3 / (3 * math.sqrt(math.pi))

    def near(self) -> np.ndarray:
        """The near part and what the waves hold of each dipole with itself, shape (3 sites, 3 sites)."""
        _, first, second, _ = self._radial
        r = self._between
        pair = first[:, None, None] * np.eye(3) - second[:, None, None] * r[:, :, None] * r[:, None, :]
        n = self.sites
        place = self._first.astype(np.int64) * n + self._second
        blocks = [np.bincount(place, pair[:, a, b], minlength=n * n).reshape(n, n) for a, b in np.ndindex(3, 3)]
        whole = np.stack(blocks).reshape(3, 3, n, n).transpose(2, 0, 3, 1).reshape(3 * n, 3 * n)
        return np.asarray(whole - self._own * np.eye(3 * n))

    def dense(self) -> np.ndarray:
        """T as a matrix, shape (3 sites, 3 sites), symmetric."""
        n = self.sites
        whole = self.near().reshape(n, 3, n, 3)
        for a in range(3):
            for b in range(a, 3):
                weight = self._weights * self.waves[:, a] * self.waves[:, b]
                block = (self._cosines * weight) @ self._cosines.T + (self._sines * weight) @ self._sines.T
                whole[:, a, :, b] += block
                if a != b:
                    whole[:, b, :, a] += block
        matrix = whole.reshape(3 * n, 3 * n)
        return 0.5 * (matrix + matrix.T)

    def apply(self, dipoles: np.ndarray) -> np.ndarray:
        """Σ_j T_ij p_j without the matrix, in time that grows with sites × waves.

        Parameters
        ----------
        dipoles : ndarray of float64, shape (sites, 3, columns)

        Returns
        -------
        ndarray of float64, same shape
        """
        _, first, second, _ = self._radial
        r = self._between
        own = dipoles[self._second]
        along = np.einsum("pa,pam->pm", r, own)
        pair = first[:, None, None] * own - (second[:, None] * along)[:, None, :] * r[:, :, None]
        total = -self._own * dipoles
        np.add.at(total, self._first, pair)
        cosine, sine = self._structure(dipoles)
        weighted = self._weights[:, None, None] * self.waves[:, :, None]
        shape = (len(self.waves), 3 * dipoles.shape[2])
        total += (
            self._cosines @ (weighted * cosine[:, None]).reshape(shape)
            + self._sines @ (weighted * sine[:, None]).reshape(shape)
        ).reshape(dipoles.shape)
        return total

    def _structure(self, dipoles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Σ_i k·p_i cos k·r_i and the same with sines, each (waves, columns)."""
        flat = dipoles.reshape(self.sites, -1)
        shape = (len(self.waves), *dipoles.shape[1:])
        return (
            np.einsum("ka,kam->km", self.waves, (self._cosines.T @ flat).reshape(shape)),
            np.einsum("ka,kam->km", self.waves, (self._sines.T @ flat).reshape(shape)),
        )

    def derivatives(self, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives of Q = Σ_ij x_i·T_ij·y_j by the positions of the sites, and by strain, x and y being constant.

        Parameters
        ----------
        left, right : ndarray of float64, shape (sites, 3, columns)
            x and y; a column of one belongs to that of the other.

        Returns
        -------
        gradients : ndarray of float64, shape (columns, sites, 3)
        strains : ndarray of float64, shape (columns, 3, 3)
            ∂Q/∂ε of r_a → r_a + ε_ab r_b.
        """
        gradients, strains = self._near_derivatives(left, right)
        if self.periodic:
            self._add_waves(left, right, gradients, strains)
        return gradients, strains

    def _near_derivatives(self, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        _, _, second, third = self._radial
        r, x, y = self._between, left[self._first], right[self._second]
        along_x, along_y = np.einsum("pa,pam->pm", r, x), np.einsum("pa,pam->pm", r, y)
        scalar = third[:, None] * along_x * along_y - second[:, None] * np.einsum("pam,pam->pm", x, y)
        slope = scalar[:, None] * r[:, :, None]
        slope -= second[:, None, None] * (x * along_y[:, None] + y * along_x[:, None])
        gradients = np.zeros((self.sites, 3, left.shape[2]))
        np.add.at(gradients, self._second, slope)
        np.subtract.at(gradients, self._first, slope)
        return np.moveaxis(gradients, 2, 0).copy(), np.einsum("pam,pb->mab", slope, r)

    def _add_waves(self, left: np.ndarray, right: np.ndarray, gradients: np.ndarray, strains: np.ndarray) -> None:
        cosine_x, sine_x = self._structure(left)
        cosine_y, sine_y = self._structure(right)
        weight = self._weights[:, None]
        for own, cosine, sine in ((left, cosine_y, sine_y), (right, cosine_x, sine_x)):
            # ∂/∂r_i of k·x_i (cos k·r_i C + sin k·r_i S)
            for column in range(own.shape[2]):
                along = own[:, :, column] @ self.waves.T
                turned = self._cosines * (weight[:, 0] * sine[:, column])
                turned -= self._sines * (weight[:, 0] * cosine[:, column])
                gradients[column] += (along * turned) @ self.waves
        square = np.square(self.waves).sum(axis=1)
        energy = weight * (cosine_x * cosine_y + sine_x * sine_y)  # (waves, columns)
        radial = (1 / (2 * self._kappa**2) + 2 / square)[:, None] * energy
        strains += np.einsum("km,ka,kb->mab", radial, self.waves, self.waves)
        strains -= energy.sum(axis=0)[:, None, None] * np.eye(3)
        # k·x changes as k does while x stays: −k_a ε_ab x_b
        for own, cosine, sine in ((left, cosine_y, sine_y), (right, cosine_x, sine_x)):
            flat = own.reshape(self.sites, -1)
            shape = (len(self.waves), *own.shape[1:])
            vectors = (self._cosines.T @ flat).reshape(shape) * cosine[:, None]
            vectors += (self._sines.T @ flat).reshape(shape) * sine[:, None]
            strains -= np.einsum("k,ka,kbm->mab", self._weights, self.waves, vectors)
