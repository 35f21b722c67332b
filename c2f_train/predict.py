"""Coarse-to-fine prediction: how fine can an image be trusted?

::

    predictor = Predictor.load("c2f_workspace/cub/runs/mlph", confidence=0.9)
    (prediction,) = predictor.predict("bird.jpg")
    print(prediction.answer, prediction.why, prediction.promise)
"""

from c2f_train.prediction.guarantee import Guarantee
from c2f_train.prediction.predictor import DEFAULT_CONFIDENCE, DEFAULT_TOP, Predictor
from c2f_train.prediction.result import (
    Failure,
    LevelAnswers,
    Node,
    Prediction,
    UsableResolution,
)

__all__ = [
    "DEFAULT_CONFIDENCE",
    "DEFAULT_TOP",
    "Failure",
    "Guarantee",
    "LevelAnswers",
    "Node",
    "Prediction",
    "Predictor",
    "UsableResolution",
]
