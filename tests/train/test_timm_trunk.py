"""Networks of timm as backbones: three maps by rule or by name, their own normalisation."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from c2f_data.errors import ArtefactError, ConfigError
from c2f_train import timm_trunk
from c2f_train.backbones import build_backbone, default_input_size

timm = pytest.importorskip("timm")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The maps are looked at on small images where a network takes any."""
    monkeypatch.setattr(timm_trunk, "USUAL_SIDE", 64)
    torch.manual_seed(0)


def images(side: int = 64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (1, 3, side, side), generator=generator, dtype=torch.uint8)


def normalised(side: int = 64, mean: float | None = None) -> torch.Tensor:
    x = images(side).float() / 255
    if mean is not None:
        return (x - mean) / mean
    own = [torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    return (x - own[0]) / own[1]


def close(mine: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-4 * float(theirs.abs().max()))


def test_activations_of_the_last_stage() -> None:
    backbone = build_backbone("timm:resnet18", "none").eval()
    assert backbone.taps == ("layer4.0.act2", "layer4.1.act1", "layer4.1.act2")
    with torch.no_grad():
        maps = backbone(images())
        expected = backbone.body.net.forward_features(normalised())
    assert [m.shape for m in maps] == [(1, 512, 2, 2)] * 3
    close(maps[2], expected)
    assert backbone.source == "from scratch"
    assert len(backbone.used_parameters()) == len(list(backbone.parameters()))


def test_blocks_where_activations_are_not_maps() -> None:
    backbone = build_backbone("timm:convnext_tiny", "none").eval()
    assert backbone.taps == tuple(f"stages.3.blocks.{i}" for i in range(3))
    with torch.no_grad():
        assert [m.shape for m in backbone(images())] == [(1, 768, 2, 2)] * 3
    # The norm behind the pooling belongs to the classifier that was left out.
    assert backbone.body.unused == {"net.head.norm.weight", "net.head.norm.bias"}
    assert len(backbone.used_parameters()) == len(list(backbone.parameters())) - 2


def test_three_sizes_where_the_last_stage_is_too_short() -> None:
    backbone = build_backbone("timm:convnext_atto", "none").eval()
    assert backbone.taps == ("1", "2", "3")
    with torch.no_grad():
        assert {m.shape[2:] for m in backbone(images())} == {(4, 4)}


def test_the_blocks_of_a_transformer_and_its_own_normalisation() -> None:
    name = "timm:vit_tiny_patch16_224.augreg_in21k"
    backbone = build_backbone(name, "none").eval()
    assert backbone.taps == ("9", "10", "11")
    assert default_input_size(name) == 224
    with torch.no_grad():
        maps = backbone(images(224))
        theirs = backbone.body.net.forward_intermediates(
            normalised(224, 0.5), indices=3, intermediates_only=True
        )
    for mine, expected in zip(maps, theirs, strict=True):
        close(mine, expected)
    with pytest.raises(ConfigError, match="can't take images of 64 px"):
        backbone.check_input(64)


def test_taps_by_name_and_by_number() -> None:
    by_name = build_backbone("timm:resnet18", "none", ("layer2", "layer3", "layer4")).eval()
    state = by_name.body.net.state_dict()
    by_number = build_backbone("timm:resnet18", "none", ("2", "3", "4")).eval()
    by_number.body.net.load_state_dict(state)
    with torch.no_grad():
        first, second = by_name(images()), by_number(images())
        plain = by_name.body.net.forward_intermediates(normalised(), intermediates_only=True)
    # All are brought to the size of the second: 8, 4 and 2 px.
    assert [m.shape for m in first] == [(1, c, 4, 4) for c in (128, 256, 512)]
    for mine, theirs in zip(first, second, strict=True):
        close(mine, theirs)
    close(first[0], torch.nn.functional.avg_pool2d(plain[2], 2))
    bigger = torch.nn.functional.interpolate(plain[4], size=(4, 4), mode="bilinear")
    close(first[2], bigger)


@pytest.mark.parametrize(
    ("taps", "word"),
    [
        (("layer4", "3", "4"), "three numbers"),
        (("layer4", "layer3", "layer9"), "no module 'layer9'"),
        (("layer4", "layer3", "global_pool"), "no maps at"),
        (("2", "3", "99"), "no maps at"),
        (("layer3", "layer4"), "2 taps"),
    ],
)
def test_taps_that_are_not_there(taps: tuple[str, ...], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        build_backbone("timm:resnet18", "none", taps)


def test_what_lies_behind_the_last_map_is_not_trained() -> None:
    backbone = build_backbone("timm:resnet18", "none", ("layer1", "layer2", "layer3"))
    assert {name.split(".")[1] for name in backbone.body.unused} == {"layer4"}
    backbone.requires_grad_(False)
    assert backbone.body.unused
    assert not any(p.requires_grad for p in backbone.parameters())
    assert all(p.grad is None for p in backbone.parameters())


def test_a_copy_has_maps_of_its_own() -> None:
    backbone = build_backbone("timm:resnet18", "none").eval()
    twin = copy.deepcopy(backbone)
    with torch.no_grad():
        before = backbone(images())
        for parameter in twin.parameters():
            parameter.zero_()
        assert float(twin(images())[2].abs().max()) == 0
        for mine, again in zip(before, backbone(images()), strict=True):
            assert torch.equal(mine, again)


def test_a_weights_file_of_timms_own_names(tmp_path: Path) -> None:
    whole = timm.create_model("resnet18", pretrained=False)
    path = tmp_path / "resnet18.safetensors"
    save_file(whole.state_dict(), path)
    backbone = build_backbone("timm:resnet18", str(path)).eval()
    assert backbone.source == "resnet18.safetensors"
    with torch.no_grad():
        close(backbone(images())[2], whole.eval().forward_features(normalised()))
    with pytest.raises(ArtefactError, match="missing or of another shape"):
        build_backbone("timm:resnet10t", str(path))


def test_absent_weights_are_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("offline\nand more")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(ConfigError, match=r"with its weights \(offline\)\n.*--weights FILE"):
        build_backbone("timm:resnet18", None)


def test_names_that_timm_does_not_list() -> None:
    for name in ("resnet19", "hf-hub:someone/resnet18", "local-dir:/tmp"):
        with pytest.raises(ConfigError, match="timm has no model"):
            build_backbone(f"timm:{name}", "none")


def test_timm_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match=r"timm is not installed\nInstall it: .*\[timm\]"):
        build_backbone("timm:resnet18", "none")
