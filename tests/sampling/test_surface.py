"""Surfaces of free energy over two variables: drawn samples of a density that is no product, weights, MBAR, files."""

import numpy as np
import pytest
from ase.units import kB
from beadwise.driver.commands.group import OneLineErrors
from beadwise.driver.commands.profile import profile
from beadwise.sampling import BiasedSeries, SamplingError, Window
from beadwise.sampling.surfaces.surface import cell_numbers, free_energy_surface
from click.testing import CliRunner

TEMPERATURE = 300.0
THERMAL = kB * TEMPERATURE
EDGES = (np.linspace(-1.5, 1.5, 13), np.linspace(-1.2, 1.2, 9))
FINE = np.linspace(-2.4, 2.4, 401)


def energy(x, y):
    """In k_B T: two wells on a bent path."""
    return 2.5 * (x**2 - 1) ** 2 + 3 * (y - 0.4 * x**2 + 0.3 * x) ** 2


def bias(x, y):
    return -1.5 * (x**2 - 1) ** 2 + 0.6 * x * y


def drawn(reduced, count, random, coarse=FINE):
    """Samples of exp(−u), uniform within the small cells of a grid."""
    step = coarse[1] - coarse[0]
    weights = np.exp(-reduced(*np.meshgrid(coarse, coarse, indexing="ij"))).ravel()
    places = random.choice(len(weights), count, p=weights / weights.sum())
    jitter = random.uniform(-step / 2, step / 2, (2, count))
    return coarse[places // len(coarse)] + jitter[0], coarse[places % len(coarse)] + jitter[1]


def exact(edges=EDGES):
    """−kT ln of the mean density of cells, the lowest at zero."""
    first, second = (np.linspace(own[:-1], own[1:], 22)[:-1] + (own[1] - own[0]) / 42 for own in edges)
    density = np.exp(-energy(first.T[:, None, :, None], second.T[None, :, None, :])).mean(axis=(2, 3))
    return -THERMAL * np.log(density / density.max())


def off(surface):
    known = np.isfinite(surface.standard_error) & (exact() < 6 * THERMAL)
    assert known.sum() > 40
    shift = np.average((surface.free_energy - exact())[known], weights=surface.standard_error[known] ** -2.0)
    return (surface.free_energy - exact() - shift)[known] / surface.standard_error[known]


def test_a_biased_run_and_umbrella_windows_have_the_exact_surface():
    random = np.random.default_rng(4)
    x, y = drawn(lambda x, y: energy(x, y) + bias(x, y), 40_000, random)
    surface = free_energy_surface([BiasedSeries(x[:, None], bias(x, y))], [y[:, None]], EDGES, TEMPERATURE)
    assert surface.free_energy.shape == (12, 8) and np.nanmin(surface.free_energy) == 0
    assert 0.7 < np.sqrt(np.mean(np.square(off(surface)))) < 1.3
    areas = np.outer(*map(np.diff, EDGES))
    assert (surface.density * areas).sum() == pytest.approx(1)

    centres = [(-1, 0.6), (0, 0.2), (1, 0.2), (0, -0.4)]
    restraints = [lambda x, y, a=a, b=b: 3 * (x - a) ** 2 + 3 * (y - b) ** 2 for a, b in centres]
    windows, seconds = [], []
    for own in restraints:
        x, y = drawn(lambda x, y, own=own: energy(x, y) + own(x, y), 8000, random)
        biases = np.array([other(x, y) for other in restraints])
        windows.append(Window(x[:, None], biases, np.zeros(len(x))))
        seconds.append(y[:, None])
    pytest.importorskip("pymbar", reason="pymbar, which joins umbrella windows, is not installed")
    joined = free_energy_surface(windows, seconds, EDGES, TEMPERATURE)
    assert 0.6 < np.sqrt(np.mean(np.square(off(joined)))) < 1.4
    assert joined.notes["weights"] == "MBAR"


def test_cells_of_two_sizes_and_what_is_outside():
    edges = (np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 3.0]))
    first, second = np.array([[0.0, 3.0], [1.0, -1.0]]), np.array([[2.0, 3.0], [0.5, 0.5]])
    assert cell_numbers(first, second, edges).tolist() == [[1, 3], [2, -1]]
    random = np.random.default_rng(1)
    x, y = random.uniform(0, 3, (2, 20_000, 1))
    surface = free_energy_surface([BiasedSeries(x, np.zeros(len(x)))], [y], edges, TEMPERATURE)
    assert np.abs(surface.free_energy).max() < 0.06 * THERMAL  # a uniform density, whatever the sizes of cells
    with pytest.raises(SamplingError, match="shapes"):
        cell_numbers(first, second[:1], edges)
    with pytest.raises(SamplingError, match="no sample is inside the ranges; values go from"):
        free_energy_surface([BiasedSeries(x + 9, np.zeros(len(x)))], [y], edges, TEMPERATURE)


def test_a_colvar_file_on_the_command_line(tmp_path):
    random = np.random.default_rng(2)
    x, y = drawn(lambda x, y: energy(x, y) + bias(x, y), 4000, random)
    unit = THERMAL * 96.4853321  # kJ/mol
    rows = np.column_stack([np.arange(len(x)), x, y, bias(x, y) * unit])
    header = "#! FIELDS time s t metad.bias\n#! SET min_t -pi\n#! SET max_t pi\n"
    path = tmp_path / "COLVAR"
    path.write_text(header + "\n".join(" ".join(f"{own:.8f}" for own in row) for row in rows) + "\n")
    main = OneLineErrors(commands={"profile": profile})

    def run(*words):
        return CliRunner().invoke(main, ["profile", str(path), "--temperature", "300", "--bins", "10", *words])

    done = run("--second", "t", "--range=-1.5,1.5")
    assert done.exit_code == 0, done.output
    assert "jackknife over 16 blocks" in done.output and "lowest at (" in done.output
    table = (tmp_path / "COLVAR.surface.s.t.csv").read_text().splitlines()
    rows = [line for line in table if not line.startswith("#")]
    assert rows[0].startswith("s,t,") and "standard error (eV)" in rows[0] and len(rows) == 101
    seconds = [float(row.split(",")[1]) for row in rows[1:11]]
    assert seconds[0] == pytest.approx(-0.9 * np.pi, rel=1e-5)  # a periodic variable has the range of its period
    assert (tmp_path / "COLVAR.surface.s.t.png").read_bytes().startswith(b"\x89PNG")
    for words, said in (
        (("--second", "s"), "name two variables"), (("--second", "u"), "no column 'u'"),
        (("--second-range", "0,1"), "--second-range is for"),
        (("--second", "t", "--range", "7,8"), "no sample is inside"),
    ):  # fmt: skip
        refused = run(*words)
        assert refused.exit_code == 2 and said in refused.stderr, refused.output
