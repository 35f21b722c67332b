"""A trunk on a CPU gives the numbers and derivatives of its layers, where nothing else is asked."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from c2f_train import fused_trunk
from c2f_train.device import autocast
from c2f_train.fused_trunk import fused_maps, max_pool

CPU = torch.device("cpu")
TAPS = (1, 6, 8)
SIZES = [(4, 4), (5, 7), (2, 3), (28, 29)]


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
        nn.Conv2d(32, 32, 1, bias=False),
        nn.ReLU(inplace=True),
    ).to(memory_format=torch.channels_last)


def images(height: int = 22, width: int = 19) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(3, 3, height, width).contiguous(memory_format=torch.channels_last)


def one_by_one(network: nn.Sequential, x: Tensor) -> list[Tensor]:
    taken = []
    for layer, after in pairwise([*network, None]):
        x = layer(x) if not isinstance(layer, nn.ReLU) else torch.relu(x)
        if isinstance(layer, nn.ReLU) and not isinstance(after, nn.MaxPool2d):
            taken.append(x)
    return taken


def fused(network: nn.Sequential, x: Tensor, precision: str) -> list[Tensor]:
    found = fused_maps(network, x, TAPS)
    if found is None:
        pytest.skip(f"no oneDNN for {precision} here")
    return found


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_numbers_are_those_of_the_layers(precision: str) -> None:
    network, x = layers(), images()
    with torch.inference_mode(), autocast(CPU, precision):  # type: ignore[arg-type]
        wanted = one_by_one(network, x)
        found = fused(network, x, precision)
    assert len(found) == 3
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.dtype == theirs.dtype
        assert ours.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("trained", ["all", "the images alone", "the last layers"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_derivatives_are_those_of_the_layers(precision: str, trained: str) -> None:
    network, x = layers(), images().requires_grad_(trained != "the last layers")
    network.requires_grad_(trained == "all")
    if trained == "the last layers":
        network[5:].requires_grad_(True)
    of = [t for t in (x, *network.parameters()) if t.requires_grad]
    found = []
    for run in (lambda: fused(network, x, precision), lambda: one_by_one(network, x)):
        with autocast(CPU, precision):  # type: ignore[arg-type]
            maps = [m for m in run() if m.requires_grad]
        torch.manual_seed(2)
        gradients = [torch.randn(m.shape).to(m) for m in maps]
        found.append(torch.autograd.grad(maps, of, gradients))
    for ours, theirs in zip(*found, strict=True):
        assert ours.dtype == theirs.dtype
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_maxima_are_those_of_the_pooling(size: tuple[int, int]) -> None:
    x = torch.randn(2, 5, *size).contiguous(memory_format=torch.channels_last)
    assert torch.equal(max_pool(x), nn.functional.max_pool2d(x, 2))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_of_equal_maxima_the_first_has_the_derivative(precision: str) -> None:
    network, x = layers(), images()
    with torch.no_grad():
        for layer in network:
            if isinstance(layer, nn.Conv2d):
                # Few values, so many windows have several maxima.
                layer.weight.copy_(torch.sign(layer.weight))
    x = torch.sign(x)
    found = []
    for run in (lambda: fused(network, x, precision), lambda: one_by_one(network, x)):
        with autocast(CPU, precision):  # type: ignore[arg-type]
            last = run()[-1]
        found.append(torch.autograd.grad(last, network[0].weight, torch.ones_like(last)))
    torch.testing.assert_close(*found, rtol=1e-6, atol=1e-6)


def test_only_where_nobody_asks_for_another_layout_or_format() -> None:
    network, x = layers(), images()
    assert fused_maps(network, x, TAPS) is not None
    assert fused_maps(network, x.contiguous(), TAPS) is None
    assert fused_maps(network.double(), x.double(), TAPS) is None


def test_a_compiled_trunk_is_made_of_the_layers_themselves() -> None:
    network, x = layers(), images()
    seen: list[bool] = []

    def run(x: Tensor) -> Tensor:
        found = fused_maps(network, x, TAPS)
        seen.append(found is None)
        return network(x)

    torch.compile(run, backend="eager")(x)
    assert seen == [True]


def test_without_onednn_the_layers_do_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused_trunk.torch.backends.mkldnn, "is_available", lambda: False)
    assert fused_maps(layers(), images(), TAPS) is None
