"""An exponential moving average of the weights (Polyak averaging), kept beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from c2f_data.errors import ArtefactError


class Average:
    """The average of a model's trained parameters and of its running statistics.

    The decay rises with the steps, min(decay, (1 + t) / (10 + t)): a short training is not an
    average of mostly its start. Between two batches of a level its classifier stands still, and
    its average goes on towards it.

    Attributes:
        decay: weight of the past in one step, once it has risen.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self._live = {
            **{name: p for name, p in model.named_parameters() if p.requires_grad},
            **{name: b for name, b in model.named_buffers() if name in model.state_dict()},
        }
        self._averages = {name: value.detach().clone() for name, value in self._live.items()}
        floats = [name for name, value in self._averages.items() if value.is_floating_point()]
        self._floats = floats
        self._others = [name for name in self._averages if name not in set(floats)]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after a step, 0-based within the stage."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(
            [self._averages[name] for name in self._floats],
            [self._live[name].detach() for name in self._floats],
            weight,
        )
        for name in self._others:
            self._averages[name].copy_(self._live[name])

    def state(self) -> dict[str, Tensor]:
        """The averages by the names of the model's tensors."""
        return dict(self._averages)

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor], where: str) -> None:
        """Go on with kept averages. Raises ArtefactError where they don't fit."""
        wrong = state.keys() ^ self._averages.keys()
        if wrong or any(state[n].shape != own.shape for n, own in self._averages.items()):
            raise ArtefactError(
                f"{where}: the averaged weights don't fit the model", "Train with --overwrite."
            )
        for name, value in self._averages.items():
            value.copy_(state[name])

    @torch.no_grad()
    def put_in(self) -> None:
        """Make the averages the model's weights."""
        for name, value in self._averages.items():
            self._live[name].copy_(value)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The averages are the model's weights while this is open."""
        before = {name: value.detach().clone() for name, value in self._live.items()}
        self.put_in()
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in before.items():
                    self._live[name].copy_(value)
