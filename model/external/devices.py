"""Where torch computes."""

from __future__ import annotations

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
