"""Normal equations are those of all rows, whichever way these come; a fit that was stopped goes on with them."""

import numpy as np
import pytest
from ase.io import write
from beadwise.learning.fitting import least_squares
from beadwise.learning.fitting.configuration import read_configuration
from beadwise.learning.fitting.fit import fit
from beadwise.learning.fitting.head_fit import HeadProblem
from beadwise.learning.fitting.least_squares import NormalEquations, sum_of
from models import labelled, random_model, random_structure

FRAMES, STOPPED = 6, 4
CONFIGURATION = """
[data]
train = ["train.xyz"]
[density]
cutoff = 3.0
radial = 3
l_max = 2
[energy]
ridge = 1e-8
[output]
model = "fitted.safetensors"
"""


@pytest.mark.parametrize("most", [1, 7, 10_000])
@pytest.mark.parametrize("mirrored", [5, 1024])
def test_rows_that_wait_are_counted_once(monkeypatch, most, mirrored):
    monkeypatch.setattr(least_squares, "WAITING_ROWS", most)
    monkeypatch.setattr(least_squares, "MIRRORED", mirrored)
    rng = np.random.default_rng(1)
    rows, targets = rng.normal(size=(60, 12)), rng.normal(size=(60, 2))
    equations = NormalEquations(12, 2)
    for part in np.array_split(np.arange(60), 23):
        equations.add(rows[part], targets[part])
        if part[0] % 5 == 0:  # looked at on the way
            assert equations.matrix.shape == (12, 12)
    np.testing.assert_allclose(equations.matrix, rows.T @ rows, atol=1e-12)
    np.testing.assert_allclose(equations.right, rows.T @ targets, atol=1e-12)
    assert equations.rows == 60
    whole = sum_of([equations, equations])
    whole.add(rows[:1], targets[:1])
    np.testing.assert_allclose(whole.matrix, 2 * rows.T @ rows + np.outer(rows[0], rows[0]), atol=1e-12)
    np.testing.assert_allclose(equations.matrix, rows.T @ rows, atol=1e-12)


def test_one_pass_over_the_matrix_serves_many_frames(monkeypatch):
    """With many features a pass over the matrix costs far more than the rows of one frame."""
    passes = []
    original = least_squares.dsyrk

    def counted(*arguments, **options):
        passes.append(arguments[1].shape[1])
        return original(*arguments, **options)

    monkeypatch.setattr(least_squares, "dsyrk", counted)
    equations = NormalEquations(50)
    for seed in range(1000):
        equations.add(np.random.default_rng(seed).normal(size=(3, 50)), np.zeros(3))
    assert equations.matrix[0, 0] > 0
    assert len(passes) == 6 and sum(passes) == 3000


def training():
    truth = random_model(5, heads=("energy",))
    return [labelled(truth, random_structure(seed, molecules=2)) for seed in range(FRAMES)]


@pytest.fixture
def configuration(tmp_path, monkeypatch):
    monkeypatch.setattr("beadwise.learning.fitting.kept_equations.SECONDS", 0.0)
    monkeypatch.setattr("beadwise.learning.fitting.kept_equations.SHARE", np.inf)
    write(tmp_path / "train.xyz", training())
    (tmp_path / "fit.toml").write_text(CONFIGURATION)
    return tmp_path / "fit.toml"


@pytest.fixture
def added(monkeypatch):
    """How many frames were added."""
    frames, add = [], HeadProblem.add
    monkeypatch.setattr(HeadProblem, "add", lambda *own: (frames.append(own[2]), add(*own)))
    return frames


def stopped(path):
    """Begin a fit that is stopped after some frames, and tell the file that it leaves."""

    def stop(label, done, total, detail=""):
        if (label, done) == ("energy", STOPPED):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(read_configuration(path), stop)
    return path.parent / "report" / "fitted.energy.equations.npz"


def test_a_fit_that_was_stopped_goes_on(configuration, added):
    expected = fit(read_configuration(configuration))
    kept = stopped(configuration)
    assert kept.is_file()
    added.clear()
    again = fit(read_configuration(configuration))
    assert len(added) == FRAMES - STOPPED
    for name in ("offset", "linear", "weights"):
        np.testing.assert_array_equal(getattr(again.heads["energy"], name), getattr(expected.heads["energy"], name))
    assert not kept.exists()


@pytest.mark.parametrize("change", ["half a file", "another ridge", "another label"])
def test_what_belongs_to_another_fit_is_left_alone(configuration, added, change):
    kept = stopped(configuration)
    added.clear()
    if change == "half a file":
        kept.write_bytes(kept.read_bytes()[:-300])
    elif change == "another ridge":
        configuration.write_text(CONFIGURATION.replace("1e-8", "1e-7"))
    else:
        moved = training()
        moved[0].calc.results["energy"] += 1e-6
        write(configuration.parent / "train.xyz", moved)
    fit(read_configuration(configuration))
    assert len(added) == FRAMES


def test_rows_that_wait_are_kept_as_they_wait():
    rng = np.random.default_rng(0)
    rows, targets = rng.normal(size=(900, 7)), rng.normal(size=900)
    whole, part = NormalEquations(7), NormalEquations(7)
    for first in range(0, 900, 90):
        whole.add(rows[first : first + 90], targets[first : first + 90])
        if first == 630:
            state = {name: array.copy() for name, array in part.state().items()}
            part = NormalEquations(7)
            part.restore(state)
        part.add(rows[first : first + 90], targets[first : first + 90])
    np.testing.assert_array_equal(part.matrix, whole.matrix)
    np.testing.assert_array_equal(part.solve(1e-8), whole.solve(1e-8))
    with pytest.raises(ValueError, match="equations of"):
        NormalEquations(6).restore(state)
