"""Exported programs and ONNX files: their answers, their inputs, and files that mean harm."""

from __future__ import annotations

import logging
import os
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from external_samples import (
    CPU,
    LABELS,
    OUTPUTS,
    SIDE,
    TREE,
    Colours,
    export,
    imagenet,
    onnx_file,
    onnx_weight,
    pixels,
    write_labels,
)
from torch import Tensor, nn

from c2f_data.errors import ConfigError
from c2f_train.external import External, ExternalRequest, load_external

Load = Callable[..., External]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def make(path: Path, labels: tuple[str, ...] = LABELS, **options: Any) -> External:
        given = {"trust": True} | options
        request = ExternalRequest(str(path), write_labels(tmp_path, labels), **given)
        return load_external(request, TREE, CPU)

    return make


def check_species(external: External, scores: Tensor, images: Tensor) -> None:
    """The finest level's softmax is the network's own."""
    with torch.inference_mode():
        species = external.classifier.all_logits(images)[-1].softmax(dim=1)
    torch.testing.assert_close(
        species[:, :4], scores.softmax(dim=1)[:, OUTPUTS], rtol=1e-4, atol=1e-5
    )


def test_an_exported_program_answers_as_the_network(load: Load, tmp_path: Path) -> None:
    model = Colours().eval()
    external = load(export(tmp_path / "birds.pt2", model))
    check_species(external, model(imagenet(pixels())), pixels())
    assert (external.spec.crop, external.name, external.source) == (SIDE, "birds", "birds.pt2")
    assert external.classifier.train() is external.classifier


def test_a_program_of_bytes_gets_bytes(load: Load, tmp_path: Path) -> None:
    class Bytes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Colours()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x.float() / 255)

    model = Bytes().eval()
    path = export(tmp_path / "b.pt2", model, dtype="uint8")
    check_species(load(path), model(pixels()), pixels())
    with pytest.raises(ConfigError, match="which takes bytes"):
        load(path, normalise="unit")


def test_a_program_of_one_image_at_a_time(load: Load, tmp_path: Path) -> None:
    model = Colours().eval()
    for batch in (1, 4):
        external = load(export(tmp_path / f"{batch}.pt2", model, batch=batch))
        assert external.classifier.batch == batch
        check_species(external, model(imagenet(pixels())), pixels())


def test_sides_that_a_program_takes(load: Load, tmp_path: Path) -> None:
    fixed = export(tmp_path / "fixed.pt2", Colours().eval())
    with pytest.raises(ConfigError, match=f"takes {SIDE} px only"):
        load(fixed, input_size=32)
    assert load(fixed, input_size=SIDE).spec.crop == SIDE
    free = export(tmp_path / "free.pt2", Colours().eval(), side=None)
    assert load(free).spec.crop == 224
    assert load(free, input_size=32).spec.crop == 32


def test_normalisation_changes_answers_and_key(load: Load, tmp_path: Path) -> None:
    model = Colours().eval()
    path = export(tmp_path / "birds.pt2", model)
    external = load(path, normalise="unit")
    check_species(external, model(pixels().float() / 255), pixels())
    assert external.key != load(path).key
    assert load(path).key == load(path).key


def test_a_program_in_training_mode_is_refused(load: Load, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="images beside it") as caught:
        load(export(tmp_path / "train.pt2", Colours().train()))
    assert "model.eval()" in caught.value.hint


def test_too_few_labels(load: Load, tmp_path: Path) -> None:
    path = export(tmp_path / "birds.pt2", Colours(7).eval())
    with pytest.raises(ConfigError, match=r"7 scores, .* has 6 labels"):
        load(path)


def test_programs_that_are_no_image_classifiers(load: Load, tmp_path: Path) -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x + y

    example = torch.zeros(2, 3)
    torch.export.save(torch.export.export(Two(), (example, example)), tmp_path / "two.pt2")
    with pytest.raises(ConfigError, match="2 inputs"):
        load(tmp_path / "two.pt2")
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "absent.pt2")


class Harm:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def poisoned(path: Path, victim: Path) -> Path:
    """An exported program whose example inputs are a pickle that makes a folder."""
    whole = export(path.with_name("whole.pt2"), Colours().eval())
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("sample_inputs/model.pt"):
                content = pickle.dumps(Harm(victim), protocol=2)
            target.writestr(name, content)
    return path


def test_a_program_is_not_read_without_trust(load: Load, tmp_path: Path) -> None:
    victim = tmp_path / "harm"
    path = poisoned(tmp_path / "bad.pt2", victim)
    with pytest.raises(ConfigError, match="can run code that is in the file") as caught:
        load(path, trust=False)
    assert "--trust-classifier" in caught.value.hint
    assert not victim.exists()
    # The reason for the refusal: torch does run it. Should this fail one day, look again.
    with pytest.raises(ConfigError):
        load(path, trust=True)
    assert victim.exists()


def test_a_damaged_program_is_one_line(
    load: Load, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = export(tmp_path / "birds.pt2", Colours().eval())
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(ConfigError, match=r"birds.pt2: not a program"):
        load(path)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def onnx_scores(images: Tensor) -> Tensor:
    return images.mean((2, 3)) @ torch.from_numpy(onnx_weight())


@pytest.fixture
def _onnx() -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")


@pytest.mark.usefixtures("_onnx")
def test_an_onnx_file_answers_as_the_network(load: Load, tmp_path: Path) -> None:
    external = load(onnx_file(tmp_path / "birds.onnx"), trust=False)
    check_species(external, onnx_scores(imagenet(pixels())), pixels())
    assert (external.spec.crop, external.name, external.source) == (SIDE, "birds", "birds.onnx")


@pytest.mark.usefixtures("_onnx")
@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((1, 3, SIDE, SIDE), "FLOAT"),
        (("n", SIDE, SIDE, 3), "FLOAT"),
        (("n", 3, "h", "w"), "UINT8"),
        (("n", 3, SIDE, SIDE), "FLOAT16"),
    ],
)
def test_onnx_inputs(load: Load, tmp_path: Path, shape: tuple[Any, ...], dtype: str) -> None:
    external = load(onnx_file(tmp_path / "birds.onnx", shape, dtype=dtype), input_size=SIDE)
    images = pixels()
    prepared = images.float() if dtype == "UINT8" else imagenet(images)
    loose = {"rtol": 5e-2, "atol": 2e-2} if dtype == "FLOAT16" else {"rtol": 1e-3, "atol": 1e-3}
    torch.testing.assert_close(external.classifier.scores(images), onnx_scores(prepared), **loose)


@pytest.mark.usefixtures("_onnx")
def test_an_onnx_softmax_is_seen(load: Load, tmp_path: Path) -> None:
    external = load(onnx_file(tmp_path / "shares.onnx", softmax=True))
    assert external.classifier.probabilities
    check_species(external, onnx_scores(imagenet(pixels())), pixels())


@pytest.mark.usefixtures("_onnx")
def test_onnx_files_that_do_not_fit(load: Load, tmp_path: Path) -> None:
    for shape, problem in [
        (("n", SIDE, 3), "not one batch of images"),
        (("n", 3, SIDE, SIDE + 1), f"{SIDE + 1} x {SIDE} px"),
    ]:
        with pytest.raises(ConfigError, match=problem):
            load(onnx_file(tmp_path / "odd.onnx", shape))
    with pytest.raises(ConfigError, match="5 scores"):
        load(onnx_file(tmp_path / "five.onnx", outputs=5))


@pytest.mark.usefixtures("_onnx")
def test_a_hostile_or_damaged_onnx_file_runs_nothing(load: Load, tmp_path: Path) -> None:
    victim = tmp_path / "harm"
    archive = poisoned(tmp_path / "bad.pt2", victim).read_bytes()
    half = onnx_file(tmp_path / "whole.onnx").read_bytes()[:60]
    for content in (archive, pickle.dumps(Harm(victim), protocol=2), half, b""):
        path = tmp_path / "bad.onnx"
        path.write_bytes(content)
        with pytest.raises(ConfigError, match="not an ONNX model") as caught:
            load(path)
        assert "\n" not in caught.value.message
    assert not victim.exists()


@pytest.mark.usefixtures("_onnx")
def test_onnx_without_its_extra(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = onnx_file(tmp_path / "birds.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match="not installed") as caught:
        load(path)
    assert "[onnx]" in caught.value.hint
