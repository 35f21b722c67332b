"""Classifiers of torchvision and timm: their preparation, labels and weights."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from external_samples import CPU, LABELS, OUTPUTS, TREE, imagenet, pixels, write_labels
from safetensors.torch import save_file
from torchvision.models import get_model, inception_v3

from c2f_data.errors import ArtefactError, ConfigError
from c2f_data.taxonomy import Taxonomy
from c2f_train.external import External, ExternalRequest, load_external

FISH = Taxonomy("fish", ("family", "species"), (("Cyprinidae", "tench"), ("Laridae", "goldfish")))
SMALL = "squeezenet1_1"


@pytest.fixture(autouse=True)
def _without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)

    def refuse(*_: object, **__: object) -> None:
        raise URLError("no network in tests")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)


def give_weights(monkeypatch: pytest.MonkeyPatch, state: dict[str, Any]) -> None:
    """As if torchvision's weights had been downloaded."""
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *_, **__: state)


def load(word: str, taxonomy: Taxonomy = FISH, **options: Any) -> External:
    return load_external(ExternalRequest(word, **options), taxonomy, CPU)


def check(external: External, model: torch.nn.Module, outputs: list[int], side: int = 64) -> None:
    images = pixels(2, side)
    with torch.inference_mode():
        species = external.classifier.all_logits(images)[-1].softmax(dim=1)[:, : len(outputs)]
        own = model.eval()(imagenet(images)).softmax(dim=1)[:, outputs]
    torch.testing.assert_close(species, own, rtol=1e-4, atol=1e-6)


def test_torchvision_brings_labels_and_preparation(monkeypatch: pytest.MonkeyPatch) -> None:
    model = get_model(SMALL, weights=None)
    give_weights(monkeypatch, model.state_dict())
    external = load(f"torchvision:{SMALL}")
    check(external, model, [0, 1])
    assert (external.spec.crop, external.spec.enlarge_to) == (224, 256)
    assert external.source == "torchvision IMAGENET1K_V1"
    assert external.classifier.outside == 998
    assert load(f"torchvision:{SMALL}").key == external.key
    give_weights(monkeypatch, get_model(SMALL, weights=None).state_dict())
    assert load(f"torchvision:{SMALL}").key != external.key
    assert load(f"torchvision:{SMALL}", input_size=64).spec.enlarge_to == 74


def test_torchvision_with_its_owners_weights(tmp_path: Path) -> None:
    model = get_model(SMALL, weights=None, num_classes=len(LABELS))
    save_file(model.state_dict(), tmp_path / "birds.safetensors")
    options: dict[str, Any] = {"weights": str(tmp_path / "birds.safetensors")}
    external = load(f"torchvision:{SMALL}", TREE, labels=write_labels(tmp_path), **options)
    check(external, model, OUTPUTS)
    assert external.source == "birds.safetensors"
    with pytest.raises(ConfigError, match="is not known"):
        load(f"torchvision:{SMALL}", TREE, **options)
    labels = write_labels(tmp_path, (*LABELS, "one more"))
    with pytest.raises(ArtefactError, match=r"size mismatch for classifier\.1"):
        load(f"torchvision:{SMALL}", TREE, labels=labels, **options)


def test_torchvision_that_is_not_there() -> None:
    with pytest.raises(ArtefactError, match="can't be downloaded") as caught:
        load(f"torchvision:{SMALL}")
    assert "\n" not in caught.value.message
    with pytest.raises(ConfigError, match="no classifier 'resnet5'"):
        load("torchvision:resnet5")
    with pytest.raises(ConfigError, match="no classifier 'fcn_resnet50'"):
        load("torchvision:fcn_resnet50")


def test_imagenet_labels_that_miss_the_data_set_are_seen_before_a_download() -> None:
    with pytest.raises(ConfigError, match=r"no output for 3 of 4 classes \(Common Raven"):
        load(f"torchvision:{SMALL}", TREE)


def test_densenet_weights_with_the_names_of_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    model = get_model("densenet121", weights=None)
    old = {
        re.sub(r"(layer\d+\.)(norm|conv)([12])\.", r"\1\2.\3.", key): value
        for key, value in model.state_dict().items()
        if "num_batches_tracked" not in key
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    give_weights(monkeypatch, old)
    check(load("torchvision:densenet121", input_size=64), model, [0, 1])


def test_inception_converts_its_input_as_it_was_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    model = inception_v3(weights=None, init_weights=False)
    give_weights(monkeypatch, model.state_dict())
    external = load("torchvision:inception_v3")
    model.transform_input = True
    assert external.spec.crop == 299
    check(external, model, [0, 1], side=96)


timm_installed = pytest.mark.skipif(
    importlib.util.find_spec("timm") is None, reason="timm is not installed"
)


@timm_installed
def test_timm_brings_labels_and_preparation(monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    build = timm.create_model
    model = build("resnet10t", pretrained=False)
    monkeypatch.setattr(timm, "create_model", lambda *_, **__: model)
    external = load("timm:resnet10t.c3_in1k")  # its labels: "tench, Tinca tinca"
    check(external, model, [0, 1])
    assert (external.spec.crop, external.spec.enlarge_to) == (176, 201)
    assert external.source == "timm c3_in1k"


@timm_installed
def test_timms_labels_that_miss_the_data_set_are_seen_before_a_download(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import timm

    monkeypatch.setattr(timm, "create_model", lambda *_, **__: pytest.fail("built"))
    with pytest.raises(ConfigError, match=r"no output for 3 of 4 classes \(Common Raven"):
        load("timm:resnet10t.c3_in1k", TREE)


@timm_installed
def test_timm_with_its_owners_weights(tmp_path: Path) -> None:
    import timm

    model = timm.create_model("vit_tiny_patch16_224", num_classes=len(LABELS))
    save_file(model.state_dict(), tmp_path / "birds.safetensors")
    options: dict[str, Any] = {
        "weights": str(tmp_path / "birds.safetensors"),
        "labels": write_labels(tmp_path),
    }
    external = load("timm:vit_tiny_patch16_224", TREE, **options)
    images = pixels(2, 224)
    with torch.inference_mode():
        species = external.classifier.all_logits(images)[-1].softmax(dim=1)
        own = model.eval()((images.float() / 255 - 0.5) / 0.5).softmax(dim=1)
    torch.testing.assert_close(species[:, :4], own[:, OUTPUTS], rtol=1e-4, atol=1e-6)
    with pytest.raises(ConfigError, match=r"fails on 2 images of \(96, 96\) px"):
        load("timm:vit_tiny_patch16_224", TREE, input_size=96, **options)


@timm_installed
def test_timm_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    for name in ("resnet5", "hf_hub:someone/something", "local-dir:/tmp/x"):
        with pytest.raises(ConfigError, match="timm has no model"):
            load(f"timm:{name}")

    def offline(*_: object, **__: object) -> None:
        raise FileNotFoundError("cannot find the requested files\nin the local cache")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(ConfigError, match="can't be built with its weights") as caught:
        load("timm:resnet10t")
    assert "\n" not in caught.value.message


def test_timm_without_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match="timm is not installed") as caught:
        load("timm:resnet10t")
    assert "[timm]" in caught.value.hint
