"""Backbone + pooling + one linear classifier per level: MLPH and everything compared with it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from c2f_train.backbones import Backbone
from c2f_train.pooling import make_pooling


class HierarchicalClassifier(nn.Module):
    """One network whose levels share all but their linear classifiers (Eq. 7; Figure 2).

    Attributes:
        backbone: uint8 images to three maps.
        pooling: three maps to features.
        classifiers: one linear map a level, coarse to fine: ``logits = P' f + q``.
        counts: classes per level, coarse to fine.
    """

    def __init__(self, backbone: Backbone, pooling: str, dim: int, counts: Sequence[int]) -> None:
        super().__init__()
        self.backbone = backbone
        self.pooling = make_pooling(pooling, backbone.channels, dim)
        self.counts = tuple(counts)
        features = cast("int", self.pooling.out_features)
        self.classifiers = nn.ModuleList(nn.Linear(features, count) for count in self.counts)

    def features(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) uint8 to (B, F) float32."""
        return cast("Tensor", self.pooling(*self.backbone(images)))

    def forward(self, images: Tensor, level: int) -> Tensor:
        """Logits (B, classes) of one level; the other classifiers take no part."""
        return self.classify(self.features(images), level)

    def classify(self, features: Tensor, level: int) -> Tensor:
        """Logits (B, classes) of one level from features (B, F)."""
        return cast("Tensor", self.classifiers[level](features))

    def all_logits(self, images: Tensor) -> list[Tensor]:
        """Logits of every level, coarse to fine, from one pass."""
        features = self.features(images)
        return [self.classify(features, level) for level in range(len(self.counts))]


def build_model(
    backbone: Backbone, pooling: str, dim: int, counts: Sequence[int], seed: int
) -> HierarchicalClassifier:
    """Build a model whose new parameters depend on the seed alone, in channels_last layout."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = HierarchicalClassifier(backbone, pooling, dim, counts)
    return model.to(memory_format=torch.channels_last)


def share_trunk(model: HierarchicalClassifier) -> HierarchicalClassifier:
    """A model with the same backbone and pooling objects and a copy of the classifiers."""
    twin = copy.copy(model)
    twin._modules = dict(model._modules)
    twin.classifiers = copy.deepcopy(model.classifiers)
    return twin
