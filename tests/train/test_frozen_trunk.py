"""A frozen trunk on a CPU gives the numbers of its layers, and only where nothing else is asked."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from c2f_train import frozen_trunk
from c2f_train.device import autocast
from c2f_train.frozen_trunk import frozen_maps, max_pool

CPU = torch.device("cpu")
TAPS = (1, 6)


def layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(inplace=True),
    ).to(memory_format=torch.channels_last)


def images(height: int = 22, width: int = 19) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(3, 3, height, width).contiguous(memory_format=torch.channels_last)


def one_by_one(network: nn.Sequential, x: Tensor) -> list[Tensor]:
    taken = []
    for position, layer in enumerate(network):
        x = layer(x)
        if position in TAPS:
            taken.append(x.clone())
    return taken


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_numbers_are_those_of_the_layers(precision: str) -> None:
    network, x = layers(), images()
    with torch.inference_mode(), autocast(CPU, precision):  # type: ignore[arg-type]
        wanted = one_by_one(network, x)
        found = frozen_maps(network, x, TAPS)
    if found is None:
        pytest.skip(f"no oneDNN for {precision} here")
    assert len(found) == 2
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.dtype == theirs.dtype
        assert ours.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("size", [(4, 4), (5, 7), (2, 3), (28, 29)])
def test_maxima_are_those_of_the_pooling(size: tuple[int, int]) -> None:
    x = torch.randn(2, 5, *size).contiguous(memory_format=torch.channels_last)
    assert torch.equal(max_pool(x), nn.functional.max_pool2d(x, 2))


def test_only_where_nobody_asks_for_derivatives_or_another_layout() -> None:
    network, x = layers(), images()
    assert frozen_maps(network, x, TAPS) is None  # derivatives are on
    with torch.no_grad():
        assert frozen_maps(network, x, TAPS) is not None
        assert frozen_maps(network, x.contiguous(), TAPS) is None
        assert frozen_maps(network.double(), x.double(), TAPS) is None


def test_without_onednn_the_layers_do_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen_trunk.torch.backends.mkldnn, "is_available", lambda: False)
    with torch.no_grad():
        assert frozen_maps(layers(), images(), TAPS) is None
