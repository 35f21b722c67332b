"""`TinyVGG`: shapes, its attributes, and that its initialisation keeps the signal alive."""

from __future__ import annotations

import pytest
import torch

from c2f_train.tiny import TinyVGG


@pytest.mark.parametrize("side", [96, 128])
def test_three_maps_of_the_last_stage(side: int) -> None:
    trunk = TinyVGG()
    maps = trunk(torch.randn(2, 3, side, side))
    assert len(maps) == len(trunk.channels) == 3
    for features, channels in zip(maps, trunk.channels, strict=True):
        assert features.shape == (2, channels, side // trunk.stride, side // trunk.stride)
        assert float(features.detach().min()) >= 0.0


def test_no_layer_depends_on_the_batch() -> None:
    trunk = TinyVGG()
    x = torch.randn(4, 3, 64, 64)
    together = trunk(x)[2]
    alone = torch.cat([trunk(one)[2] for one in torch.chunk(x, 4)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert not list(trunk.buffers())


def test_the_initialisation_keeps_the_variance() -> None:
    torch.manual_seed(0)
    last = TinyVGG()(torch.randn(4, 3, 128, 128))[2]
    assert 0.2 < float((last * last).detach().mean()) < 5.0
