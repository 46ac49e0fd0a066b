"""A smooth dipole and polarizability, written as other programs do."""

import numpy as np
from beadwise.driver.commands.group import main
from click.testing import CliRunner

SAMPLES = 1200
GIVEN = ["--timestep", "0.5", "--temperature", "300", "--volume", "1000", "--window", "60"]


def smooth(samples=SAMPLES, components=3, seed=0):
    """Sums of waves that share no period, shape (samples, components), of the size of one."""
    draws = np.random.default_rng(seed)
    time = 0.5 * np.arange(samples)[:, None, None]
    waves = np.sin(draws.uniform(0.05, 0.6, (12, components)) * time + draws.uniform(0, 6, (12, components)))
    return waves.mean(axis=1)


def tensors(samples=SAMPLES, seed=0):
    """Polarizabilities in Å³ with a large diagonal, shape (samples, 3, 3)."""
    parts = smooth(samples, 9, seed).reshape(samples, 3, 3)
    return 10 * np.eye(3) + parts + np.swapaxes(parts, 1, 2)


def table(path, *columns, header="", number="%.10e"):
    """Write columns of text."""
    np.savetxt(path, np.column_stack(columns), fmt=number, header=header, comments="")


def frames(path, dipole, comment="", cell=None, atoms="O 0 0 0\n"):
    """Write extended xyz; `comment` is formatted with the number of the frame, or is a function of it."""
    lattice = "" if cell is None else f'Lattice="{cell} 0 0 0 {cell} 0 0 0 {cell}" '
    with open(path, "w") as file:
        for number, moment in enumerate(dipole):
            own = comment(number) if callable(comment) else comment.format(number)
            file.write(f'{atoms.count(chr(10))}\n{lattice}Properties=species:S:1:pos:R:3 {own} dipole="')
            file.write(" ".join(f"{value:.12e}" for value in moment) + f'"\n{atoms}')


def invoke(kind, *arguments):
    result = CliRunner().invoke(main, ["spectrum", kind, *map(str, arguments)])
    return result.exit_code, result.output


def values(kind, folder, *arguments):
    """First column of a spectrum without its value at zero, or the dielectric constant."""
    if kind == "dielectric":
        given = "--optical-permittivity", 1.77, "--output", folder / "out"
        status, output = invoke(kind, *arguments, *given)
        assert status == 0, output
        return np.array([float(output.split()[3])])
    status, output = invoke(kind, *arguments, "--output", folder / "out")
    assert status == 0, output
    lines = [line for line in (folder / "out.csv").read_text().splitlines() if not line.startswith("#")]
    return np.array([[float(word) for word in line.split(",")] for line in lines[2:]])[:, 1]
