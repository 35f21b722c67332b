"""What a user can set about training, as one frozen object that is saved with the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from c2f_data.errors import ConfigError
from c2f_train.pooling import MODELS, USUAL_DIM

Stage1 = Literal["softmax", "hbp"]
Precision = Literal["float32", "bfloat16"]
Fit = Literal["shorter", "squash"]


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Settings of one training run. Defaults are the paper's (section 4.1) where it gives them.

    Attributes:
        model: ``mlph`` (every level at its own resolution) or a model of I_high alone: ``mlp``
            (MLPH without the other levels), ``hbp`` (MLP without the trilinear term) and the
            others that the registry of :mod:`c2f_train.pooling` names.
        backbone: ``vgg16``, ``tiny`` or a torchvision model name.
        weights: file with the backbone's weights; None: torchvision's ImageNet weights;
            ``none``: random.
        taps: names of three feature maps, for a torchvision model; empty: chosen by rule.
        input_size: side in pixels of the square that the network sees.
        fit: ``shorter`` keeps the aspect and crops; ``squash`` brings both sides to one length.
        dim: d: the width of each projection (``mlph``, ``mlp``, ``hbp``, ``factorised``), the
            length of the sketch (``cbcnn``, ``cbcnn-rm``) or of each order's sketch (``kp``,
            ``kp-rbf``); without meaning for ``bcnn`` and ``average``.
        stage1: what stage 1 trains: ``softmax`` the classifiers alone, as the paper says; ``hbp``
            projections and classifiers, as HBP's released code does.
        cache: compute the frozen features of stage 1 once, for the centre crop and its mirror.
        stage1_epochs, stage1_lr, stage1_weight_decay: f has norm 2 (four unit parts) or, with
            one part, 1, so the classifiers need a rate of about 1.
        stage2_epochs, stage2_lr, stage2_weight_decay: everything is trained.
        lr_factor, lr_period: the rate is multiplied by the factor every period, in epochs.
        stage1_batch_size: rows per step of the cached fit, which costs next to nothing a row.
        batch_size: images per step; one step is one level's batch.
        momentum: of stochastic gradient descent.
        precision: number format of the forward pass.
        seed: of initial weights, order of images and augmentation.
        workers: threads that decode images beside the network; 0: one a core.
    """

    model: str = "mlph"
    backbone: str = "vgg16"
    weights: str | None = None
    taps: tuple[str, ...] = ()
    input_size: int = 448
    fit: Fit = "shorter"
    dim: int = USUAL_DIM
    stage1: Stage1 = "softmax"
    cache: bool = True
    stage1_epochs: int = 60
    stage1_lr: float = 1.0
    stage1_weight_decay: float = 5e-6
    stage1_batch_size: int = 64
    stage2_epochs: int = 30
    stage2_lr: float = 1e-3
    stage2_weight_decay: float = 5e-4
    lr_factor: float = 0.5
    lr_period: int = 10
    batch_size: int = 8
    momentum: float = 0.9
    precision: Precision = "float32"
    seed: int = 0
    workers: int = 0

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise ConfigError(f"no model {self.model!r}", f"Choose one of {', '.join(MODELS)}.")
        positive = ("input_size", "dim", "lr_period", "stage1_batch_size", "batch_size")
        for name in positive:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name)}", "It must be at least 1.")
        for name in ("stage1_epochs", "stage2_epochs", "workers"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} = {getattr(self, name)}", "It can't be negative.")
        for name in ("stage1_lr", "stage2_lr", "lr_factor"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} = {getattr(self, name)}", "It must be positive.")
        if self.stage1_epochs + self.stage2_epochs == 0:
            raise ConfigError(
                "no epochs in either stage", "Raise --stage1-epochs or --stage2-epochs."
            )
        if self.taps and len(self.taps) != 3:
            raise ConfigError(f"{len(self.taps)} taps", "Name three feature maps: --taps a,b,c.")

    @property
    def finest_only(self) -> bool:
        """Whether only I_high is trained."""
        return not MODELS[self.model].every_level
