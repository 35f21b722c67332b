"""README.md of a model folder: the model's card, with a YAML head as the Hugging Face hub reads it.

Everything in it comes from model.json. The licence is left to the user, and nothing of the machine
that trained the model is in it: a model folder is made to be passed on.
"""

from __future__ import annotations

import shlex
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from c2f_data.export.markdown import plain, table, yaml_block
from c2f_data.sources.request import LEFT, WHOLE
from c2f_train.config import TrainConfig

if TYPE_CHECKING:
    from c2f_train.checkpoint import ModelMeta
    from c2f_train.results import LevelAccuracy

CARD = "README.md"
LOADING = """from pathlib import Path; import torch
from c2f_data.decode import decode_file; from c2f_data.resample import to_input
from c2f_train.checkpoint import load_models
(model, *_), meta = load_models(Path("MODEL_FOLDER"))
image = torch.from_numpy(to_input(decode_file(Path("photo.jpg")).pixels, meta.spec).copy())
with torch.no_grad():
    logits = model.eval().all_logits(image.permute(2, 0, 1)[None])
print([names[int(x.argmax())] for names, x in zip(meta.hierarchy().names, logits)])"""


def card(meta: ModelMeta) -> str:
    """The card's text; what model.json does not know is said to be unknown."""
    parts = [
        f"---\n{yaml_block(_head(meta))}---",
        f"# {plain(_title(meta))}",
        _described(meta),
        "## Licence\n\nTo be stated by the user. The terms of the training images and of the "
        "first weights may bind the model too.",
        f"## Intended use\n\n{_use(meta)}",
        f"## Training data\n\n{_data(meta)}",
        f"## Accuracy\n\n{_metrics(meta)}",
        f"## Limits\n\n{_limits(meta)}",
        f"## Load it\n\n```python\n{LOADING}\n```\n\n{_files()}",
        f"## How it was trained\n\n{_training(meta)}",
    ]
    return "\n\n".join(parts) + "\n"


def _title(meta: ModelMeta) -> str:
    name = meta.recipe.model if meta.recipe else meta.pooling
    return f"{name} on {meta.backbone}" + (f" for {meta.dataset}" if meta.dataset else "")


def _head(meta: ModelMeta) -> dict[str, Any]:
    head: dict[str, Any] = {
        "library_name": "c2f",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "hierarchical", "fine-grained", meta.backbone],
    }
    if meta.metrics:
        measured = [
            {"type": "accuracy", "name": f"{m.level} at {_at(m)}", "value": round(m.accuracy, 4)}
            for m in meta.metrics
        ]
        result = {
            "task": {"type": "image-classification"},
            "dataset": {"name": meta.dataset or meta.taxonomy, "type": "image-folder"},
            "metrics": measured,
        }
        head["model-index"] = [{"name": _title(meta), "results": [result]}]
    return head


def _described(meta: ModelMeta) -> str:
    counts = ", ".join(
        f"{count} of level {plain(level)}"
        for level, count in zip(meta.levels, meta.counts, strict=True)
    )
    return (
        f"One network with one classifier for each of {len(meta.trained)} of "
        f"{len(meta.levels)} levels (classes: {counts}). It takes RGB images of "
        f"{meta.spec.crop} x {meta.spec.crop} px, cut from the centre of an image that was brought "
        f"to {meta.spec.enlarge_to} px ({meta.spec.fit}), and normalises them itself. "
        f"{_expected(meta)}"
    )


def _expected(meta: ModelMeta) -> str:
    """What an image has to show."""
    if meta.crop in LEFT:
        return (
            f"**It was trained on images cut to {LEFT[meta.crop]}.** Cut an image to its object "
            "in the same way first: a whole one is out of its distribution. All resolutions in "
            "px are those of the cut image."
        )
    if meta.crop == WHOLE:
        return "It was trained on whole images."
    return "Whether its training images were whole or cut to the object was not recorded."


def _use(meta: ModelMeta) -> str:
    return (
        f"To name the {plain(', '.join(meta.trained))} of what an image shows, where the image "
        "shows one of the classes of model.json. An image of anything else gets one of these "
        "names, too."
    )


def _data(meta: ModelMeta) -> str:
    count = f"{meta.train_images:,} images" if meta.train_images is not None else "images"
    of = f" of {plain(meta.dataset)}" if meta.dataset else ""
    lines = [f"Trained on {count}{of}; fingerprint of their names `{meta.train_fingerprint}`."]
    if meta.resolutions:
        rows = [
            [r.name, r.count, _resolution(r.resolution, native=r.native)] for r in meta.resolutions
        ]
        lines.append(table(["level", "classes", "shorter side of its images"], rows))
        lines.append(f"Images were reduced by {plain(meta.spec.described)}.")
    return "\n\n".join(lines)


def _metrics(meta: ModelMeta) -> str:
    if not meta.metrics:
        return "None is stored with this model."
    rows = [
        [
            m.level,
            _at(m),
            f"{m.accuracy:.1%}",
            f"{m.low:.1%} to {m.high:.1%}",
            m.n,
            f"{m.chance:.1%}",
        ]
        for m in meta.metrics
    ]
    head = ["level", "resolution", "accuracy", "95 % interval", "test images", "chance"]
    return table(head, rows) + "\n\nWilson intervals; chance is the most frequent class."


def _limits(meta: ModelMeta) -> str:
    """A level is given up at the resolution that the next coarser one was made for."""
    limits = [
        f"- Below {coarser.resolution} px of the shorter side the {plain(finer.name)} should not "
        f"be trusted: from there on the data set asks for the {plain(coarser.name)} only."
        for coarser, finer in zip(meta.resolutions, meta.resolutions[1:], strict=False)
        if coarser.resolution is not None and finer.name in meta.trained
    ]
    limits.reverse()  # finest first: it is lost first
    untrained = [level for level in meta.levels if level not in meta.trained]
    if untrained:
        limits.append(f"- The classifiers of {plain(', '.join(untrained))} were not trained.")
    if meta.crop in LEFT:
        limits.append(
            "- Whole images, of which the object is a part, were not measured: the accuracy is "
            f"that of images cut to {LEFT[meta.crop]}."
        )
    limits.append(
        "- The accuracy is that of images like the test images; other cameras, places and seasons "
        "were not measured."
    )
    return "\n".join(limits)


def _files() -> str:
    return (
        "The numbers are in model.safetensors and their meaning in model.json: reading them runs "
        "no code of the folder's. `c2f export-model --model FOLDER --to onnx` makes one file for "
        "other programs."
    )


def _training(meta: ModelMeta) -> str:
    parts = [f"First weights: {plain(meta.weights)}. Seed {meta.seed}."]
    if meta.recipe:
        values = [[field.name, getattr(meta.recipe, field.name)] for field in fields(TrainConfig)]
        parts.append(table(["setting", "value"], values))
    if meta.provenance:
        made = meta.provenance
        versions = ", ".join(f"{name} {number}" for name, number in made.versions.items())
        command = shlex.join(made.command).replace("`", "'").replace("\n", " ")
        parts.append(f"```\n{command}\n```")
        parts.append(f"Python {plain(made.python)}; {plain(versions)}; on {plain(made.device)}.")
    return "\n\n".join(parts)


def _at(m: LevelAccuracy) -> str:
    return _resolution(m.resolution, native=m.native)


def _resolution(value: int | None, *, native: bool) -> str:
    if value is None:
        return "native" if native else "unknown"
    return f"{value} px (native, median)" if native else f"{value} px"
