"""Hills: the plain sum, PLUMED's own numbers, quadrature, and ideal metadynamics with a known free energy."""

import os
from dataclasses import replace

import numpy as np
import pytest
from ase.units import kJ, mol
from beadwise.sampling import (
    BiasedSeries,
    Hills,
    SamplingError,
    bias_of_hills,
    profile_of_hills,
    reweighting_of_hills,
    series_profile,
)
from double_well import EDGES, TEMPERATURE, THERMAL_ENERGY, exact_free_energy, reduced_double_well
from plumed_here import needs_plumed
from scipy.integrate import simpson

BIAS_FACTOR = 8.0


def plain_bias(points, centres, widths, heights, periods, kernel):
    """One hill at one point after another."""
    bias = np.zeros(len(points))
    for number, point in enumerate(points):
        for centre, width, height in zip(centres, widths, heights, strict=True):
            distance = 0.0
            for s, c, w, period in zip(point, centre, width, periods, strict=True):
                nearest = (
                    min((abs(s - c + k * period) for k in range(-3, 4)), default=0) if period < np.inf else abs(s - c)
                )
                distance += nearest**2 / (2 * w**2)
            if distance < 6.25 and kernel == "gaussian":
                bias[number] += height * np.exp(-distance)
            elif distance < 6.25:
                bias[number] += height * (np.exp(-distance) - np.exp(-6.25)) / (1 - np.exp(-6.25))
    return bias


@pytest.mark.parametrize("kernel", ["gaussian", "stretched-gaussian"])
@pytest.mark.parametrize("periods", [None, [np.inf, 2 * np.pi], [3.0, np.inf]])
def test_bias_is_the_plain_sum(kernel, periods):
    random = np.random.default_rng(1)
    points, centres = random.uniform(-4, 4, size=(25, 2)), random.uniform(-3, 3, size=(40, 2))
    widths, heights = random.uniform(0.1, 0.8, size=(40, 2)), random.uniform(0.5, 2, size=40)
    received = bias_of_hills(points, centres, widths, heights, periods, kernel)
    expected = plain_bias(points, centres, widths, heights, periods or [np.inf] * 2, kernel)
    np.testing.assert_allclose(received, expected, atol=1e-12)


def wandering(samples, seed):
    """Positions between −1 and 1."""
    steps = np.cumsum(np.random.default_rng(seed).normal(size=samples) * 0.1)
    return np.abs((steps + 1) % 4 - 2) - 1


def plumed_biases(lines, positions):
    """The bias that PLUMED gives to one atom after another, in kJ/mol; its files lie in the current folder."""
    import plumed

    kernel = plumed.Plumed()
    for command, value in (("setMDEngine", "test"), ("setTimestep", 1.0), ("setNatoms", 1), ("setLogFile", os.devnull)):
        kernel.cmd(command, value)
    kernel.cmd("init")
    for line in lines:
        kernel.cmd("readInputLine", line)
    biases = []
    for step, position in enumerate(positions):
        bias = np.zeros(1)
        arrays = {
            "setMasses": np.ones(1),
            "setPositions": np.array([[position, 0.0, 0.0]]),
            "setForces": np.zeros((1, 3)),
            "setBox": np.zeros((3, 3)),
            "setVirial": np.zeros((3, 3)),
        }
        kernel.cmd("setStep", step)
        for command, array in arrays.items():
            kernel.cmd(command, array)
        kernel.cmd("calc")
        kernel.cmd("getBias", bias)
        biases.append(bias[0])
    kernel.finalize()
    return np.array(biases)


@needs_plumed
@pytest.mark.parametrize("factor", ["BIASFACTOR=8", ""])
def test_bias_is_that_of_plumed(tmp_path, monkeypatch, factor):
    monkeypatch.chdir(tmp_path)
    positions = wandering(1000, seed=2)
    metad = f"METAD ARG=p.x SIGMA=0.1 HEIGHT=1.0 PACE=10 TEMP=300 {factor} FILE=HILLS FMT=%24.16e"
    biases = plumed_biases(["p: POSITION ATOM=1 NOPBC", metad], positions)
    table = np.loadtxt("HILLS")
    hills = Hills(table[:, 1:2], table[:, 2:3], table[:, 3], TEMPERATURE, table[0, 4])
    assert hills.is_tempered == bool(factor)
    steps = table[:, 0].round().astype(int)
    for step in range(0, 1000, 37):
        before = steps < step
        bias = bias_of_hills(
            positions[step, None, None], hills.centres[before], hills.widths[before], hills.bias_heights[before]
        )
        assert bias[0] == pytest.approx(biases[step], abs=1e-9)


@needs_plumed
def test_weights_are_those_of_plumed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    metad = "METAD ARG=p.x SIGMA=0.1 HEIGHT=1.0 PACE=10 TEMP=300 BIASFACTOR=8 FILE=HILLS FMT=%24.16e CALC_RCT"
    grid = "GRID_MIN=-2 GRID_MAX=2 GRID_BIN=4000"
    lines = ["p: POSITION ATOM=1 NOPBC", f"m: {metad} {grid}", "PRINT ARG=m.bias,m.rct FILE=COLVAR FMT=%24.16e"]
    plumed_biases(lines, wandering(2000, seed=3))
    table, (_, biases, constants) = np.loadtxt("HILLS"), np.loadtxt("COLVAR").T
    steps = table[:, 0].round().astype(int)
    # the bias that is printed with a new hill is without it, and c(t) is with it
    expected = (biases[steps] - constants[steps - 1]) * kJ / mol / THERMAL_ENERGY
    hills = Hills(table[:, 1:2], table[:, 2:3], table[:, 3] * kJ / mol, TEMPERATURE, table[0, 4])
    received = reweighting_of_hills(hills, -2.0, 2.0)
    assert np.ptp(expected) > 3
    np.testing.assert_allclose(received, expected, atol=1e-3)  # PLUMED sums over its grid, both ends in full


def synthetic(count=300, seed=4, bias_factor=BIAS_FACTOR, **keywords):
    random = np.random.default_rng(seed)
    centres = random.uniform(-2, 2, size=(count, 1))
    heights = THERMAL_ENERGY * random.uniform(0.05, 0.3, size=count)
    widths = random.uniform(0.2, 0.25, size=(count, 1))
    return Hills(centres, widths, heights, TEMPERATURE, bias_factor, **keywords)


@pytest.mark.parametrize("bias_factor", [BIAS_FACTOR, 1.0, -1.0])
@pytest.mark.parametrize(("periods", "lowest", "highest"), [(None, -3.5, 3.5), (None, -1.0, 1.5), ([4.0], None, None)])
def test_weights_equal_quadrature(bias_factor, periods, lowest, highest):
    hills = synthetic(bias_factor=bias_factor, periods=periods)
    received = reweighting_of_hills(hills, lowest, highest)
    tempered = bias_factor > 1
    upper, lower = (8 / 7, 1 / 7) if tempered else (1.0, 0.0)
    heights = hills.heights * (7 / 8 if tempered else 1.0) / THERMAL_ENERGY
    low, high = (-2.0, 2.0) if lowest is None else (lowest, highest)
    points = np.linspace(low, high, 4001)
    for number in (0, 1, 7, 150, 299):
        earlier = hills.centres[:number], hills.widths[:number], heights[:number], periods
        bias = bias_of_hills(points[:, None], *earlier)
        constant = np.log(simpson(np.exp(upper * bias), x=points) / simpson(np.exp(lower * bias), x=points))
        expected = bias_of_hills(hills.centres[number, None], *earlier)[0] - constant
        assert received[number] == pytest.approx(expected, abs=2e-3)


def test_parts_of_the_hills_change_nothing(monkeypatch):
    whole = reweighting_of_hills(synthetic())
    biases = bias_of_hills(EDGES[:, None], synthetic().centres, synthetic().widths, synthetic().heights)
    monkeypatch.setattr("beadwise.sampling.hills.AT_ONCE", 1000)
    np.testing.assert_allclose(reweighting_of_hills(synthetic()), whole, atol=1e-12)
    again = bias_of_hills(EDGES[:, None], synthetic().centres, synthetic().widths, synthetic().heights)
    np.testing.assert_allclose(again, biases, atol=1e-12)


def ideal_metadynamics(count, bias_factor, height, seed):
    """Every hill is put at an exact sample of exp[−(u + βV)]."""
    random = np.random.default_rng(seed)
    grid = np.linspace(-2.0, 2.0, 801)
    reduced, bias = reduced_double_well(grid), np.zeros(801)
    centres, heights = np.empty(count), np.empty(count)
    for number in range(count):
        energy = reduced + bias
        integral = np.cumsum(np.exp(energy.min() - energy))
        centres[number] = np.interp(random.random() * integral[-1], integral, grid)
        tempered = bias_factor < np.inf
        heights[number] = height * (
            np.exp(-np.interp(centres[number], grid, bias) / (bias_factor - 1)) if tempered else 1
        )
        bias += bias_of_hills(grid[:, None], [[centres[number]]], [[0.1]], heights[number : number + 1])
    factor = bias_factor / (bias_factor - 1) if bias_factor < np.inf else 1.0
    written = bias_factor if bias_factor < np.inf else 1.0
    widths = np.full((count, 1), 0.1)
    return Hills(centres[:, None], widths, heights * factor * THERMAL_ENERGY, TEMPERATURE, written)


@pytest.mark.parametrize(("bias_factor", "height"), [(6.0, 0.3), (np.inf, 0.02)])
def test_ideal_metadynamics_gives_the_free_energy(bias_factor, height):
    hills = ideal_metadynamics(4000, bias_factor, height, seed=5)
    exact = exact_free_energy()
    profile = profile_of_hills(hills, EDGES)
    inside = exact - exact.min() < 4 * THERMAL_ENERGY
    deviations = profile.free_energy - exact
    deviations = (deviations - deviations[inside].mean())[inside]
    assert np.abs(deviations).max() < 0.35 * THERMAL_ENERGY
    assert profile.beads == 1
    assert "sum of 4000 hills" in profile.notes["estimator"]
    # the centres as weighted samples; the first are of a bias that still grows fast
    samples = BiasedSeries(hills.centres[500:], reweighting_of_hills(hills, -2.0, 2.0)[500:])
    reweighted = series_profile([samples], EDGES, TEMPERATURE)
    deviations = (-THERMAL_ENERGY * np.log(reweighted.density) - exact)[inside] / reweighted.standard_error[inside]
    assert np.sqrt(np.mean(deviations**2)) < 1.8


def test_average_of_hills_is_the_mean_of_later_biases():
    hills = synthetic(count=40)
    edges = np.linspace(-1.0, 1.0, 6)
    profile = profile_of_hills(hills, edges, blocks=8, discarded=0.25)
    later = [
        -bias_of_hills(profile.coordinate[:, None], hills.centres[:end], hills.widths[:end], hills.heights[:end])
        for end in range(11, 41)
    ]
    mean = np.mean(later, axis=0)
    np.testing.assert_allclose(profile.free_energy, mean - mean.min(), atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: replace(synthetic(), heights=np.zeros(3)), r"heights \(3,\)"),
        (lambda: replace(synthetic(2), widths=np.zeros((2, 1))), "width 0"),
        (lambda: replace(synthetic(2), heights=np.array([1, np.nan])), "finite"),
        (lambda: synthetic(0), "no hill"),
        (lambda: synthetic(kernel="triangular"), "'triangular'; stretched-gaussian and gaussian are known"),
        (lambda: synthetic(bias_factor=0.5), "bias factor is 0.5"),
        (lambda: replace(synthetic(), temperature=0.0), "temperature is 0.0 K"),
        (lambda: bias_of_hills([[0.0, 1.0]], [[0.0]], [[1.0]], [1.0]), r"\(points, 1\)"),
        (lambda: bias_of_hills([[0.0]], [[0.0]], [[1.0]], [1.0], [1.0, 2.0]), "periods"),
        (lambda: reweighting_of_hills(Hills(np.zeros((3, 2)), np.ones((3, 2)), np.ones(3), 300, 8)), "2 variables"),
        (lambda: reweighting_of_hills(synthetic(), 1.0, -1.0), "from 1 to -1"),
        (lambda: profile_of_hills(synthetic(), EDGES, discarded=1.0), "discarded part is 1.0"),
        (lambda: profile_of_hills(synthetic(10), EDGES), "10 samples"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(SamplingError, match=message):
        call()
