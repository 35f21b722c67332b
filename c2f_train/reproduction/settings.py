"""What a reproduction of the paper's Table 3 consists of, as one frozen object."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from c2f_data.errors import ConfigError
from c2f_data.sources.request import WHOLE
from c2f_train.calibration_config import CalibrateConfig
from c2f_train.config import TrainConfig
from c2f_train.pooling import MODELS, USUAL_DIM

# The paper's own systems; the others it quotes from elsewhere.
OWN = ("hbp", "mlp", "mlph")
TABLE = ("average", "bcnn", "cbcnn", "kp", *OWN)
# The recipe whose runs are not named after it.
PAPER = "paper"
# The rows of Table 3 whose systems saw bounding boxes or parts.
ANNOTATED = ("bcnn", "cbcnn")


@dataclass(frozen=True, slots=True)
class ReproduceConfig:
    """Settings of a reproduction.

    Attributes:
        calibrate: of the calibration, its own input size included; its thresholds are these:
        thresholds: of the levels but the coarsest, fine to coarse; the last one counts for all
            that follow.
        resolutions: in pixels, chosen by hand for the levels but the finest, fine to coarse;
            empty: they are calibrated.
        train: of every run but for model, dim and seed.
        models: what is trained on whole images.
        seeds: runs of each of the paper's own systems, with seeds from ``train.seed`` on; the
            others have one run.
        dim: d of every system that has one; None: its usual one.
        crop: ``bbox`` or ``parts``: the annotated systems are trained on images cut to their
            birds or cars, too; ``none``: they are not.
    """

    calibrate: CalibrateConfig
    train: TrainConfig
    thresholds: tuple[float, ...] = (0.8,)
    resolutions: tuple[int, ...] = ()
    models: tuple[str, ...] = TABLE
    seeds: int = 3
    dim: int | None = None
    crop: str = WHOLE

    def __post_init__(self) -> None:
        unknown = [model for model in self.models if model not in MODELS]
        if unknown or not self.models:
            raise ConfigError(
                f"no model {unknown[0]!r}" if unknown else "no models",
                f"Choose among {', '.join(MODELS)}.",
            )
        if self.seeds < 1:
            raise ConfigError(f"{self.seeds} seeds", "It must be at least 1.")

    def calibration(self, levels: Sequence[str]) -> CalibrateConfig:
        """With a threshold for each of these levels (coarse to fine) but the coarsest."""
        measured = levels[:0:-1]
        values = (*self.thresholds, *self.thresholds[-1:] * len(measured))
        return replace(self.calibrate, thresholds=tuple(zip(measured, values, strict=False)))

    def by_hand(self, levels: Sequence[str]) -> dict[str, int]:
        """Level to pixels; empty where they are calibrated.

        Raises:
            ConfigError: not one for every one of these levels (coarse to fine) but the finest.
        """
        coarser = levels[-2::-1]
        if self.resolutions and len(self.resolutions) != len(coarser):
            raise ConfigError(
                f"{len(self.resolutions)} resolutions for {', '.join(coarser)}",
                "Give one for each, or none: then they are calibrated.",
            )
        return dict(zip(coarser, self.resolutions, strict=False))

    @property
    def stages(self) -> int:
        """1: only the classifiers are trained; 2: then everything."""
        return 2 if self.train.stage2_epochs else 1

    @property
    def crops(self) -> tuple[str, ...]:
        """Whole images, and those of the crop where there is one."""
        return tuple(dict.fromkeys((WHOLE, self.crop)))

    def entries(self, crop: str = WHOLE) -> Iterator[Entry]:
        """The runs on whole images, or on those of a crop, in the order of the table."""
        models = self.models if crop == WHOLE else ANNOTATED
        for model in models:
            for number in range(self.seeds if model in OWN else 1):
                yield Entry(model, crop, self._config(model, number))

    def _config(self, model: str, number: int) -> TrainConfig:
        usual = MODELS[model].dim
        dim = USUAL_DIM if usual is None else self.dim or usual
        return replace(self.train, model=model, dim=dim, seed=self.train.seed + number)


@dataclass(frozen=True, slots=True)
class Entry:
    """One run.

    Attributes:
        crop: ``none``: of whole images.
    """

    model: str
    crop: str
    config: TrainConfig

    @property
    def name(self) -> str:
        """Of the run's folder."""
        config = self.config
        stage = 2 if config.stage2_epochs else 1
        recipe = "" if config.recipe == PAPER else f"-{config.recipe}"
        return f"{self.model}-{config.input_size}px-stage{stage}{recipe}-seed{config.seed}"
