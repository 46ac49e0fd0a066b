"""Where torch computes, and how much at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...reading import reason, shown
from ..errors import EvaluatorError

# pairs in one forward, unless a number of beads is given: on a processor so many that arrays of a model of medium size
# are below 32 MB, above which the C library asks the system anew for each; elsewhere about 3 GB
MOST_PAIRS = {"cpu": 4_000}
MOST_PAIRS_ELSEWHERE = 200_000


def torch_device(name: str) -> Any:
    """A device of torch by its name, ``cpu`` or ``cuda:1``.

    Raises
    ------
    EvaluatorError
        If it is not there.
    """
    import torch

    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise EvaluatorError(f"device is '{shown(name)}', which is not there: {reason(error)}") from error
    return device


def most_pairs(device: Any) -> int:
    """How many pairs there should be in one forward on a device, if no bead alone has more."""
    return MOST_PAIRS.get(device.type, MOST_PAIRS_ELSEWHERE)


@contextmanager
def threads_of_torch(device: Any, threads: int) -> Iterator[None]:
    """Let torch use so many threads of a processor meanwhile; what it used before is left as it was."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads if device.type == "cpu" else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
