"""What is recorded of the members of committees: in pieces, in bounded memory, and what is refused."""

import numpy as np
import pytest
from beadwise.spectra import SeriesError
from beadwise.spectra.recording import make_recorder, spectrum_of
from member_series import CONDITIONS, SERIES, WINDOW, smooth, spectrum_from


@pytest.mark.parametrize("kind", ["ir", "raman"])
def test_pieces_and_restarts_change_no_bit(kind, tmp_path):
    samples = SERIES[kind]() | {"committee_energy": smooth(2000, 2, seed=9)}
    whole, pieces = make_recorder(kind, 1.0, WINDOW), make_recorder(kind, 1.0, WINDOW)
    whole.add(samples)
    for number, cuts in enumerate(np.split(np.arange(2000), [1, 2, 3, 150, 151, 1700])):
        pieces.add({name: values[cuts] for name, values in samples.items()})
        np.savez(tmp_path / f"{number}.npz", **pieces.state())
        pieces = make_recorder(kind, 1.0, WINDOW)
        with np.load(tmp_path / f"{number}.npz") as state:
            pieces.restore(state)
    first, second = (spectrum_of([recorder], CONDITIONS, WINDOW) for recorder in (whole, pieces))
    assert first.has_members
    for name, column in first.columns.items():
        np.testing.assert_array_equal(second[name].values, column.values)
        for part in ("total", "noise_floor"):
            np.testing.assert_array_equal(getattr(second[name].model, part), getattr(column.model, part))
        for part in ("properties", "potentials"):
            own, other = (getattr(one.model, part).spectra for one in (column, second[name]))
            np.testing.assert_array_equal(other, own)


def test_memory_is_bounded():
    recorder, sizes = make_recorder("ir", 1.0, WINDOW), []
    for _ in range(12):
        recorder.add(SERIES["ir"]() | {"committee_energy": smooth(2000, 4)})
        sizes.append(sum(array.nbytes for array in recorder.state().values()))
    assert max(sizes) < 1.5 * sizes[2] < 1e6


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ((4, 3), (5, 3), r"samples have members \(5 of committee_dipole and 3 of committee_energy\); those before had"),
        ((4, 3), (None, 3), r"samples have members \(3 of committee_energy\); those before had members \(4 of"),
        ((None, 3), (None, None), r"samples have no members; those before had members \(3 of committee_energy\)"),
    ],
)
def test_members_must_stay_the_same(first, second, message):
    recorder = make_recorder("ir", 1.0, WINDOW)
    recorder.add(with_members(*first))
    with pytest.raises(SeriesError, match=message):
        recorder.add(with_members(*second))
    with pytest.raises(SeriesError, match=r"trajectories have .*members.* and .*; they must be the same"):
        spectrum_from("ir", with_members(*first), with_members(*second))


def with_members(properties, potentials):
    samples = {"dipole": smooth(200, 3)}
    samples |= {} if properties is None else {"committee_dipole": smooth(200, properties, 3)}
    return samples | ({} if potentials is None else {"committee_energy": smooth(200, potentials)})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"committee_dipole": smooth(200, 3)},
            r"committee_dipole has the shape \(200, 3\); expected \(samples, members",
        ),
        ({"committee_energy": smooth(200, 3, 1)}, r"expected \(samples, members\)"),
        ({"committee_energy": smooth(199, 3)}, "200 of dipole and 199 of committee_energy; as many of each are needed"),
    ],
)
def test_members_of_another_shape(changed, message):
    with pytest.raises(SeriesError, match=message):
        make_recorder("ir", 1.0, WINDOW).add(with_members(None, None) | changed)
