"""Which device and which number format: what is there, what is refused, what repeats."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from c2f_data.errors import ConfigError, DeviceError
from c2f_train import device as module
from c2f_train.device import (
    autocast,
    describe_device,
    pick_device,
    pick_precision,
    seed_everything,
)

CPU = torch.device("cpu")


@pytest.fixture
def no_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.usefixtures("no_accelerator")
def test_without_an_accelerator_auto_is_the_cpu() -> None:
    assert pick_device("auto") == pick_device("cpu") == CPU
    assert describe_device(CPU).startswith("cpu, ")


def test_auto_prefers_cuda_then_mps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto").type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto").type == "mps"


@pytest.mark.usefixtures("no_accelerator")
@pytest.mark.parametrize("name", ["cuda", "cuda:1", "mps", "meta"])
def test_a_named_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(DeviceError, match=f"device '{name}' is not there\nUse --device auto"):
        pick_device(name)


def test_a_second_gpu_must_be_there_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert pick_device("cuda:0") == torch.device("cuda:0")
    with pytest.raises(DeviceError, match="cuda:1"):
        pick_device("cuda:1")


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x"])
def test_a_word_that_is_no_device_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="Choose one of auto, cuda, mps, cpu"):
        pick_device(name)


def test_precision_by_name() -> None:
    assert pick_precision("float32", CPU) == "float32"
    assert pick_precision("bfloat16", CPU) == "bfloat16"
    with pytest.raises(ConfigError, match="no precision 'float16'\nChoose auto, float32"):
        pick_precision("float16", CPU)
    with pytest.raises(ConfigError, match="not available on mps"):
        pick_precision("bfloat16", torch.device("mps"))
    assert pick_precision("auto", torch.device("mps")) == "float32"


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx512_bf16": True}, "bfloat16"),
        ({"amx_bf16": True, "avx512_bf16": False}, "bfloat16"),
        ({"avx2": True, "avx512_bf16": False}, "float32"),
        ({}, "float32"),
    ],
)
def test_auto_takes_bfloat16_only_where_the_cpu_computes_in_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], expected: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert pick_precision("auto", CPU) == expected
    assert module._has_bfloat16(CPU) == (expected == "bfloat16")


def test_autocast_is_on_for_bfloat16_alone() -> None:
    layer, x = torch.nn.Linear(2, 2), torch.ones(1, 2)
    with autocast(CPU, "float32"):
        assert layer(x).dtype == torch.float32
    with autocast(CPU, "bfloat16"):
        assert layer(x).dtype == torch.bfloat16


def test_a_seed_repeats_all_three_generators() -> None:
    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.random()), float(torch.rand(()))  # noqa: NPY002

    seed_everything(5)
    first = draw()
    assert draw() != first
    seed_everything(5)
    assert draw() == first
