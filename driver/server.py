"""The serving loop: answer i-PI's requests with an evaluator until i-PI says EXIT."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..model import Batch, Evaluator, Response
from .transport import Transport


def serve(
    evaluator: Evaluator,
    transport: Transport,
    species: np.ndarray | None,
    want: Sequence[str] = ("energy", "forces", "virial"),
    wait: float = 60.0,
    on_evaluation: Callable[[Batch, Response], None] | None = None,
) -> None:
    """Answer i-PI's requests until it says EXIT.

    Parameters
    ----------
    evaluator : Evaluator
        What answers.
    transport : Transport
        Where i-PI listens: ``unix_socket(name)`` or ``tcp_socket(host, port)``.
    species : ndarray of int, shape (atoms,), or None
        Atomic numbers in i-PI's order; None to take them from the structure file named in i-PI's ``<parameters>``.
    want : sequence of str
        Properties to evaluate; energy, forces and virial are always sent.
    wait : float
        Seconds to wait for i-PI to come up, and to come back after it closed the connection.
    on_evaluation : callable, optional
        Called with each evaluated batch (without padding) and its response, after the reply was sent.
    """
    raise NotImplementedError
