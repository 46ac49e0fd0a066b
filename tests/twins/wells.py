"""Polar crystals whose permittivity is known, as evaluators: ``wells:crystal`` on the command line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from beadwise.model import Batch, Response
from scipy import integrate

COULOMB = 14.3996454784255  # eV·Å
EDGE = 2.5  # Å, of a cell with one atom


class Crystal:
    """Atoms at the points of a cubic lattice, each of a charge in a harmonic well of its own.

    The dipole is that of displacements; the polarizability one number for each volume.
    """

    species = (1,)
    properties = ("energy", "forces", "virial", "dipole", "polarizability")

    def __init__(
        self,
        charge: float = 0.12,
        stiffness: float = 3.0,
        polarizability: float = 0.5,
        field: Sequence[float] = (0.0, 0.0, 0.0),
    ):
        self.charge, self.stiffness, self.polarizability = charge, stiffness, polarizability
        self.field = np.array(field)  # V/Å

    def in_field(self, electric_field: Sequence[float]) -> Crystal:
        return Crystal(self.charge, self.stiffness, self.polarizability, electric_field)

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        moved = batch.positions - sites(batch.atoms)
        arrays = {
            "energy": 0.5 * self.stiffness * np.square(moved).sum((1, 2))
            - self.charge * moved.sum(axis=1) @ self.field,
            "forces": -self.stiffness * moved + self.charge * self.field,
            "virial": np.zeros((batch.beads, 3, 3)),
            "dipole": self.charge * moved.sum(axis=1),
            "polarizability": np.tile(batch.atoms * self.polarizability * np.eye(3), (batch.beads, 1, 1)),
        }
        return Response(**{name: arrays[name] for name in want})

    @property
    def permittivity(self) -> float:
        """Exact at every temperature and for every number of beads."""
        electrons = 4 * np.pi * self.polarizability / EDGE**3
        return 1 + electrons + 4 * np.pi * COULOMB * self.charge**2 / (self.stiffness * EDGE**3)


def sites(atoms: int) -> np.ndarray:
    """Points of the lattice, shape (atoms, 3), in Å."""
    edge = round(atoms ** (1 / 3))
    return EDGE * np.stack(np.meshgrid(*[np.arange(edge)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)


def crystal() -> Crystal:
    return Crystal()


# double wells that are coupled to all others: energy Σ (a x²/2 + b x⁴/4) − (J/2N)(Σ x)², in eV and Å
A, B, J = -0.6, 4.0, 0.5


def moments_of_wells(count: int, kt: float) -> tuple[float, float]:
    """⟨(Σ x/N)²⟩ and ⟨(Σ x/N)⁴⟩ by a Gaussian integral over the field that acts on all wells.

    exp(J(Σx)²/2NkT) = ∫ exp(−N J m²/2kT + J m Σx/kT) dm; derivatives with respect to a further field are moments.
    """
    x = np.linspace(-2.5, 2.5, 4001)
    energy = A * x**2 / 2 + B * x**4 / 4

    def log_weight(m: np.ndarray) -> np.ndarray:
        exponents = (J * m[:, None] * x - energy) / kt
        top = exponents.max(axis=1)
        one = np.log(integrate.simpson(np.exp(exponents - top[:, None]), x=x, axis=1)) + top
        return -count * J * m**2 / (2 * kt) + count * one

    m = np.linspace(-2.0, 2.0, 8001)
    logs = log_weight(m)
    weights = np.exp(logs - logs.max())
    # m is Σx/N and a normal number of the variance kT/NJ
    second, fourth = (integrate.simpson(weights * m**n, x=m) / integrate.simpson(weights, x=m) for n in (2, 4))
    noise = kt / (count * J)
    square = second - noise
    return square, fourth - 6 * noise * square - 3 * noise**2


def sample_wells(count: int, kt: float, steps: int, random: np.random.Generator, copies: int = 1) -> np.ndarray:
    """Σ x/N of Langevin dynamics with the scheme BAOAB, shape (copies, steps), begun in both wells."""
    step, kept = 0.3, np.exp(-0.3)
    x = 0.3 * np.sign(random.normal(size=(copies, 1))) + 0.1 * random.normal(size=(copies, count))
    v = np.sqrt(kt) * random.normal(size=x.shape)
    found = np.empty((copies, steps))

    def force() -> np.ndarray:
        return -A * x - B * x**3 + J * x.mean(axis=1, keepdims=True)

    own = force()
    for number in range(steps):
        v += 0.5 * step * own
        x = x + 0.5 * step * v
        v = kept * v + np.sqrt(kt * (1 - kept**2)) * random.normal(size=x.shape)
        x = x + 0.5 * step * v
        own = force()
        v += 0.5 * step * own
        found[:, number] = x.mean(axis=1)
    return found
