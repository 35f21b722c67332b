"""From what a user said to a classifier that is known to fit the data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from c2f_data.artefacts import fingerprint
from c2f_data.errors import ConfigError
from c2f_data.resample import ResampleSpec
from c2f_data.taxonomy import Taxonomy
from c2f_train.config import Fit
from c2f_train.external.entrypoint import open_entry_point
from c2f_train.external.exported import open_exported
from c2f_train.external.labels import match_labels, read_labels
from c2f_train.external.normalise import parse_normalisation
from c2f_train.external.onnx import open_onnx
from c2f_train.external.rollup import ExternalClassifier
from c2f_train.external.source import DEFAULT_SIDE, Source
from c2f_train.external.words import Kind, Word, parse_word
from c2f_train.external.zoo import (
    open_timm,
    open_torchvision,
    timm_labels,
    torchvision_labels,
)

ZOO = (Kind.TIMM, Kind.TORCHVISION)
FILES = (Kind.EXPORTED, Kind.ONNX)
# Two answers of one network about one image differ by rounding alone.
CLOSE = 1e-2


@dataclass(frozen=True, slots=True)
class ExternalRequest:
    """What the user said about a classifier of their own.

    Attributes:
        word: see :func:`c2f_train.external.words.parse_word`.
        labels: file with the names of the scores; None where the classifier carries them.
        weights: file with a torchvision or timm classifier's weights; None: the library's.
        input_size: side in pixels that the network sees; None: what it says itself, else 224.
        fit: ``shorter`` or ``squash``.
        normalise: how a file's network wants its pixels; see ``parse_normalisation``.
        trust: the user vouches for a file whose reading can run code.
        closed: leave the outputs that are no class of the data set out of the softmax.
    """

    word: str
    labels: Path | None = None
    weights: str | None = None
    input_size: int | None = None
    fit: Fit = "shorter"
    normalise: str | None = None
    trust: bool = False
    closed: bool = False


@dataclass(frozen=True)
class External:
    """A checked classifier.

    Attributes:
        classifier: logits of every level from uint8 images.
        spec: the chain from an image to its input.
        name: what it is called in a report.
        source: where it came from, in words.
        key: fingerprint of everything that determines its answers.
        notes: what the user should know, a sentence each.
    """

    classifier: ExternalClassifier
    spec: ResampleSpec
    name: str
    source: str
    key: str
    notes: tuple[str, ...]


def load_external(request: ExternalRequest, taxonomy: Taxonomy, device: torch.device) -> External:
    """Read a classifier and check it against the data set's classes with two random images.

    Raises:
        ConfigError: it is not there, can't be read, does not fit the classes or the images, or
            its answers are no scores.
        ArtefactError: a torchvision or timm classifier's weights are missing or damaged.
    """
    word = parse_word(request.word)
    if word is None:
        raise ConfigError(
            f"--classifier {request.word}: no classifier of that name",
            "Give timm:NAME, torchvision:NAME, FILE.pt2, FILE.onnx or MODULE:FUNCTION.",
        )
    _check_options(request, word)
    given = read_labels(request.labels) if request.labels else None
    owner = str(request.labels or request.word)
    early = given or _labels_of(request, word)
    if early is not None:  # before anything is downloaded or read
        match_labels(early, taxonomy, owner)
    source = _open(request, word, given, device)
    labels = given or source.labels
    if labels is None:
        raise ConfigError(
            f"{request.word}: which class each score belongs to is not known",
            "Name the classes in the order of the scores, one a line: --labels FILE.",
        )
    outputs = match_labels(labels, taxonomy, owner)
    spec = _spec(request, source)

    def classifier(*, probabilities: bool) -> ExternalClassifier:
        built = ExternalClassifier(
            source.network,
            source.name,
            outputs,
            len(labels),
            taxonomy,
            batch=source.batch,
            probabilities=probabilities,
            closed=request.closed,
        )
        return built.to(device).eval()

    scores = _dry_pass(classifier(probabilities=False), spec, device, owner)
    probabilities = _are_probabilities(scores)
    checked = classifier(probabilities=probabilities)
    return External(
        classifier=checked,
        spec=spec,
        name=source.name,
        source=source.origin,
        key=fingerprint(
            [
                [word.kind, source.content, request.normalise, request.closed, probabilities],
                [outputs.tolist(), len(labels), taxonomy.fingerprint, spec],
                _outline(scores) if source.partial_content else None,
            ]
        ),
        notes=source.notes + _notes(checked, len(labels), probabilities=probabilities),
    )


def _check_options(request: ExternalRequest, word: Word) -> None:
    if request.weights is not None and word.kind not in ZOO:
        raise ConfigError(
            f"--weights with --classifier {request.word}, which has its own",
            "Leave --weights out; it is for timm:NAME and torchvision:NAME.",
        )
    if request.normalise is not None and word.kind not in FILES:
        raise ConfigError(
            f"--normalise with --classifier {request.word}, which normalises its images itself",
            "Leave --normalise out; it is for FILE.pt2 and FILE.onnx.",
        )


def _labels_of(request: ExternalRequest, word: Word) -> tuple[str, ...] | None:
    """The labels of a library's own weights, as far as it names them beforehand."""
    if request.weights is not None or word.kind not in ZOO:
        return None
    return (torchvision_labels if word.kind is Kind.TORCHVISION else timm_labels)(word.target)


def _open(
    request: ExternalRequest, word: Word, labels: tuple[str, ...] | None, device: torch.device
) -> Source:
    count = len(labels) if labels else None
    normalisation = parse_normalisation(request.normalise) if request.normalise else None
    match word.kind:
        case Kind.TORCHVISION:
            return open_torchvision(word.target, request.weights, count)
        case Kind.TIMM:
            return open_timm(word.target, request.weights, count)
        case Kind.EXPORTED:
            return open_exported(word, normalisation, device, trust=request.trust)
        case Kind.ONNX:
            return open_onnx(word, normalisation, device)
        case Kind.ENTRY_POINT:
            return open_entry_point(word)


def _spec(request: ExternalRequest, source: Source) -> ResampleSpec:
    """The crop that the network sees, from an enlarged image as its owner made it."""
    wanted = request.input_size
    if source.fixed_side and wanted not in (None, source.side):
        raise ConfigError(
            f"--input-size {wanted}: {source.name} takes {source.side} px only",
            f"Leave it out, or export the network for {wanted} px.",
        )
    side = wanted or source.side or DEFAULT_SIDE
    if source.enlarged is None or side != source.side:
        return ResampleSpec.for_input(side, request.fit)
    return ResampleSpec(crop=side, enlarge_to=source.enlarged, fit=request.fit)


@torch.inference_mode()
def _dry_pass(
    classifier: ExternalClassifier, spec: ResampleSpec, device: torch.device, labels: str
) -> Tensor:
    """Scores of two random images, (2, outputs) on the CPU. Raises ConfigError if they are odd."""
    generator = torch.Generator().manual_seed(0)
    size = (2, 3, spec.crop, spec.crop)
    images = torch.randint(0, 256, size, generator=generator, dtype=torch.uint8).to(device)
    together = classifier.scores(images)
    if together.shape[1] < 2:
        raise ConfigError(
            f"{classifier.name} gives {together.shape[1]} score an image",
            "It must give one score for each class.",
        )
    if together.shape[1] != classifier.n_outputs:
        raise ConfigError(
            f"{classifier.name} gives {together.shape[1]} scores, "
            f"{labels} has {classifier.n_outputs} labels",
            "Name every score once, in their order: --labels FILE.",
        )
    alone = classifier.scores(images[:1])
    spread = float(together.amax() - together.amin())
    if float((alone[0] - together[0]).abs().amax()) > CLOSE * max(spread, 1e-6):
        raise ConfigError(
            f"{classifier.name}: its scores of an image change from call to call, or with the "
            "images beside it",
            "Put the network into evaluation mode, model.eval(), before it is used or exported.",
        )
    return together.cpu()


def _are_probabilities(scores: Tensor) -> bool:
    """Whether a softmax has been taken already: logits of noise do not add up to one."""
    sums = scores.sum(dim=1)
    inside = bool((scores >= 0).all()) and bool((scores <= 1).all())
    return inside and bool(((sums - 1).abs() < 1e-3).all())


def _outline(scores: Tensor) -> list[float]:
    """The answers to two random images, so coarse that rounding does not show."""
    values = scores.double().numpy()
    scale = float(np.std(values)) or 1.0
    return [float(x) for x in np.round((values - values.mean()) / scale, 1).ravel() + 0.0]


def _notes(classifier: ExternalClassifier, outputs: int, *, probabilities: bool) -> tuple[str, ...]:
    notes = []
    if classifier.outside:
        notes.append(
            f"{classifier.outside} of its {outputs} outputs are no class of this data set; an "
            "answer among them counts as wrong."
        )
    if probabilities:
        notes.append("Its scores are probabilities; they are taken as they are.")
    notes.append(
        "What it was trained on is not known here: images of its training would make the answer "
        "too good."
    )
    return tuple(notes)
