"""What drifts in path-integral dynamics with a thermostat: rings of Morse oscillators like the O-H stretch of water.

python docs/pictures/conservation/morse_rings.py [TIMESTEP ...] [--beads P] [--friction LAMBDA] [--inner N ...]

The conserved quantity is the energy minus the heat of the thermostat, divided by the number of beads as i-PI does.  For
each step it is followed with both splittings of i-PI (BAOAB: B. Leimkuhler, C. Matthews, Appl. Math. Res. Express 2013,
34 (2013); OBABO: G. Bussi, M. Parrinello, Phys. Rev. E 75, 056707 (2007)), and three propagators of the free ring:
exact, Cayley's (R. Korol, N. Bou-Rabee, T. F. Miller III, J. Chem. Phys. 151, 124103 (2019)), and velocity Verlet with
two steps.

With --inner the thermostat of BAOAB acts once in N steps, as i-PI has it with multiple time steps: of an odd N in the
middle of the middle step, of an even one where a step has ended.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from ipi.utils.units import unit_to_internal

FS = float(unit_to_internal("time", "femtosecond", 1.0))
KELVIN = float(unit_to_internal("temperature", "kelvin", 1.0))
ELECTRONVOLT = float(unit_to_internal("energy", "electronvolt", 1.0))
DALTON = float(unit_to_internal("mass", "dalton", 1.0))
DEPTH = 116.09 * float(unit_to_internal("energy", "kilocal/mol", 1.0))  # of q-TIP4P/F
DECAY = 2.287 / float(unit_to_internal("length", "angstrom", 1.0))
MASS = 1.008 * 15.999 / (1.008 + 15.999) * DALTON
BONDS_PER_ATOM = 2 / 3
SKIPPED, BETWEEN = 150.0, 10.0  # fs


def force(x: np.ndarray) -> np.ndarray:
    decayed = np.exp(-DECAY * x)
    return -2 * DEPTH * DECAY * (1 - decayed) * decayed


def potential(x: np.ndarray) -> np.ndarray:
    return DEPTH * (1 - np.exp(-DECAY * x)) ** 2


def normal_modes(beads: int) -> np.ndarray:
    """Orthogonal matrix from beads to normal modes, those of equal frequency side by side at k and P - k."""
    places, modes = np.arange(beads), np.zeros((beads, beads))
    for mode in range(beads):
        turn = 2 * np.pi * places * mode / beads
        modes[mode] = np.cos(turn) if mode <= beads / 2 else np.sin(turn)
        modes[mode] /= np.linalg.norm(modes[mode])
    return modes


def free_ring(name: str, frequencies: np.ndarray, step: float) -> np.ndarray:
    """Matrices that move position and velocity of each mode, shape (modes, 2, 2)."""
    made = []
    for own in frequencies:
        half = (own * step / 2) ** 2
        if own == 0:
            made.append([[1.0, step], [0.0, 1.0]])
        elif name == "Cayley":
            made.append(np.array([[1 - half, step], [-(own**2) * step, 1 - half]]) / (1 + half))
        elif name == "exact":
            c, s = np.cos(own * step), np.sin(own * step)
            made.append([[c, s / own], [-own * s, c]])
        else:
            kick = np.array([[1, 0], [-(own**2) * step / 4, 1]])
            made.append(np.linalg.matrix_power(kick @ [[1, step / 2], [0, 1]] @ kick, 2))
    return np.array(made)


def drift(
    timestep: float, propagator: str, splitting: str, beads: int, friction: float, rings: int, length: float
) -> tuple[float, float]:
    """Slope of the conserved quantity and its standard error over the rings, in meV per atom and ps."""
    rng, step, thermal = np.random.default_rng(1), timestep * FS, 300 * KELVIN * beads
    frequencies = 2 * thermal * np.sin(np.arange(beads) * np.pi / beads)
    modes, parts = normal_modes(beads), 2 if splitting == "OBABO" else 1
    matrices = free_ring(propagator, frequencies, step * parts / 2)[:, :, :, None]
    kept = np.exp(-2 * friction * frequencies * step / parts)[:, None]
    width = np.sqrt((1 - kept**2) * thermal / MASS)
    stiffness = frequencies[:, None] ** 2 + 2 * DEPTH * DECAY**2 / MASS
    place = rng.normal(size=(beads, rings)) * np.sqrt(thermal / MASS / stiffness)
    velocity, heat = rng.normal(size=(beads, rings)) * np.sqrt(thermal / MASS), np.zeros(rings)
    times, values = [], []

    def kick() -> np.ndarray:
        return velocity + modes @ force(modes.T @ place) * step / (2 * MASS)

    def move() -> tuple[np.ndarray, np.ndarray]:
        return tuple(matrices[:, row, 0] * place + matrices[:, row, 1] * velocity for row in (0, 1))

    def thermostat() -> np.ndarray:
        after = kept * velocity + width * rng.normal(size=velocity.shape)
        heat[:] += MASS * (np.square(after) - np.square(velocity)).sum(axis=0) / 2
        return after

    for number in range(round(1000 * length / timestep)):
        if splitting == "OBABO":
            velocity = thermostat()
            velocity = kick()
            place, velocity = move()
            velocity = kick()
            velocity = thermostat()
        else:
            velocity = kick()
            place, velocity = move()
            velocity = thermostat()
            place, velocity = move()
            velocity = kick()
        if number * timestep > SKIPPED and number % round(BETWEEN / timestep) == 0:
            springs = MASS * (np.square(velocity) + np.square(frequencies[:, None] * place)).sum(axis=0) / 2
            values.append(springs + potential(modes.T @ place).sum(axis=0) - heat)
            times.append(number * timestep / 1000)
    return slope(times, values, beads)


def drift_of_inner_steps(
    timestep: float, inner: int, beads: int, friction: float, rings: int, length: float
) -> tuple[float, float]:
    """The same where the thermostat acts once in the middle of so many inner steps, with Cayley's propagator."""
    rng, step, thermal = np.random.default_rng(1), timestep * FS, 300 * KELVIN * beads
    frequencies = 2 * thermal * np.sin(np.arange(beads) * np.pi / beads)
    modes, matrices = normal_modes(beads), free_ring("Cayley", frequencies, step / 2)[:, :, :, None]
    kept = np.exp(-2 * friction * frequencies * step * inner)[:, None]
    width = np.sqrt((1 - kept**2) * thermal / MASS)
    stiffness = frequencies[:, None] ** 2 + 2 * DEPTH * DECAY**2 / MASS
    place = rng.normal(size=(beads, rings)) * np.sqrt(thermal / MASS / stiffness)
    velocity, heat = rng.normal(size=(beads, rings)) * np.sqrt(thermal / MASS), np.zeros(rings)
    times, values = [], []

    def thermostat() -> np.ndarray:
        after = kept * velocity + width * rng.normal(size=velocity.shape)
        heat[:] += MASS * (np.square(after) - np.square(velocity)).sum(axis=0) / 2
        return after

    for number in range(1, round(1000 * length / timestep / inner) + 1):
        for own in range(inner):
            velocity = velocity + modes @ force(modes.T @ place) * step / (2 * MASS)
            for half in range(2):
                if half and 2 * own + 1 == inner:
                    velocity = thermostat()
                place, velocity = (matrices[:, row, 0] * place + matrices[:, row, 1] * velocity for row in (0, 1))
            velocity = velocity + modes @ force(modes.T @ place) * step / (2 * MASS)
            if 2 * own + 2 == inner:
                velocity = thermostat()
        if number * inner * timestep > SKIPPED:
            springs = MASS * (np.square(velocity) + np.square(frequencies[:, None] * place)).sum(axis=0) / 2
            values.append(springs + potential(modes.T @ place).sum(axis=0) - heat)
            times.append(number * inner * timestep / 1000)
    return slope(times, values, beads)


def slope(times: list[float], values: list[np.ndarray], beads: int) -> tuple[float, float]:
    """Mean over rings, and its standard error, in meV per atom and ps."""
    centred = np.array(times) - np.mean(times)
    slopes = centred @ np.array(values) / (centred @ centred) * 1000 / ELECTRONVOLT / beads * BONDS_PER_ATOM
    return float(slopes.mean()), float(slopes.std() / np.sqrt(len(slopes)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("timesteps", type=float, nargs="*", default=[0.5, 0.35, 0.25], help="in fs")
    parser.add_argument("--beads", type=int, default=8)
    parser.add_argument("--friction", type=float, default=0.5, help="lambda of PILE")
    parser.add_argument("--rings", type=int, default=3000)
    parser.add_argument("--ps", type=float, default=0.6)
    parser.add_argument("--inner", type=int, nargs="+", help="inner steps for each step of the thermostat")
    options = parser.parse_args()
    own = options.beads, options.friction, options.rings, options.ps
    for timestep in options.timesteps if options.inner else ():
        for inner in options.inner:
            value, error = drift_of_inner_steps(timestep, inner, *own)
            print(f"{inner} inner steps of {timestep:g} fs: {value:.3f} ± {error:.3f}", flush=True)
    for timestep in options.timesteps if not options.inner else ():
        for splitting in ("BAOAB", "OBABO"):
            for propagator in ("exact", "Cayley", "integrated"):
                began = time.monotonic()
                value, error = drift(timestep, propagator, splitting, *own)
                seconds = time.monotonic() - began
                print(
                    f"{splitting} {timestep:g} fs {propagator}: {value:.3f} ± {error:.3f} ({seconds:.0f} s)", flush=True
                )


if __name__ == "__main__":
    main()
