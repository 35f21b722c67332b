"""What a user can set about training, as one frozen object that is saved with the run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from c2f_data.errors import ConfigError
from c2f_train.pooling import MODELS, USUAL_DIM

Stage1 = Literal["softmax", "hbp"]
Precision = Literal["float32", "bfloat16"]
Fit = Literal["shorter", "squash"]
Optimizer = Literal["sgd", "adamw"]
Schedule = Literal["step", "cosine"]
Augment = Literal["crop", "randaugment"]

# The file in a run's folder that holds its settings.
CONFIG = "config.json"
CONFIG_SCHEMA = "c2f-train-config"
CONFIG_VERSION = 1


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
        lr_factor, lr_period: the rate is multiplied by the factor every period, in epochs, under
            the schedule ``step``.
        stage1_batch_size: rows per step of the cached fit, which costs next to nothing a row.
        batch_size: images per step, those of all processes together; one step is one level's
            batch.
        momentum: of stochastic gradient descent.
        precision: number format of the forward pass.
        seed: of initial weights, order of images and augmentation.
        workers: threads that decode images beside the network; 0: one a core.
        recipe: the set of defaults that the other values were taken from, see
            :mod:`c2f_train.recipes`.
        optimizer: ``sgd`` with momentum, or ``adamw``, which spares biases and norms the decay.
        schedule: ``step``, or ``cosine`` down to zero at the end of each stage.
        warmup: epochs at the start of a stage in which the rate rises; parts of one count, and
            at most half of a stage.
        label_smoothing: share of the truth that is spread over all classes of the level.
        ema: decay a step of the moving average of the weights that is kept in the end; 0: none.
        augment: ``crop``: random crop and mirror; ``randaugment``: two random operations more.
        magnitude: strength of those operations, 0 to 10.
        accumulate: parts that a batch goes through the network in; their gradients are added.
        patience: epochs without a gain on the validation images after which a stage ends with
            its best state; 0: no validation images are held out.
        validation: share of each class's training images that is held out for that.
        held_out: share of each class's training images that nothing sees, not even early
            stopping: for what :mod:`c2f_train.prediction` promises about answers.
        compile: compile trunk and head with torch.compile.
        channels_last: memory layout of images and convolutions.
        save_every: steps between snapshots inside an epoch; 0: by time alone.
        save_minutes: minutes between snapshots inside an epoch; 0: by steps alone.
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
    recipe: str = "paper"
    optimizer: Optimizer = "sgd"
    schedule: Schedule = "step"
    warmup: float = 0.0
    label_smoothing: float = 0.0
    ema: float = 0.0
    augment: Augment = "crop"
    magnitude: float = 9.0
    accumulate: int = 1
    patience: int = 0
    validation: float = 0.1
    held_out: float = 0.0
    compile: bool = False
    channels_last: bool = True
    save_every: int = 0
    save_minutes: float = 10.0

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise ConfigError(f"no model {self.model!r}", f"Choose one of {', '.join(MODELS)}.")
        self._check_numbers()
        if self.stage1_epochs + self.stage2_epochs == 0:
            raise ConfigError(
                "no epochs in either stage", "Raise --stage1-epochs or --stage2-epochs."
            )
        if self.taps and len(self.taps) != 3:
            raise ConfigError(f"{len(self.taps)} taps", "Name three feature maps: --taps a,b,c.")

    def _check_numbers(self) -> None:
        whole = ("input_size", "dim", "lr_period", "stage1_batch_size", "batch_size", "accumulate")
        for name in whole:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name)}", "It must be at least 1.")
        counts = ("stage1_epochs", "stage2_epochs", "workers", "patience", "save_every")
        for name in (*counts, "save_minutes", "warmup"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} = {getattr(self, name)}", "It can't be negative.")
        for name in ("stage1_lr", "stage2_lr", "lr_factor"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} = {getattr(self, name)}", "It must be positive.")
        for name in ("label_smoothing", "ema", "validation", "held_out"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(
                    f"{name} = {getattr(self, name)}", "It must be at least 0 and below 1."
                )
        if not 0 <= self.magnitude <= 10:
            raise ConfigError(f"magnitude = {self.magnitude}", "It is from 0 to 10.")
        if self.accumulate > self.batch_size:
            raise ConfigError(
                f"accumulate = {self.accumulate} with batches of {self.batch_size} images",
                "Raise --batch-size, or lower --accumulate to at most that.",
            )
        if self.patience and not self.validation:
            raise ConfigError(
                f"patience = {self.patience} without validation images",
                "Early stopping is judged on them: give --validation 0.1 or leave --patience out.",
            )

    @property
    def without_place(self) -> TrainConfig:
        """The same without what changes no number: where images are decoded, when one saves."""
        return replace(self, workers=0, save_every=0, save_minutes=0.0)

    @property
    def finest_only(self) -> bool:
        """Whether only I_high is trained."""
        return not MODELS[self.model].every_level

    @property
    def frozen(self) -> bool:
        """Whether nothing but the classifiers is trained, on features computed once."""
        return self.stage1 == "softmax" and self.cache and self.stage2_epochs == 0
