"""Backbones: the right three maps, and weights that are read, missing, damaged or hostile."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet18
from torchvision.models.vgg import cfgs, make_layers

from c2f_data.errors import ArtefactError, ConfigError
from c2f_train.backbones import Backbone, build_backbone, default_input_size
from c2f_train.model import build_model
from c2f_train.weights import read_state

VGG_FILE = "data/weights/vgg16_conv_imagenet_fp16.pth"


def images(side: int = 64, count: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 3, side, side), generator=generator, dtype=torch.uint8)


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    return (pixels.float() / 255 - mean) / std


@pytest.fixture(autouse=True)
def _random_weights_without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)

    def refuse(*_: object, **__: object) -> None:
        raise URLError("no network in tests")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)


def vgg16_features() -> torch.nn.Sequential:
    """torchvision's, with weights that do not fade; its large classifier is not built."""
    features = make_layers(cfgs["D"])
    for layer in features:
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return features


def by_torchvision(features: torch.nn.Sequential, pixels: torch.Tensor) -> list[torch.Tensor]:
    """Its features behind the ReLUs of conv5_1, conv5_2 and conv5_3."""
    taken, x = [], normalised(pixels)
    for position, layer in enumerate(features):
        x = layer(x)
        if position in (25, 27, 29):
            taken.append(x.clone())
    return taken


def check_vgg16(backbone: Backbone, reference: torch.nn.Sequential) -> None:
    with torch.no_grad():
        maps = backbone.eval()(images())
        expected = by_torchvision(reference.eval(), images())
    assert backbone.channels == (512, 512, 512)
    for mine, theirs in zip(maps, expected, strict=True):
        assert mine.shape == (1, 512, 4, 4)
        assert theirs.max() > 0.01
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-4 * float(theirs.max()))


def test_vgg16_gives_relu5_1_to_relu5_3_of_torchvision(tmp_path: Path) -> None:
    reference = vgg16_features()
    # A file of torchvision's also holds a classifier, which is left alone.
    state = dict(reference.state_dict(prefix="features."))
    torch.save(state | {"classifier.0.weight": torch.zeros(2)}, tmp_path / "vgg16.pth")
    backbone = build_backbone("vgg16", str(tmp_path / "vgg16.pth"))
    assert backbone.source == "vgg16.pth"
    check_vgg16(backbone, reference)


def test_the_shared_imagenet_weights_are_accepted(shared: Path) -> None:
    path = shared / VGG_FILE
    if not path.exists():
        pytest.skip(f"no {VGG_FILE} in the shared folder")
    backbone = build_backbone("vgg16", str(path))
    assert backbone.source == path.name
    assert all(p.dtype == torch.float32 for p in backbone.parameters())
    reference = vgg16_features()
    stored = torch.load(path, weights_only=True).items()
    reference.load_state_dict({k.removeprefix("features."): v.float() for k, v in stored})
    check_vgg16(backbone, reference)


def test_missing_weights_are_one_error_that_says_what_to_do() -> None:
    with pytest.raises(ArtefactError) as caught:
        build_backbone("vgg16", None)
    assert "can't be downloaded (<urlopen error no network in tests>)" in caught.value.message
    assert "vgg16-397923af.pth" in caught.value.hint
    assert "--weights FILE" in caught.value.hint
    assert "\n" not in caught.value.message + caught.value.hint


def test_a_torchvision_model_gives_its_last_three_activations() -> None:
    backbone = build_backbone("resnet18", "none")
    assert backbone.taps == ("layer4.0.relu_1", "layer4.1.relu", "layer4.1.relu_1")
    assert backbone.source == "from scratch"
    reference = resnet18(weights=None).eval()
    own = backbone.body.state_dict()
    reference.load_state_dict(
        {k.removeprefix("extractor."): v for k, v in own.items()}, strict=False
    )
    with torch.no_grad():
        maps = backbone.eval()(images(96))
        seen: list[torch.Tensor] = []
        reference.layer4.register_forward_hook(lambda *a: seen.append(a[2]))
        reference(normalised(images(96)))
    assert [m.shape for m in maps] == [(1, 512, 3, 3)] * 3
    torch.testing.assert_close(maps[2], seen[0], rtol=0, atol=1e-4 * float(seen[0].max()))


def test_taps_by_name() -> None:
    taps = ("layer3.0.relu", "layer3.1.relu", "layer3.1.relu_1")
    backbone = build_backbone("resnet18", "none", taps)
    assert backbone.taps == taps
    assert backbone.channels == (256, 256, 256)
    assert [m.shape[2:] for m in backbone.eval()(images(64))] == [(4, 4)] * 3


@pytest.mark.parametrize(
    ("name", "taps", "words"),
    [
        ("resnet", (), "no backbone 'resnet'"),
        ("fcn_resnet50", (), "no backbone 'fcn_resnet50'"),
        ("vgg16", ("a", "b", "c"), "--taps with vgg16"),
        ("tiny", ("a", "b", "c"), "--taps with tiny"),
        ("resnet18", ("layer3.0.relu", "layer3.1.relu"), "2 taps"),
        ("resnet18", ("layer3.0.relu", "layer3.1.relu", "layer9"), "no feature map 'layer9'"),
        ("resnet18", ("layer3.0.relu", "layer3.1.relu", "layer4.1.relu"), "differ in size"),
    ],
)
def test_no_such_model_or_maps(name: str, taps: tuple[str, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        build_backbone(name, "none", taps)


def test_tables_of_attention_are_no_feature_maps() -> None:
    with pytest.raises(ConfigError, match=r"swin_t has no three maps .*\n.*--taps A,B,C"):
        build_backbone("swin_t", "none")


def test_the_sides_a_network_sees() -> None:
    assert default_input_size("vgg16") == default_input_size("resnet18") == 448
    assert default_input_size("tiny") < 448


class Hostile:
    """Unpickling it would make a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("plain_pickle", [False, True])
def test_code_in_a_weights_file_is_not_run(tmp_path: Path, plain_pickle: bool) -> None:
    trap, file = tmp_path / "trap", tmp_path / "weights.pth"
    if plain_pickle:
        file.write_bytes(pickle.dumps(Hostile(trap), protocol=2))
    else:
        torch.save({"a": torch.zeros(1), "b": Hostile(trap)}, file)
    with pytest.raises(ArtefactError, match=r"weights\.pth: not a weights file"):
        read_state(file)
    assert not trap.exists()
    pickle.loads(pickle.dumps(Hostile(trap)))
    assert trap.exists()


def test_damaged_files_are_named(tmp_path: Path) -> None:
    whole = tmp_path / "whole.pth"
    for zipped in (True, False):
        torch.save({"a": torch.zeros(40)}, whole, _use_new_zipfile_serialization=zipped)
        data = whole.read_bytes()
        for number, damaged in enumerate((data[: len(data) // 2], b"", b"\x80\x02text", b"\xa7xy")):
            file = tmp_path / f"damaged-{number}.pth"
            file.write_bytes(damaged)
            with pytest.raises(ArtefactError, match=f"damaged-{number}.pth: not a weights file"):
                read_state(file)
    file = tmp_path / "damaged.safetensors"
    save_file({"a": torch.zeros(40)}, file)
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(ArtefactError, match=r"damaged\.safetensors: not a weights file"):
        read_state(file)
    with pytest.raises(ArtefactError, match="no such weights file\nCheck --weights"):
        read_state(tmp_path / "absent.pth")


def test_what_a_weights_file_may_hold(tmp_path: Path) -> None:
    tensors = {"a": torch.ones(2)}
    torch.save({"state_dict": tensors, "epoch": 3}, tmp_path / "nested.pth")
    assert torch.equal(read_state(tmp_path / "nested.pth")["a"], tensors["a"])
    torch.save({"a": torch.ones(2), "epoch": 3}, tmp_path / "mixed.pth")
    with pytest.raises(ArtefactError, match="not a state dict"):
        read_state(tmp_path / "mixed.pth")


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    state = build_backbone("tiny", "none").body.state_dict()
    first = next(iter(state))
    save_file(state, tmp_path / "tiny.safetensors")
    assert build_backbone("tiny", str(tmp_path / "tiny.safetensors")).source == "tiny.safetensors"
    with pytest.raises(ArtefactError, match=r"tiny\.safetensors: 26 of 26 tensors are missing"):
        build_backbone("vgg16", str(tmp_path / "tiny.safetensors"))
    state[first] = state[first][:1].clone()
    save_file(state, tmp_path / "short.safetensors")
    with pytest.raises(ArtefactError, match=rf"1 of .* of another shape \(first: {first}\)"):
        build_backbone("tiny", str(tmp_path / "short.safetensors"))


def test_a_saved_model_gives_its_trunk_to_a_torchvision_backbone(tmp_path: Path) -> None:
    """What calibrate trained is what train starts from, for these backbones, too."""
    trained = build_backbone("resnet18", "none")
    model = build_model(trained, "average", 0, (2, 3), seed=0)
    state = {key: value.contiguous() for key, value in model.state_dict().items()}
    save_file(state, tmp_path / "model.safetensors")
    again = build_backbone("resnet18", str(tmp_path))
    for key, value in trained.state_dict().items():
        assert torch.equal(again.state_dict()[key], value), key
    other = build_backbone("resnet18", "none")
    assert any(not torch.equal(other.state_dict()[k], v) for k, v in trained.state_dict().items())


def test_an_input_that_the_network_cannot_take_is_refused_at_once() -> None:
    backbone = build_backbone("alexnet", "none").train()
    with pytest.raises(ConfigError, match="alexnet can't take images of 16 px"):
        backbone.check_input(16)
    backbone.check_input(224)
    assert backbone.training
