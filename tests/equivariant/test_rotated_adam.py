"""The optimiser of equivariant networks, against itself in NumPy, and on problems that Adam is slow for."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed; only fits of networks need it")

from beadwise.learning.fitting.equivariant.rotated_adam import (  # noqa: E402
    LARGEST,
    REFRESH,
    RotatedAdam,
    as_matrices,
)


def twin(gradients, rate, decay=0.95, square_decay=0.99):
    """Changes of one matrix in all steps, in double precision."""
    m, n = gradients[0].shape
    left, right, mean, square = gradients[0] @ gradients[0].T, gradients[0].T @ gradients[0], 0.0, np.zeros((m, n))
    q, p = (np.linalg.eigh(own)[1][:, ::-1] for own in (left, right))
    total = np.zeros((m, n))
    for step, g in enumerate(gradients, start=1):
        mean = decay * mean + (1 - decay) * g
        square = square_decay * square + (1 - square_decay) * (q.T @ g @ p) ** 2
        turned = (q.T @ mean @ p) / (1 - decay**step) / (np.sqrt(square / (1 - square_decay**step)) + 1e-8)
        total -= rate * q @ turned @ p.T
        left = square_decay * left + (1 - square_decay) * g @ g.T
        right = square_decay * right + (1 - square_decay) * g.T @ g
        if step % REFRESH == 0:
            rows, columns = (np.argsort(-np.diag(b.T @ s @ b)) for b, s in ((q, left), (p, right)))
            square = square[rows][:, columns]
            q, p = np.linalg.qr(left @ q[:, rows])[0], np.linalg.qr(right @ p[:, columns])[0]
    return total


def moved(start, gradients, rate=0.01):
    """Weights after steps with these gradients."""
    own = torch.nn.Parameter(start.clone())
    optimiser = RotatedAdam([own], rate)
    for gradient in gradients:
        own.grad = gradient.clone()
        optimiser.step()
    return own.detach()


@pytest.mark.parametrize("shape", [(1, 4, 4), (2, 3, 5, 5), (3, 4)])
def test_steps_are_those_of_numpy(shape) -> None:
    rng = np.random.default_rng(0)
    gradients = [torch.from_numpy(rng.normal(size=shape)) for _ in range(2 * REFRESH + 5)]
    found = as_matrices(moved(torch.zeros(shape, dtype=torch.float64), gradients)).numpy()
    for index, own in enumerate(found):
        if own.shape[1] > 1:  # the square of a column has directions of no size, which are any
            wanted = twin([as_matrices(g)[index].numpy() for g in gradients], 0.01)
            # in the basis of the first gradient its other entries are zero, but for rounding errors: 1e-16 over 1e-8
            assert np.allclose(own, wanted, rtol=0, atol=1e-7)
    assert np.isfinite(found).all() and np.abs(found).max() > 0.01


def test_turned_gradients_give_turned_steps() -> None:
    rng = np.random.default_rng(1)
    gradients = [torch.from_numpy(rng.normal(size=(1, 5, 5))) for _ in range(25)]
    q, p = (torch.from_numpy(np.linalg.qr(rng.normal(size=(n, n)))[0]) for n in (5, 5))
    start = torch.zeros(1, 5, 5, dtype=torch.float64)
    plain, turned = moved(start, gradients), moved(start, [q @ g @ p for g in gradients])
    assert torch.allclose(q @ plain @ p, turned, rtol=0, atol=1e-7)


def test_a_side_that_is_too_long_is_not_turned() -> None:
    own = torch.nn.Parameter(torch.zeros(LARGEST + 1, 3)[None])
    optimiser = RotatedAdam([own], 0.01)
    own.grad = torch.ones_like(own)
    optimiser.step()
    assert [kept is None for kept in optimiser.state[own]["bases"]] == [True, False]
    assert torch.isfinite(own).all() and not torch.equal(own, torch.zeros_like(own))


def test_a_state_that_was_kept_goes_on_alike() -> None:
    rng = np.random.default_rng(2)
    gradients = [torch.from_numpy(rng.normal(size=(2, 6, 4))).float() for _ in range(30)]
    whole = moved(torch.zeros(2, 6, 4), gradients)
    own = torch.nn.Parameter(torch.zeros(2, 6, 4))
    first = RotatedAdam([own], 0.01)
    for gradient in gradients[:17]:
        own.grad = gradient
        first.step()
    again = RotatedAdam([own], 0.01)
    again.load_state_dict(first.state_dict())
    for gradient in gradients[17:]:
        own.grad = gradient
        again.step()
    assert torch.equal(own.detach(), whole)


def test_directions_that_differ_much_are_learned_together() -> None:
    """Least squares behind a rotation, with a condition of 1e6, from random samples: Adam stays behind."""
    rng = np.random.default_rng(3)
    basis = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    scales = torch.from_numpy(basis * np.logspace(0, -3, 12)).float()
    wanted, left = torch.from_numpy(rng.normal(size=(12, 6)) / np.logspace(0, -3, 12)[:, None] * 0.03).float(), {}
    wanted = torch.from_numpy(basis).float() @ wanted
    for kind in (torch.optim.Adam, RotatedAdam):
        own = torch.nn.Parameter(torch.zeros(1, 12, 6))
        optimiser = kind([own], 0.1)
        generator, steps = torch.Generator().manual_seed(0), 600
        for step in range(steps):
            optimiser.param_groups[0]["lr"] = 0.1 * (1 - step / steps)
            seen = torch.randn(32, 12, generator=generator) @ scales.T
            loss = (seen @ (own[0] - wanted)).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        left[kind] = float((scales.T @ (own[0] - wanted)).square().mean().detach())
    assert left[RotatedAdam] < 0.5 * left[torch.optim.Adam], left
