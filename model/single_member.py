"""One member of a committee as a model of its own, to be run alone."""

from __future__ import annotations

from dataclasses import replace

from ..pyx.tensor_head import TensorHead
from .errors import BeadwiseError
from .model import Model


class MemberError(BeadwiseError, ValueError):
    """A member that a model does not have."""


def single_member(model: Model, index: int) -> Model:
    """The member as a model without members: the same density and network, the heads of the mean plus α times its own.

    What forces of a member do to dynamics, no reweighting of a run with the mean tells; a run with the member does.

    Parameters
    ----------
    model : Model
        With members.
    index : int
        From 0.

    Raises
    ------
    MemberError
        If there is no such member.
    """
    members = model.members
    if members is None or not 0 <= index < members.count:
        has = "no members" if members is None else f"the members 0 to {members.count - 1}"
        raise MemberError(f"member {index} of a model is wanted; it has {has}")
    heads = dict(model.heads)
    for name, deviations in members.deviations.items():
        mean, own, factor = heads[name], deviations[index], members.factor(name.split("_")[0])
        heads[name] = TensorHead(
            mean.order,
            mean.shape,
            mean.offset + factor * own.offset,
            mean.linear + factor * own.linear,
            mean.weights + factor * own.weights,
        )
    return replace(model, heads=heads, members=None)
