"""Electrons at a temperature: formulas of Mermin from levels, closed forms, and the same from curves of a basis."""

import json
import re

import numpy as np
import pytest
from beadwise.properties.curves import EnergyCurves
from beadwise.properties.grand_potential import GrandPotential
from beadwise.properties.mermin import (
    BOLTZMANN,
    ElectronError,
    chemical_potential,
    electrons_below,
    electrons_of_levels,
    smeared,
    smearing_bias,
)
from places import SHARED

RNG = np.random.default_rng(7)
LEVELS, WEIGHTS, ELECTRONS = np.sort(RNG.normal(0, 3, 80)), np.full(80, 2.0), 81.3
ALUMINIUM = SHARED / "data" / "dos" / "aluminium" / "al4_lda_degauss0.005Ry.xyz"
RYDBERG = 13.605693122994


def slow(levels, weights, electrons, temperature):
    """A, S, C from the definitions, one level at a time."""
    mu, kt = chemical_potential(levels, weights, electrons, temperature), BOLTZMANN * temperature
    energy = entropy = zeroth = first = second = count = 0.0
    for level, weight in zip(levels, weights, strict=True):
        f = 1 / (1 + np.exp((level - mu) / kt))
        count += weight * f
        energy += weight * f * level
        if 0 < f < 1:
            entropy -= weight * (f * np.log(f) + (1 - f) * np.log(1 - f))
        q = weight * f * (1 - f)
        zeroth, first, second = zeroth + q, first + q * level, second + q * level**2
    return count, energy - kt * entropy, entropy, (second - first**2 / zeroth) / kt**2


@pytest.mark.parametrize("temperature", [300.0, 3000.0, 20000.0])
def test_levels_one_by_one(temperature):
    own = electrons_of_levels(LEVELS, WEIGHTS, ELECTRONS, temperature)
    count, free_energy, entropy, heat_capacity = slow(LEVELS, WEIGHTS, ELECTRONS, temperature)
    np.testing.assert_allclose(count, ELECTRONS, rtol=1e-13)
    np.testing.assert_allclose(own.free_energy, free_energy, rtol=1e-12)
    np.testing.assert_allclose([own.entropy, own.heat_capacity], [entropy, heat_capacity], rtol=1e-9)
    np.testing.assert_allclose(own.energy - BOLTZMANN * temperature * own.entropy, own.free_energy, rtol=1e-13)


def test_derivatives_of_the_free_energy():
    temperature, step = 6000.0, 1e-4
    own = electrons_of_levels(LEVELS, WEIGHTS, ELECTRONS, temperature)
    for place in (3, 40, 60):
        sides = []
        for sign in (1, -1):
            levels = LEVELS.copy()
            levels[place] += sign * step
            sides.append(electrons_of_levels(levels, WEIGHTS, ELECTRONS, temperature).free_energy)
        occupied = 2 / (1 + np.exp((LEVELS[place] - own.chemical_potential) / (BOLTZMANN * temperature)))
        np.testing.assert_allclose((sides[0] - sides[1]) / (2 * step), occupied, atol=1e-8)
    warm, cold = (electrons_of_levels(LEVELS, WEIGHTS, ELECTRONS, temperature + one) for one in (5.0, -5.0))
    np.testing.assert_allclose((warm.free_energy - cold.free_energy) / 10, -BOLTZMANN * own.entropy, rtol=1e-6)
    np.testing.assert_allclose((warm.energy - cold.energy) / 10, BOLTZMANN * own.heat_capacity, rtol=1e-5)


def test_a_shift_of_all_levels():
    own = electrons_of_levels(LEVELS, WEIGHTS, ELECTRONS, 3000.0)
    other = electrons_of_levels(LEVELS + 1.5, WEIGHTS, ELECTRONS, 3000.0)
    np.testing.assert_allclose(other.free_energy, own.free_energy + 1.5 * ELECTRONS, rtol=1e-13)
    np.testing.assert_allclose([other.entropy, other.heat_capacity], [own.entropy, own.heat_capacity], rtol=1e-9)


def test_a_grid_integrates_smeared_levels():
    width = 0.2
    energies = np.arange(LEVELS[0] - 7 * width, LEVELS[-1] + 7 * width, width / 2)
    curve = smeared(LEVELS, WEIGHTS, energies, width) * width / 2
    total = np.sum(WEIGHTS * (LEVELS**2 + width**2))
    np.testing.assert_allclose(curve.sum(), WEIGHTS.sum(), rtol=1e-12)
    np.testing.assert_allclose(curve @ energies, WEIGHTS @ LEVELS, rtol=0, atol=1e-11 * WEIGHTS.sum())
    np.testing.assert_allclose(curve @ energies**2, total, rtol=1e-12)
    fine = np.linspace(LEVELS[0] - 3, 0.4, 20001)
    below = np.trapezoid(smeared(LEVELS, WEIGHTS, fine, width), fine)
    np.testing.assert_allclose(electrons_below(LEVELS, WEIGHTS, 0.4, width), below, rtol=1e-7)


def test_constant_density():
    """(π²/6) g (kT)² and (π²/3) g k²T: Sommerfeld, Z. Phys. 47, 1 (1928)."""
    density, temperature = 1.7, 1000.0
    kt = BOLTZMANN * temperature
    step = kt / 8
    levels = (np.arange(-440, 440) + 0.5) * step
    weights = np.full(len(levels), density * step)
    own = electrons_of_levels(levels, weights, density * step * 440, temperature)
    rise, ground = np.pi**2 / 6 * density * kt**2, -0.5 * density * (440 * step) ** 2
    ground += density * step**2 / 24  # what the sum over levels adds at its lower end
    assert rise == pytest.approx(0.0207655, abs=5e-8)
    assert [own.entropy, own.heat_capacity] == pytest.approx([np.pi**2 / 3 * density * kt] * 2, rel=1e-9)
    assert own.energy - ground == pytest.approx(rise, rel=1e-9)
    assert own.free_energy - ground == pytest.approx(-rise, rel=1e-9)


@pytest.mark.parametrize(("temperature", "change"), [(1000.0, -0.000764), (5000.0, -0.01917)])
def test_free_electrons(temperature, change):
    energies = (np.arange(160000) + 0.5) * 1e-4
    weights = np.sqrt(energies) * 1e-4
    count = 2 / 3 * 8.0**1.5
    assert chemical_potential(energies, weights, count, temperature) - 8.0 == pytest.approx(change, abs=6e-6)


def frames_of_aluminium():
    text = ALUMINIUM.read_text(encoding="utf-8")
    for line in text.splitlines():
        if "kweights" not in line:
            continue
        levels = np.array(json.loads(re.search(r'eigenvalues="_JSON (\[\[.*?\]\])"', line)[1]))
        weights = np.array(re.search(r'kweights="([^"]+)"', line)[1].split(), dtype=float)
        said = [float(re.search(rf"{name}=(\S+)", line)[1]) for name in ("fermi", "minus_TS_ev")]
        yield levels, weights, *said


@pytest.mark.skipif(not ALUMINIUM.exists(), reason="needs the levels of aluminium")
def test_aluminium_as_its_program_prints_it():
    temperature = 0.005 * RYDBERG / BOLTZMANN
    for levels, weights, fermi, minus_ts in frames_of_aluminium():
        each = np.repeat(2 * weights / weights.sum(), levels.shape[1])
        own = electrons_of_levels(levels.ravel(), each, 12.0, temperature)
        assert own.chemical_potential == pytest.approx(fermi, abs=2e-3)
        assert -BOLTZMANN * temperature * own.entropy == pytest.approx(minus_ts, abs=2e-5)


def curves_of(width, temperature=None, step=None):
    """An exact basis for three sets of levels, smeared; the coefficients of these."""
    step = step or width / 2
    energies = np.arange(-14, 14, step)
    sets = [LEVELS + shift for shift in (0.0, 0.3, -0.4)]
    every = np.array([smeared(own, WEIGHTS, energies, width) for own in sets])
    more = np.exp(-0.5 * (energies - np.linspace(-8, 8, 21)[:, None]) ** 2)
    basis = np.linalg.qr(np.vstack([every, more]).T)[0].T
    return EnergyCurves(energies[0], step, np.ascontiguousarray(basis), width), every @ basis.T, sets


@pytest.mark.parametrize("temperature", [300.0, 3000.0])
def test_curves_are_smeared_levels(temperature):
    width = 0.2
    curves, coefficients, sets = curves_of(width, step=0.05)
    own = GrandPotential(curves, temperature).fill(coefficients, ELECTRONS)
    fine = np.arange(-14, 14, 0.002)
    for place, levels in enumerate(sets):
        weights = smeared(levels, WEIGHTS, fine, width) * 0.002
        expected = electrons_of_levels(fine, weights, ELECTRONS, temperature)
        assert own.chemical_potential[place] == pytest.approx(expected.chemical_potential, abs=1e-6)
        assert own.free_energy[place] == pytest.approx(expected.free_energy, abs=3e-6)
        assert own.entropy[place] == pytest.approx(expected.entropy, rel=1e-4)
        assert own.heat_capacity[place] == pytest.approx(expected.heat_capacity, rel=1e-4)
        assert own.density[place] == pytest.approx(expected.density, rel=1e-4)


@pytest.mark.parametrize("temperature", [0.0, 300.0, 5000.0])
def test_slopes_by_finite_differences(temperature):
    curves, coefficients, _ = curves_of(0.2)
    potential, step = GrandPotential(curves, temperature), 1e-4
    own = potential.fill(coefficients, ELECTRONS)
    for channel in (0, 2, 11, 23):
        moved = step * np.eye(24)[channel]
        sides = [potential.fill(coefficients + sign * moved, ELECTRONS).free_energy for sign in (1, -1)]
        np.testing.assert_allclose((sides[0] - sides[1]) / (2 * step), own.slopes[:, channel], rtol=1e-6, atol=1e-6)


def test_slopes_are_the_integral_with_the_kernel():
    """dA/dc_k = ∫ b_k [φ_T(E − μ)] dE + μ ∂N/∂c at constant N: Ben Mahmoud et al. (2022)."""
    curves, coefficients, _ = curves_of(0.2)
    temperature = 5000.0
    own = GrandPotential(curves, temperature).fill(coefficients, ELECTRONS)
    x = (curves.energies - own.chemical_potential[:, None]) / (BOLTZMANN * temperature)
    kernel = -BOLTZMANN * temperature * np.logaddexp(0, -x)
    np.testing.assert_allclose(own.slopes, curves.step * kernel @ curves.basis.T, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    ("temperature", "width", "left"), [(3000.0, 0.1, 2e-3), (3000.0, 0.3, 2e-2), (300.0, 0.3, 0.15)]
)
def test_bias_of_smearing(temperature, width, left):
    """Second order takes most of it: the rest is relative to the bias."""
    levels = np.arange(80) * 0.4
    electrons = 79.0
    energies = np.arange(-4, 36, width / 2)
    curve = smeared(levels, WEIGHTS, energies, width)
    exact = electrons_of_levels(levels, WEIGHTS, electrons, temperature).free_energy
    basis = np.linalg.qr(np.vstack([curve, np.cos(np.outer(np.arange(1, 24), energies / 12))]).T)[0].T
    curves = EnergyCurves(energies[0], width / 2, np.ascontiguousarray(basis), width)
    own = GrandPotential(curves, temperature).fill((curve @ basis.T)[None], electrons)
    bias = own.free_energy[0] - exact
    assert bias < 0
    assert abs(bias - smearing_bias(own.density[0], width)) < left * abs(bias) + 1e-4


def test_free_energy_is_convex_in_the_curve():
    curves, coefficients, _ = curves_of(0.2)
    potential = GrandPotential(curves, 3000.0)
    mean = potential.fill(coefficients.mean(axis=0)[None], ELECTRONS).free_energy[0]
    assert mean < potential.fill(coefficients, ELECTRONS).free_energy.mean() - 1e-3


def test_the_ground_state_is_the_limit():
    curves, coefficients, _ = curves_of(0.3)
    ground, cold = (GrandPotential(curves, own).fill(coefficients, ELECTRONS) for own in (0.0, 60.0))
    rise = np.pi**2 / 6 * (BOLTZMANN * 60) ** 2 * ground.density
    np.testing.assert_allclose(ground.free_energy - cold.free_energy, rise, rtol=0.02)
    assert not ground.entropy.any()


def test_what_is_refused():
    curves, coefficients, _ = curves_of(0.3)
    for call, said in [
        (lambda: electrons_of_levels(LEVELS, WEIGHTS, 160.0, 300.0), "160 electrons in levels that hold 160"),
        (lambda: electrons_of_levels(LEVELS, WEIGHTS, 10.0, -1.0), "-1 K"),
        (lambda: GrandPotential(curves, 10.0), "10 K; allowed are 0, and 50 and above"),
        (lambda: GrandPotential(curves, np.inf), "inf K"),
        (lambda: GrandPotential(curves, 300.0).fill(coefficients, 200.0), "200 electrons in a density of states"),
        (lambda: GrandPotential(curves, 300.0).fill(coefficients, 0.0), "0 electrons"),
    ]:
        with pytest.raises(ElectronError, match=said):
            call()
    for wrong in (2 * curves.basis, np.ones(3)):
        with pytest.raises(ValueError, match="basis"):
            EnergyCurves(0.0, 0.1, wrong)
    with pytest.raises(ValueError, match="axis"):
        EnergyCurves(0.0, 0.0, curves.basis)


def test_electrons_beyond_the_axis_are_refused():
    """The chemical potential would be below the axis, or states above it would hold electrons."""
    curves, coefficients, _ = curves_of(0.2)
    cosines = np.cos(np.pi * np.outer(np.arange(24), (np.arange(280) + 0.5) / 280))
    flat = EnergyCurves(-14.0, 0.1, np.linalg.qr(cosines.T)[0].T)
    even = flat.form.components(np.full((1, 280), 6.0))
    for temperature, own, of, electrons in [
        (1e5, curves, coefficients, 20.0),
        (1e9, curves, coefficients, 20.0),
        (4e4, flat, even, 80.0),
    ]:
        with pytest.raises(ElectronError, match="beyond the axis of energies, which is from -14"):
            GrandPotential(own, temperature).fill(of, electrons)
    assert GrandPotential(flat, 1e4).fill(even, 80.0).density == pytest.approx(6.0, rel=1e-3)
