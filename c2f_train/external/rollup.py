"""Scores of a classifier's own outputs to logits of every level of the data set's hierarchy."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from c2f_data.errors import C2FError, ConfigError
from c2f_data.taxonomy import Taxonomy
from c2f_train.external.source import first_line


class ExternalClassifier(nn.Module):
    """A classifier that c2f did not make, in the shape that a calibration expects.

    Its outputs that are no class of the data set keep their part of the softmax, so that a
    confidence is what the classifier itself would say: they follow the classes of every level,
    one column each, and an answer among them is wrong. ``closed`` leaves them out instead.

    Attributes:
        network: (B, 3, H, W) uint8 RGB to (B, outputs) scores.
        name: for errors.
        counts: classes per level, coarse to fine.
        outside: columns behind the classes of each level; an index of ``counts[level]`` or more
            is an answer outside the data set.
        probabilities: the network gives probabilities; their logarithm is taken.
    """

    outputs: Tensor
    others: Tensor

    def __init__(
        self,
        network: nn.Module,
        name: str,
        outputs: NDArray[np.int64],
        n_outputs: int,
        taxonomy: Taxonomy,
        *,
        batch: int | None = None,
        probabilities: bool = False,
        closed: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.name = name
        self.batch = batch
        self.probabilities = probabilities
        self.n_outputs = n_outputs
        self.counts = tuple(len(names) for names in taxonomy.names)
        others = np.setdiff1d(np.arange(n_outputs), outputs)
        self.outside = 0 if closed else len(others)
        self.register_buffer("outputs", torch.from_numpy(outputs), persistent=False)
        self.register_buffer("others", torch.from_numpy(others[: self.outside]), persistent=False)
        for level, count in enumerate(self.counts):
            member = torch.zeros(len(outputs), count)
            member[torch.arange(len(outputs)), torch.from_numpy(taxonomy.codes[:, level])] = 1
            self.register_buffer(f"member{level}", member, persistent=False)

    def scores(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) uint8 to (B, outputs) float32, in batches that the network takes.

        Raises:
            ConfigError: the network raised, or gave something else than finite scores.
        """
        size = self.batch or max(len(images), 1)
        parts = []
        for start in range(0, len(images), size):
            part = images[start : start + size]
            # A network of a fixed batch gets its last image again and again to fill it.
            filled = torch.cat([part, part[-1:].expand(size - len(part), -1, -1, -1)])
            parts.append(self._answer(filled)[: len(part)])
        return torch.cat(parts)

    def _answer(self, images: Tensor) -> Tensor:
        try:
            given = self.network(images)
        except C2FError:
            raise
        except Exception as error:  # someone else's code: it may raise anything
            raise ConfigError(
                f"{self.name} fails on {len(images)} images of {tuple(images.shape[2:])} px "
                f"({first_line(error)})",
                "Check what it expects: --input-size and --normalise, or its own code.",
            ) from error
        answer = torch.as_tensor(given).to(images.device) if _is_array(given) else None
        if answer is None or answer.ndim != 2 or len(answer) != len(images):
            shape = f"shape {tuple(answer.shape)}" if answer is not None else repr(type(given))
            raise ConfigError(
                f"{self.name} gives {shape} for {len(images)} images, not a row of scores each",
                f"It must return ({len(images)}, classes) scores.",
            )
        answer = answer.float()
        if not bool(answer.isfinite().all()):
            raise ConfigError(
                f"{self.name} gives scores that are not finite (NaN or infinity)",
                "Check --normalise and the number format that the classifier computes in.",
            )
        return answer

    def all_logits(self, images: Tensor) -> list[Tensor]:
        """Logits of every level, coarse to fine, (B, counts[level] + outside) each.

        Their softmax sums the classifier's own probabilities over the classes below a node.
        """
        scores = self.scores(images)
        with torch.autocast(scores.device.type, enabled=False):
            return self.roll_up(scores)

    def roll_up(self, scores: Tensor) -> list[Tensor]:
        """(B, outputs) scores to log-probabilities of every level; see :meth:`all_logits`."""
        tiny = torch.finfo(torch.float32).tiny
        logits = scores.clamp_min(tiny).log() if self.probabilities else scores
        used = logits[:, torch.cat([self.outputs, self.others])].log_softmax(dim=1)
        fine, beside = used[:, : len(self.outputs)], used[:, len(self.outputs) :]
        # Relative to the best class, so that a small share of the softmax does not underflow.
        best = fine.amax(dim=1, keepdim=True)
        shares = (fine - best).exp()
        levels = []
        for level in range(len(self.counts) - 1):
            sums = shares @ cast("Tensor", getattr(self, f"member{level}"))
            levels.append(sums.clamp_min(tiny).log() + best)
        levels.append(fine)
        return [torch.cat([own, beside], dim=1) for own in levels]


def _is_array(value: object) -> bool:
    return isinstance(value, Tensor | np.ndarray)
