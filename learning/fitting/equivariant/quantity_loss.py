"""The loss of quantities and of their derivatives by positions, as Born charges are, in torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from .neutral_charges import NeutralCharges
from .quantity_labels import FittedQuantity, QuantityLabels
from .sources import Answer

Labels = Sequence[QuantityLabels | None]
Errors = list[tuple[QuantityLabels, list[np.ndarray], np.ndarray | None]]


class QuantityLoss:
    """The loss of one quantity, Σ_samples |Δ|²/atoms + ℓ² Σ_atoms |∂Δ/∂r|², as in linear fits, per 3 atoms and frame.

    Steps of a training take the derivatives in one random direction u of the components of each frame, with ⟨u uᵀ⟩ = 1:
    |∂(u·Δ)/∂r|² has the mean |∂Δ/∂r|² (Hutchinson, Commun. Stat. Simul. Comput. 18, 1059 (1989)), and costs one sweep
    back in place of one for each component.

    Parameters
    ----------
    fitted : FittedQuantity
    scale : float
        Loss of no network, which the loss is relative to.
    """

    def __init__(self, fitted: FittedQuantity, scale: float):
        self.fitted, self.scale = fitted, scale

    def __call__(
        self,
        answer: Answer,
        labels: Labels,
        random: np.random.Generator | None,
    ) -> tuple[torch.Tensor, Errors]:
        """Relative loss, with a graph where directions are random; errors, all of them only where they are not."""
        components = torch.cat([answer.outputs[head.name] for head in self.fitted.heads], dim=1)
        charges = NeutralCharges(answer, labels, self.fitted.quantity.form) if self.fitted.has_charges else None
        if charges is not None:
            components = components + charges.components
        sizes = np.bincount(answer.frame.cpu().numpy(), minlength=answer.frames)
        weights = [0.0 if own is None else own.weight / (3 * own.atoms * len(labels)) for own in labels]
        weight = torch.as_tensor(weights).to(components)
        loss, of_values = self._of_values(components, answer, labels, sizes, weight)
        of_derivatives: list[np.ndarray | None] = [None] * len(labels)
        if any(own is not None and own.derivative is not None for own in labels):
            wanted = self._wanted_derivatives(labels, sizes, answer, components)
            is_known = torch.isfinite(wanted).all(dim=2)  # of labels: what a network says must be finite everywhere
            of_frame = weight[answer.frame] * self.fitted.length**2
            size = components.shape[1]
            for directions in random_directions(random, len(labels), size) if random else every_direction(size):
                of_frames = np.broadcast_to(directions, (len(labels), size)).copy()
                along = torch.as_tensor(of_frames).to(components)[answer.frame]
                errors = self._derivative_errors(components, along, wanted, answer, random is not None)
                errors = errors if charges is None else errors + charges.gradients(along)
                loss = loss + (of_frame[:, None] * torch.where(is_known, errors, 0.0).square()).sum()
                if random is None:
                    of_derivatives = added(of_derivatives, errors, answer, sizes, labels)
        kept = [
            (own, values, derivatives)
            for own, values, derivatives in zip(labels, of_values, of_derivatives, strict=True)
            if own is not None
        ]
        return loss / self.scale, kept

    def _of_values(
        self,
        components: torch.Tensor,
        answer: Answer,
        labels: Labels,
        sizes: np.ndarray,
        weight: torch.Tensor,
    ) -> tuple[torch.Tensor, list[list[np.ndarray]]]:
        """Loss of values, and errors of the samples of each target."""
        loss = components.new_zeros(())
        found: list[list[np.ndarray]] = [[] for _ in labels]
        for place in range(max([0, *(len(own.targets) for own in labels if own is not None)])):
            own = [lab.targets[place] if lab is not None and place < len(lab.targets) else None for lab in labels]
            counts = [1 if target is None else len(target.components) for target in own]
            first = np.cumsum([0, *counts[:-1]])
            sample = np.concatenate(
                [
                    start + (np.zeros(size, dtype=int) if target is None else target.sample)
                    for target, start, size in zip(own, first, sizes, strict=True)
                ]
            )
            nothing = np.full((1, self.fitted.quantity.components), np.nan)
            wanted = np.concatenate([nothing if target is None else target.components for target in own])
            scales = np.concatenate([np.zeros(1) if target is None else target.scales for target in own])
            of_sample = torch.as_tensor(sample, device=components.device)[answer.order]
            total = components.new_zeros(len(wanted), components.shape[1]).index_add(0, of_sample, components)
            right = torch.as_tensor(wanted[:, self.fitted.places]).to(total)
            errors = total - right
            share = torch.as_tensor(scales**2).to(total) * weight.repeat_interleave(torch.tensor(counts))
            is_known = torch.isfinite(right)
            loss = loss + (share[:, None] * torch.where(is_known, errors, 0.0).square()).sum()
            for target, known, part in zip(own, found, torch.split(errors.detach(), counts), strict=True):
                if target is not None:
                    known.append(part.cpu().double().numpy())
        return loss, found

    def _wanted_derivatives(
        self, labels: Labels, sizes: np.ndarray, answer: Answer, like: torch.Tensor
    ) -> torch.Tensor:
        """Derivatives that should come out, shape (atoms, 3, components); NaN where there is no label."""
        places, count = self.fitted.places, self.fitted.quantity.components
        wanted = [
            np.full((size, 3, count), np.nan) if own is None or own.derivative is None else own.derivative
            for own, size in zip(labels, sizes, strict=True)
        ]
        return torch.as_tensor(np.concatenate(wanted)[..., places]).to(like)[answer.order]

    @staticmethod
    def _derivative_errors(
        components: torch.Tensor, along: torch.Tensor, wanted: torch.Tensor, answer: Answer, is_trained: bool
    ) -> torch.Tensor:
        """Errors of derivatives along a direction of components for each atom, shape (atoms, 3)."""
        found = answer.gradients((components * along).sum(), is_trained)[0]
        return found - (wanted * along[:, None, :]).sum(dim=2)


def random_directions(random: np.random.Generator, frames: int, components: int) -> list[np.ndarray]:
    """One direction u for each frame with ⟨u uᵀ⟩ = 1, shape (frames, components)."""
    found = random.standard_normal((frames, components))
    return [found * np.sqrt(components) / np.linalg.norm(found, axis=1, keepdims=True)]


def every_direction(components: int) -> list[np.ndarray]:
    """The directions of the components, each for all frames: shapes (1, components)."""
    return list(np.eye(components)[:, None])


def added(
    found: Sequence[np.ndarray | None],
    errors: torch.Tensor,
    answer: Answer,
    sizes: np.ndarray,
    labels: Labels,
) -> list[np.ndarray | None]:
    """Errors of derivatives (atoms, 3, components so far) of each frame with those of a further component."""
    rows = torch.empty_like(errors)
    rows[answer.order] = errors.detach()
    parts = np.split(rows.cpu().double().numpy()[..., None], np.cumsum(sizes)[:-1])
    return [
        None
        if label is None or label.derivative is None
        else (part if before is None else np.concatenate([before, part], axis=-1))
        for label, before, part in zip(labels, found, parts, strict=True)
    ]
