"""Settings of a training that follow from the calibration before it."""

from __future__ import annotations

from pathlib import Path

from c2f_data.calibration import CalibrationResult
from c2f_train.backbones import default_input_size
from c2f_train.config import TrainConfig
from c2f_train.pooling import MODELS, USUAL_DIM
from c2f_train.recipes import recipe_values

SCRATCH = "from scratch"


def train_defaults(
    calibration: CalibrationResult | None,
    folder: Path,
    *,
    model: str = "mlph",
    backbone: str | None = None,
    input_size: int | None = None,
    recipe: str = "paper",
    optimizer: str | None = None,
) -> TrainConfig:
    """What `c2f train` takes where nothing else is said; :func:`dataclasses.replace` says more.

    Backbone, taps, input size and fit are the calibration's, and so are its weights: those that it
    was given, or, where it began from random ones, what its own classifier has learnt. With another
    backbone nothing of it counts.

    Args:
        calibration: the last one; None: there is none, and a usual VGG-16 is trained.
        folder: of the calibrations, see :class:`c2f_data.workspace.DatasetFolder`.
        model: its usual d is taken.
        backbone: instead of the calibration's.
        input_size: side in pixels, instead of the calibration's or the backbone's usual one.
        recipe, optimizer: see :func:`c2f_train.recipes.recipe_values`.

    Raises:
        ConfigError: there is no such model, backbone, recipe or optimiser.
    """
    before = calibration.protocol if calibration is not None else None
    name = backbone or (before.backbone if before else "vgg16")
    same = before if before is not None and before.backbone == name else None
    usual = MODELS[model].dim if model in MODELS else None
    return TrainConfig(
        model=model,
        backbone=name,
        weights=_weights(calibration, folder) if same is not None and calibration else None,
        taps=same.taps if same else (),
        input_size=input_size or (same.spec.crop if same else default_input_size(name)),
        fit=same.spec.fit if same else "shorter",
        dim=usual or USUAL_DIM,
        **recipe_values(recipe, optimizer),
    )


def _weights(calibration: CalibrationResult, folder: Path) -> str | None:
    protocol = calibration.protocol
    if protocol.weights_path is None and protocol.weights == SCRATCH:
        # As the paper starts from ImageNet's features: from what the calibration has learnt.
        trained = folder / Path(calibration.predictions).parent / "classifier"
        return str(trained.resolve()) if trained.exists() else None
    return None if protocol.weights_path is None else absolute_weights(protocol.weights_path)


def absolute_weights(weights: str) -> str:
    """The absolute path of a weights file or folder; what is none stays as it is."""
    return str(Path(weights).resolve()) if weights and Path(weights).exists() else weights
