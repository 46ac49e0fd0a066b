"""Where torch computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...reading import reason, shown
from ..errors import EvaluatorError


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
