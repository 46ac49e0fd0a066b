"""Members whose ensembles a run does not reach: refused, warned about, or given by force."""

import numpy as np
import pytest
from beadwise.sampling import (
    BiasedSeries,
    Method,
    OutOfReachError,
    SamplingError,
    committee_average,
    uncertain_difference,
    uncertain_profile,
)
from double_well import CHANGES, TEMPERATURE, THERMAL_ENERGY, harmonic_energies, standardised


def test_far_apart_members_are_refused_or_warned_about():
    values = np.random.default_rng(12).normal(size=(1000, 40))
    energies, observable = harmonic_energies(values, 3 * CHANGES), np.square(values).mean(axis=1)
    with pytest.raises(SamplingError, match=r"member 0 leave .* effective samples; at least 50 .* 'cea'"):
        committee_average(energies, observable, TEMPERATURE, Method("direct"))
    result = committee_average(energies, observable, TEMPERATURE)
    assert result.effective_samples.min() < 50
    assert len(result.warnings) == 1
    assert f"h of member 0 varies by {result.spread[0]:.3g}, more than 1:" in result.warnings[0]
    assert "linear range" in result.warnings[0]
    values = np.random.default_rng(13).normal(size=(100_000, 1))
    lines = THERMAL_ENERGY * values * np.array([-1.6, 0.4, 1.2])
    result = committee_average(lines, values, TEMPERATURE, Method("direct"))
    assert f"member 0 varies by {result.spread[0]:.3g}, more than 1.5" in result.warnings[0]
    # of a Gaussian h, exp(−σ²)
    np.testing.assert_allclose(result.effective_samples[1:] / 100_000, np.exp([-(0.4**2), -(1.2**2)]), rtol=0.1)


def test_members_beyond_the_reach_of_a_run_are_refused():
    """Of Gaussian h of the width σ the member's ensemble lies σ widths away, where √(2 ln M) is the farthest sample."""
    values = np.random.default_rng(21).normal(size=1000)
    lines = THERMAL_ENERGY * values[:, None] * np.array([-4.0, 0.5, 3.5])
    with pytest.raises(OutOfReachError, match=r"member 0 varies by 3\.88, 1000 samples reach 3\.72: none is from"):
        committee_average(lines, values, TEMPERATURE)
    forced = committee_average(lines, values, TEMPERATURE, Method(forced=True))
    assert forced.warnings[0].endswith("these numbers would be refused")
    np.testing.assert_allclose(forced.members[:, 0, 0], values.mean() - np.var(values) * np.array([-4, 0.5, 3.5]))
    committee_average(0.9 * lines, values, TEMPERATURE)  # exact for Gaussians, and within reach
    with pytest.raises(OutOfReachError, match="use the method 'cea'"):
        committee_average(lines, values, TEMPERATURE, Method("direct"))
    direct = committee_average(lines, values, TEMPERATURE, Method("direct", forced=True))
    assert "at least 50 are needed: these numbers would be refused" in direct.warnings[0]
    series = [BiasedSeries(values[:, None], np.zeros(1000))]
    for edges in (np.linspace(-2, 2, 9), np.linspace(-1, 1, 3)):
        with pytest.raises(OutOfReachError, match=r"1000 samples reach 3\.72"):
            uncertain_profile(series, [lines], edges, TEMPERATURE)
    assert "would be refused" in uncertain_profile(series, [lines], edges, TEMPERATURE, Method(forced=True)).warnings[0]


@pytest.mark.parametrize("columns", [1, 20])
def test_expansions_that_do_not_converge_are_refused(columns):
    """<x²> does not change to first order in h = s x, and by s² to second; far members without that are not refused."""
    random = np.random.default_rng(22)
    values = random.normal(size=(20_000, columns))
    lines = THERMAL_ENERGY * values[:, :1] * np.array([-1.6, 0.2, 1.4])
    observable = np.concatenate([np.square(values[:, :1]), values[:, 1:]], axis=1)
    with pytest.raises(OutOfReachError, match=r"next term of the expansion is \S+ of the error: it does not converge"):
        committee_average(lines, observable, TEMPERATURE)
    result = committee_average(lines, observable, TEMPERATURE, Method(forced=True))
    shifts = np.array([-1.6, 0.2, 1.4])
    assert result.second_order[0] == pytest.approx(np.sqrt(np.mean(shifts**4)), rel=0.1)
    committee_average(lines / 2, observable, TEMPERATURE)
    few = 2 * lines[:2000]
    noise = [committee_average(few, random.normal(size=(2000, columns)), TEMPERATURE) for _ in range(20)]
    assert all("linear range" in one.warnings[0] for one in noise)  # warned of, and not refused by chance


def test_next_term_of_a_profile():
    """p_i(x) of h = s x² with x from N(0, 1): F moves by k_B T s (x² − 1), and by nothing in the second order."""
    values = standardised(np.random.default_rng(23).normal(size=(100_000, 2)))
    series = [BiasedSeries(values[:, :1], np.zeros(100_000))]
    edges = np.linspace(-2, 2, 9)
    # the width of h grows with x: in no bin is it the same, and its mean is zero in all
    spread = THERMAL_ENERGY * (values[:, 1] * values[:, 0])[:, None] * np.array([-1.5, 0.0, 1.5])
    with pytest.raises(OutOfReachError, match="does not converge"):
        uncertain_profile(series, [spread], edges, TEMPERATURE)
    with pytest.raises(OutOfReachError, match="does not converge"):
        uncertain_difference(series, [spread], (1, 2), (-0.5, 0.5), TEMPERATURE)
    assert uncertain_difference(series, [spread], (1, 2), (-0.5, 0.5), TEMPERATURE, Method(forced=True)).warnings
    # of the same width in all bins, the next term is nothing
    same = THERMAL_ENERGY * values[:, 1:] * np.array([-1.5, 0.0, 1.5])
    (warning, *_) = uncertain_profile(series, [same], edges, TEMPERATURE).warnings
    assert "h of member 0 varies by 1.5" in warning and "linear range; its next term" in warning
