"""Whether a series is continuous, and there once, however it comes in pieces."""

import numpy as np
import pytest
from beadwise.spectra import SeriesError
from beadwise.spectra.checks.continuity import Continuity
from beadwise.spectra.checks.repeats import STRETCH, Repeats

TRICLINIC = np.array([[10.0, 0.0, 0.0], [2.0, 9.0, 0.0], [-1.0, 3.0, 11.0]])


def walk(samples=2000, size=0.05, seed=0):
    """A dipole whose changes are correlated, as those of a liquid."""
    changes = np.random.default_rng(seed).normal(size=(samples, 3))
    return np.cumsum(np.apply_along_axis(np.convolve, 0, changes, np.ones(5), "same"), axis=0) * size


def folded(dipole, lattice):
    """The branch that lies nearest to zero in fractions of the lattice, as codes print it."""
    return dipole - np.round(dipole @ np.linalg.inv(lattice)) @ lattice


def in_pieces(continuity, values, length):
    return np.concatenate([continuity.follow(values[k : k + length]) for k in range(0, len(values), length)])


@pytest.mark.parametrize("lattice", [TRICLINIC, 10 * np.eye(3)])
@pytest.mark.parametrize("length", [100, 333, 2000])
def test_branch_is_followed(lattice, length):
    dipole = walk()
    printed = folded(dipole, lattice)
    assert np.abs(np.diff(printed, axis=0)).max() > 5
    continuity = Continuity("dipole", [lattice])
    found = in_pieces(continuity, printed, length)
    np.testing.assert_allclose(found - found[0], dipole - dipole[0], atol=1e-9)
    assert continuity.jumps > 10


def test_continuous_series_stay_as_they_are():
    """To the last bit: normal, noisy and rounded ones, decays over many orders, and samples far from each other."""
    time = np.arange(2000.0)[:, None]
    steps = np.round(walk(size=0.01), 1)
    for values in (
        walk(),
        np.random.default_rng(0).normal(size=(2000, 3)),
        np.random.default_rng(0).normal(size=(2000, 3)) * 8,  # dipoles of a large cell, 100 fs apart
        np.exp(-time / 100) * np.cos(0.3 * time + np.arange(3)),
        np.zeros((50, 3)),
        np.random.default_rng(0).standard_t(3, size=(2000, 3)),  # rare events
        np.sin(0.02 * time + np.arange(3)) ** 9,  # at rest most of the time
        np.tanh((time - 1000) / 20) + np.random.default_rng(1).normal(size=(2000, 3)) * 0.01,  # a reaction
        steps,
        np.exp(time / 150 - 14) * np.sin(time + np.arange(3)),
    ):
        continuity = Continuity("dipole", [10 * np.eye(3)])
        np.testing.assert_array_equal(in_pieces(continuity, values, 500), values)
        assert continuity.jumps == 0


@pytest.mark.parametrize(("shape", "lattices"), [((3,), []), ((3,), [7 * np.eye(3)]), ((3, 3), [])])
def test_jumps_without_a_reason(shape, lattices):
    values = walk(seed=1)
    values = values if shape == (3,) else values[:, :, None] * np.ones(3)
    values[900:] += 5.0
    with pytest.raises(SeriesError, match=r"series jumps by \d+.* between the samples 1009 and 1010, .* times"):
        in_pieces(Continuity("series", lattices, first=110), values, 400)


def test_spike_of_one_sample():
    values = walk(seed=2)
    values[700] += 20.0
    with pytest.raises(SeriesError, match="between the samples 699 and 700"):
        in_pieces(Continuity("series"), values, 1000)


def marked(repeats, name, values, length=300):
    repeats.begin(name)
    for first in range(0, len(values), length):
        repeats.add(values[first : first + length])
    repeats.end()


def test_stretches_that_are_there_twice():
    values = walk(1000)
    with pytest.raises(SeriesError, match="samples of a from 1000 on are those from 880 on again"):
        marked(Repeats(), "a", np.concatenate([values, values[880:]]))
    marked(Repeats(), "a", np.concatenate([values, values[1000 - STRETCH + 1 :]]))  # no more than by chance
    marked(Repeats(), "a", np.zeros((1000, 3)))
    marked(Repeats(), "a", np.repeat(values, 2, axis=0))


def test_trajectories_that_have_samples_in_common():
    repeats = Repeats()
    marked(repeats, "a", walk(1000))
    marked(repeats, "b", walk(1000, seed=1), length=1)
    repeats.refuse_copies()
    marked(repeats, "c", np.concatenate([walk(50, seed=2), walk(1000)[400:420]]), length=7)
    with pytest.raises(SeriesError, match=r"^c and a hold the same samples"):
        repeats.refuse_copies()
