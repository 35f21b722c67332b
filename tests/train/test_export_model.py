"""Exported models: every pooling beside PyTorch, fixed and open batches, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_checkpoint import META, tiny_model
from torch import Tensor, nn
from train_samples import small_model

from c2f_data.artefacts import read_json, sha256_file
from c2f_data.errors import C2FError, ConfigError
from c2f_data.resample import ResampleSpec
from c2f_train import export_model
from c2f_train.checkpoint import save_models
from c2f_train.export_check import real_images
from c2f_train.export_model import SCHEMA, SCHEMA_VERSION, ModelExport
from c2f_train.external.labels import match_labels, read_labels
from c2f_train.pooling import POOLINGS

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

SMALL = replace(META, spec=ResampleSpec.for_input(32))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_models(tmp_path / "model", [tiny_model()], replace(META, crop="bbox"))
    return tmp_path / "model"


def photographs(side: int) -> Tensor:
    source = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (3, 3, side, side), generator=source, dtype=torch.uint8)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_pooling_in_onnx_for_any_batch(
    pooling: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small_model(pooling).eval()
    monkeypatch.setattr(export_model, "load_models", lambda _: ((model,), SMALL))
    save_models(tmp_path / "model", [model], SMALL)
    done = export_model.export_model(tmp_path / "model", "onnx", tmp_path / "m.onnx")
    assert done.check.difference <= 1e-5 * max(done.check.largest, 1)
    assert done.check.answers_changed == 0
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    assert session.get_inputs()[0].shape == ["batch", 3, 32, 32]
    assert [o.name for o in session.get_outputs()] == ["species", "genus", "family"]
    for count in (1, 3):
        images = photographs(32)[:count]
        with torch.no_grad():
            expected = model.all_logits(images)[::-1]
        for mine, theirs in zip(
            expected, session.run(None, {"images": images.numpy()}), strict=True
        ):
            torch.testing.assert_close(torch.from_numpy(theirs), mine, rtol=1e-4, atol=1e-5)


def test_a_program_of_torch_export_runs_alone(folder: Path, tmp_path: Path) -> None:
    done = export_model.export_model(folder, "torch-export", tmp_path / "m.pt2", batch=2)
    said = {"c2f_labels": "", "c2f_input": ""}
    program = torch.export.load(tmp_path / "m.pt2", extra_files=said)
    # A graph with operators of c2f's own would not run where c2f is absent.
    assert not [n for n in program.graph.nodes if str(n.target).startswith("c2f")]
    images = photographs(64)[:2]
    with torch.no_grad():
        expected = tiny_model().eval().all_logits(images)[::-1]
        found = program.module()(images)
    for mine, theirs in zip(expected, found, strict=True):
        torch.testing.assert_close(theirs, mine)
    labels = json.loads(said["c2f_labels"])
    assert labels["genus"] == list(META.hierarchy().names[1])
    assert json.loads(said["c2f_input"])["crop"] == 64
    assert json.loads(said["c2f_input"])["cut_to"] == "bbox"
    assert (done.batch, done.check.runtime.split()[0]) == (2, "torch")


def test_what_lies_beside_the_file(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.onnx"
    done = export_model.export_model(folder, "onnx", out, images=photographs(64))
    record = tmp_path / "m.onnx.json"
    assert done == read_json(
        record, ModelExport, schema=SCHEMA, version=SCHEMA_VERSION, maker="c2f export-model"
    )
    assert done.sha256 == sha256_file(out)
    assert done.weights == sha256_file(folder / "model.safetensors")
    assert (done.check.random, done.check.real, done.batch) == (6, 3, None)
    assert done.check.largest > 0
    assert done.crop == "bbox"
    assert [(o.level, o.classes) for o in done.outputs] == [
        ("species", 8),
        ("genus", 4),
        ("family", 2),
    ]
    taxonomy = META.hierarchy()
    labels = read_labels(tmp_path / done.outputs[0].labels)
    assert match_labels(labels, taxonomy, "labels").tolist() == list(range(8))
    assert read_labels(tmp_path / done.outputs[1].labels) == taxonomy.names[1]
    beside = {p.name for p in tmp_path.iterdir()} - {"model"}
    assert beside == {out.name, record.name, *(o.labels for o in done.outputs)}


def test_one_level_and_a_fixed_batch(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.onnx"
    done = export_model.export_model(folder, "onnx", out, levels=["genus"], batch=4)
    session = onnxruntime.InferenceSession(out)
    assert session.get_inputs()[0].shape == [4, 3, 64, 64]
    assert [(o.name, o.shape) for o in session.get_outputs()] == [("genus", [4, 4])]
    assert [o.labels for o in done.outputs] == ["m.onnx.genus.txt"]


@pytest.mark.parametrize("wrong", [0.5, float("nan")])
def test_a_file_that_answers_otherwise_is_refused(
    wrong: float, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = export_model._open_onnx

    def changed(path: Path) -> tuple[export_model.Program, str]:
        run, runtime = whole(path)
        return lambda images: [logits + wrong for logits in run(images)], runtime

    monkeypatch.setattr(export_model, "_open_onnx", changed)
    with pytest.raises(C2FError, match=r"m\.onnx is not the model: a logit differs by"):
        export_model.export_model(folder, "onnx", tmp_path / "m.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_an_earlier_export_is_kept_unless_told_otherwise(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.pt2"
    out.write_bytes(b"earlier")
    with pytest.raises(ConfigError, match=r"m\.pt2 exists\nAdd --overwrite"):
        export_model.export_model(folder, "torch-export", out)
    assert out.read_bytes() == b"earlier"
    export_model.export_model(folder, "torch-export", out, overwrite=True)
    assert out.stat().st_size > 1000


def test_what_has_no_meaning_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"not a name for --to onnx\nEnd it in \.onnx"):
        export_model.export_model(folder, "onnx", tmp_path / "m.pt2")
    with pytest.raises(ConfigError, match=r"--level order: .*\nChoose one of family, genus"):
        export_model.export_model(folder, "onnx", tmp_path / "m.onnx", levels=["order"])
    save_models(tmp_path / "two", [tiny_model(), tiny_model(1)], replace(META, folds=2))
    with pytest.raises(ConfigError, match="cross-validated classifier, 2 models"):
        export_model.export_model(tmp_path / "two", "onnx", tmp_path / "m.onnx")


def test_a_levels_name_leads_nowhere_else(folder: Path, tmp_path: Path) -> None:
    sly = replace(META, levels=("family", "genus", "../../sly"), trained=("../../sly",))
    save_models(folder, [tiny_model()], sly)
    with pytest.raises(ConfigError, match=r"level '\.\./\.\./sly'"):
        export_model.export_model(folder, "torch-export", tmp_path / "m.pt2")
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_what_a_format_can_not_express_is_one_clear_error(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fickle(nn.Module):
        """Its path depends on the pixels, which no graph can say."""

        def forward(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
            return z.mean(dim=(2, 3)) if float(z.sum()) > 1 else z.amax(dim=(2, 3))

    model = small_model("average")
    model.pooling = Fickle()
    monkeypatch.setattr(export_model, "load_models", lambda _: ((model,), SMALL))
    with pytest.raises(ConfigError, match=r"torch\.export can't express this model"):
        export_model.export_model(folder, "onnx", tmp_path / "m.onnx")


def test_real_images_come_from_the_shards(shards: Path) -> None:
    images = real_images(shards, ResampleSpec.for_input(32))
    assert images.shape == (8, 3, 32, 32)
    assert images.dtype == torch.uint8
    assert len({bytes(image.numpy().tobytes()) for image in images}) == 8
