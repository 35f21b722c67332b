"""A trained model as one file that other programs run: ONNX, or a program of torch.export.

The graph takes the bytes of images that are enlarged and cropped already, normalises them itself,
and gives the logits of every level, finest first. Before the file gets its name it is run beside
PyTorch, and refused where the answers differ by more than rounding.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from c2f_data.artefacts import atomic_path, sha256_file, write_json, write_text
from c2f_data.errors import ConfigError, install_hint
from c2f_data.provenance import Provenance, collect
from c2f_data.resample import ResampleSpec
from c2f_data.workspace import safe_name
from c2f_train.checkpoint import MODEL_FILE, ModelMeta, load_models
from c2f_train.export_check import Check, Program, checked, random_images
from c2f_train.model import HierarchicalClassifier

Target = Literal["onnx", "torch-export"]
SUFFIXES: dict[Target, str] = {"onnx": ".onnx", "torch-export": ".pt2"}
SCHEMA = "c2f-model-export"
SCHEMA_VERSION = 1
# Opset 20 is the first whose DFT and Gelu are those of PyTorch.
OPSET = 20
INPUT = "images"
# Protobuf, the container of ONNX, holds no more than 2 GiB; the graph needs a little of it.
MOST_ONNX_BYTES = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Output:
    """One output of the graph: logits (B, classes), named by its level.

    Attributes:
        labels: file beside the model with the names of the classes, one a line, in their order.
    """

    level: str
    classes: int
    labels: str


@dataclass(frozen=True, slots=True)
class ModelExport:
    """What lies beside an exported model as JSON.

    Attributes:
        input_size: side S in pixels of the images, uint8 (B, 3, S, S).
        batch: B; None: any.
        outputs: finest first, in the order of the graph's outputs.
        preprocessing: from a picture to those images; the normalisation is inside the graph.
        crop: what that picture has to be cut to before, see
            :class:`c2f_train.checkpoint.ModelMeta`.
        weights: SHA-256 of the tensors that were exported.
    """

    target: Target
    file: str
    sha256: str
    bytes: int
    input_size: int
    batch: int | None
    outputs: tuple[Output, ...]
    preprocessing: ResampleSpec
    taxonomy_fingerprint: str
    weights: str
    check: Check
    provenance: Provenance
    crop: str | None = None


def export_model(
    folder: Path,
    target: Target,
    out: Path,
    *,
    levels: Sequence[str] = (),
    batch: int | None = None,
    images: Tensor | None = None,
    overwrite: bool = False,
) -> ModelExport:
    """Export a model folder, check the file, and write its labels and a JSON beside it.

    Args:
        folder: model.json and model.safetensors.
        out: FILE.onnx or FILE.pt2; beside it FILE.onnx.json and FILE.onnx.LEVEL.txt.
        levels: which classifiers; empty: all that were trained.
        batch: images that the graph takes at once; None: any number.
        images: (n, 3, S, S) uint8 of real pictures, to check with besides random ones.

    Raises:
        ArtefactError: the model folder is absent or damaged.
        ConfigError: the file exists, the model can't be exported so, or a package is missing.
        C2FError: the file's answers are not those of PyTorch.
    """
    _check_place(out, target, overwrite=overwrite)
    _require_packages(target)
    models, meta = load_models(folder)
    if meta.folds != 1:
        raise ConfigError(
            f"{folder}: a cross-validated classifier, {meta.folds} models in one folder",
            "Export a model of c2f train: --run NAME.",
        )
    chosen = _levels(meta, levels)
    outputs = _outputs(meta, chosen, out)
    graph = _Graph(models[0], [meta.levels.index(level) for level in chosen]).eval()
    given = torch.cat([random_images(meta.spec.crop), *([] if images is None else [images])])
    names = [output.level for output in outputs]
    program = _exported(graph, meta.spec.crop, batch)
    with atomic_path(out) as temporary:
        if target == "onnx":
            _write_onnx(program, temporary, names, _texts(meta, outputs), batch)
            run, runtime = _open_onnx(temporary)
        else:
            with _quiet():
                torch.export.save(program, temporary, extra_files=_texts(meta, outputs))
            run, runtime = _open_program(temporary)
        check = checked(graph, run, given, batch, runtime, out)
    for output, text in zip(outputs, _label_texts(meta, outputs), strict=True):
        write_text(out.with_name(output.labels), text)
    result = ModelExport(
        target=target,
        file=out.name,
        sha256=sha256_file(out),
        bytes=out.stat().st_size,
        input_size=meta.spec.crop,
        batch=batch,
        outputs=outputs,
        preprocessing=meta.spec,
        taxonomy_fingerprint=meta.hierarchy().fingerprint,
        weights=sha256_file(folder / MODEL_FILE),
        check=check,
        provenance=collect(device="cpu", seed=meta.seed),
        crop=meta.crop,
    )
    record = out.with_name(f"{out.name}.json")
    write_json(record, result, schema=SCHEMA, version=SCHEMA_VERSION)
    return result


class _Graph(nn.Module):
    """What is exported: bytes to the logits of the chosen levels, in their order."""

    def __init__(self, model: HierarchicalClassifier, levels: Sequence[int]) -> None:
        super().__init__()
        self.model = model
        self.levels = tuple(levels)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        features = self.model.features(images)
        return tuple(self.model.classify(features, level) for level in self.levels)


def _check_place(out: Path, target: Target, *, overwrite: bool) -> None:
    if out.suffix != SUFFIXES[target]:
        raise ConfigError(
            f"--out {out}: not a name for --to {target}", f"End it in {SUFFIXES[target]}."
        )
    if out.exists() and not overwrite:
        raise ConfigError(f"{out} exists", "Add --overwrite, or choose another --out.")


def _require_packages(target: Target) -> None:
    if target != "onnx":
        return
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"--to onnx: {error.name} is not installed", install_hint("onnx")
        ) from error


def _levels(meta: ModelMeta, wanted: Sequence[str]) -> tuple[str, ...]:
    """The chosen levels, finest first: readers that know one output take the first."""
    for level in wanted:
        if level not in meta.trained:
            raise ConfigError(
                f"--level {level}: the model has no trained classifier for it",
                f"Choose one of {', '.join(meta.trained)}, or all.",
            )
    return tuple(x for x in reversed(meta.levels) if x in (wanted or meta.trained))


def _outputs(meta: ModelMeta, levels: Sequence[str], out: Path) -> tuple[Output, ...]:
    counts = dict(zip(meta.levels, meta.counts, strict=True))
    if INPUT in levels:
        raise ConfigError(f"a level called {INPUT!r}, as the graph's input is", "Rename the level.")
    return tuple(
        Output(level, counts[level], f"{out.name}.{safe_name(level, 'level')}.txt")
        for level in levels
    )


def _label_texts(meta: ModelMeta, outputs: Sequence[Output]) -> list[str]:
    taxonomy = meta.hierarchy()
    return [
        "".join(f"{name}\n" for name in taxonomy.names[taxonomy.level_index(output.level)])
        for output in outputs
    ]


def _texts(meta: ModelMeta, outputs: Sequence[Output]) -> dict[str, str]:
    """What the file itself says: the classes of each output, and the geometry of its input."""
    taxonomy = meta.hierarchy()
    names = {o.level: taxonomy.names[taxonomy.level_index(o.level)] for o in outputs}
    side = {"fit": meta.spec.fit, "enlarge_to": meta.spec.enlarge_to, "crop": meta.spec.crop}
    return {
        "c2f_labels": json.dumps(names, ensure_ascii=False),
        "c2f_input": json.dumps({"pixels": "uint8 RGB", **side, "cut_to": meta.crop}),
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' progress lines, warnings about themselves and logged tracebacks."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _exported(graph: nn.Module, side: int, batch: int | None) -> Any:
    example = torch.zeros(batch or 2, 3, side, side, dtype=torch.uint8)
    shapes = None if batch else {"images": {0: torch.export.Dim("batch", min=1)}}
    try:
        with _quiet():
            return torch.export.export(graph, (example,), dynamic_shapes=shapes, strict=False)
    except Exception as error:  # the exporter has no base class for what it can't express
        fixed = "" if batch else " for any number of images"
        raise ConfigError(
            f"torch.export can't express this model{fixed} ({_first_line(error)})",
            "Try a fixed number of images: --batch 1." if not batch else "Use another backbone.",
        ) from error


def _write_onnx(
    program: Any, path: Path, names: list[str], texts: dict[str, str], batch: int | None
) -> None:
    weights = sum(tensor.numel() * tensor.element_size() for tensor in program.state_dict.values())
    if weights > MOST_ONNX_BYTES:
        raise ConfigError(
            f"{weights / 1e9:.1f} GB of weights, more than one ONNX file holds",
            "Use --to torch-export.",
        )
    try:
        with _quiet():
            made = torch.onnx.export(
                program,
                dynamo=True,
                input_names=[INPUT],
                output_names=names,
                # The shapes are the program's; this names the axis.
                dynamic_shapes=None if batch else {INPUT: {0: "batch"}},
                opset_version=OPSET,
                external_data=False,
                verbose=False,
            )
            assert made is not None  # only the older exporter gives nothing
            made.model.metadata_props.update(texts)
            made.save(path)
    except OSError:
        raise
    except Exception as error:  # as above
        raise ConfigError(
            f"ONNX can't express this model ({_first_line(error)})", "Use --to torch-export."
        ) from error


def _open_onnx(path: Path) -> tuple[Program, str]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> list[Tensor]:
        return [torch.from_numpy(x) for x in session.run(None, {INPUT: images.numpy()})]

    return run, f"onnxruntime {onnxruntime.__version__}"


def _open_program(path: Path) -> tuple[Program, str]:
    # Written a moment ago by this process: no one else's program.
    with _quiet():
        return torch.export.load(path).module(), f"torch {torch.__version__}"


def _first_line(error: BaseException) -> str:
    """Of a library's error, for a message of one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
