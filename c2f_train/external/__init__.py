"""Someone's own classifier, calibrated without training anything.

A word names it (``timm:NAME``, ``torchvision:NAME``, ``FILE.pt2``, ``FILE.onnx``,
``module:function``), a file of labels says which score belongs to which class, and everything that
can be wrong about the two is found before the first image is measured.
"""

from c2f_train.external.load import External, ExternalRequest, load_external
from c2f_train.external.rollup import ExternalClassifier
from c2f_train.external.words import Kind, Word, parse_word

__all__ = [
    "External",
    "ExternalClassifier",
    "ExternalRequest",
    "Kind",
    "Word",
    "load_external",
    "parse_word",
]
