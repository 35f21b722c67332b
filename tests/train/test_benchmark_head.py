"""What ``python -m benchmarks.head`` measures is the same head twice."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks import head as benchmark
from benchmarks.head import main
from benchmarks.head_passes import CONTESTANTS, Contestant, Pass, Sizes, contestants
from c2f_train.pooling.kernel_choice import PYTORCH, Choice, Kind, Maker
from c2f_train.pooling.triton_head import TILES

TINY = Sizes(batch=2, channels=4, dim=8, side=3, device="cpu", threads=1)


@pytest.mark.parametrize("name", CONTESTANTS)
def test_contestants_give_the_same_features_and_gradients(name: str) -> None:
    naive, own = Pass(CONTESTANTS["naive"], TINY), Pass(CONTESTANTS[name], TINY)
    close = {"rtol": 0.05, "atol": 0.05} if own.bfloat16 else {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(own.run(), naive.run(), **close)
    names = dict(naive.head.named_parameters())
    for key, parameter in own.head.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.dtype == torch.float32
        expected = names[key].grad
        assert expected is not None
        error = (parameter.grad.flatten() - expected.flatten()).norm()
        assert error < (0.4 if own.bfloat16 else 1e-4) * expected.norm(), key
    for mine, theirs in zip(own.maps, naive.maps, strict=True):
        assert mine.grad is not None
        assert theirs.grad is not None
        error = (mine.grad.float() - theirs.grad).norm()
        assert error < (0.4 if own.bfloat16 else 1e-4) * theirs.grad.norm()


def test_json_has_a_ratio_for_every_mode(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    peaks = {"naive": 1000, "recompute": 100, "keep": 400, "bf16_naive": 500}
    asked = []

    def child(command: list[str]) -> str:
        asked.append(command)
        return str(peaks.get(command[-1], 50))

    monkeypatch.setattr(benchmark, "output_of", child)
    sizes = ["--batch=2", "--channels=4", "--dim=8", "--side=3", "--threads=1"]
    main(["--json", "--runs=2", *sizes])
    found = json.loads(capsys.readouterr().out)
    assert found["recompute"]["memory"] == 0.1
    assert found["keep"]["memory"] == 0.4
    assert found["bf16_recompute"]["memory"] == 50 / 500
    assert found["to_float32"]["bf16_recompute"]["memory"] == 50 / 1000
    assert found["to_float32"]["bf16_naive"]["time"] > 0
    assert found["sizes"]["dim"] == 8
    assert all({"--dim=8", "--threads=1"} < set(command) for command in asked)

    main(["--runs=1", *sizes])
    assert "bf16_recompute / float32 naive: memory 0.050" in capsys.readouterr().out


def test_on_a_gpu_each_kernel_takes_part_and_the_choice_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert contestants("cpu") == CONTESTANTS
    on_gpu = contestants("cuda:0")
    assert on_gpu["bf16_keep_triton"] == Contestant("keep", True, "bf16_naive", "triton")
    assert on_gpu["bf16_recompute_torch"].kernel == "torch"

    kind = Kind("a GPU", (4, 4, 4), 9, 8, True, torch.bfloat16, True)
    triton = Maker(TILES[1])
    choice = Choice(triton, ((PYTORCH, 0.002), (triton, 0.001)))
    monkeypatch.setattr(benchmark, "choices", lambda: {kind: choice})
    monkeypatch.setattr(benchmark, "output_of", lambda _: "1")
    main(["--runs=1", "--batch=2", "--channels=4", "--dim=8", "--side=3", "--threads=1"])
    told = "keep: triton 128x64x64x8x3 (torch 2.00 ms, triton 128x64x64x8x3 1.00 ms)"
    assert told in capsys.readouterr().out


def test_memory_is_that_of_the_pass() -> None:
    """In processes of their own: 7 tensors of 25 MB against blocks of at most 2 MB."""
    sizes = "--batch=8 --channels=16 --dim=1024 --side=28 --threads=1 --memory-of"
    naive, own = (
        int(benchmark.output_of([benchmark.sys.executable, "-m", "benchmarks.head", *words]))
        for words in (f"{sizes} {name}".split() for name in ("naive", "recompute"))
    )
    assert naive > 6 * 8 * 784 * 1024 * 4
    assert own < 0.2 * naive


@pytest.mark.parametrize("words", [["--runs=0"], ["--clock=cpu", "--threads=2"]])
def test_usage(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(words)
