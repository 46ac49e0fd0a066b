"""Charges that a network gives, which add up to zero in each frame, and what they are of its dipole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ....quantity import Form
from .quantity_labels import CHARGES, QuantityLabels
from .sources import Answer


class NeutralCharges:
    """``Σ q_i r_i`` with ``q_i = h_i − Σ h/n``, which is ``Σ h_i (r_i − r̄)``, of frames behind each other.

    Parameters
    ----------
    answer : Answer
        With h.
    labels : sequence of QuantityLabels or None
        Of each frame; they know where its atoms are.
    form : Form
        Of the dipole.
    """

    def __init__(self, answer: Answer, labels: Sequence[QuantityLabels | None], form: Form):
        self.form, self.frame = form, answer.frame
        head = answer.outputs[CHARGES]
        sizes = torch.bincount(answer.frame, minlength=answer.frames)
        places = [
            np.zeros((size, 3)) if own is None or own.places is None else own.places
            for own, size in zip(labels, sizes.tolist(), strict=True)
        ]
        of_atoms = torch.as_tensor(form.components(np.concatenate(places))).to(head)[answer.order]
        self.components = head * of_atoms  # (atoms, 3): of each atom, their sum being the dipole
        means = head.new_zeros(answer.frames, 1).index_add(0, answer.frame, head) / sizes.to(head)[:, None]
        self.values = head - means[answer.frame]  # (atoms, 1)

    def gradients(self, along: torch.Tensor) -> torch.Tensor:
        """Derivatives by positions at constant h, shape (atoms, 3), along components of the dipole (atoms, 3)."""
        to_cartesian = torch.as_tensor(self.form.cartesian(np.eye(3))).to(along)
        return self.values * (along @ to_cartesian)
