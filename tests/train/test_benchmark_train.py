"""What ``python -m benchmarks.train`` measures is one training, twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.own_training import PARTS, OwnTraining
from benchmarks.plain_mlph import PlainTraining
from benchmarks.roofline import Peak, Work
from benchmarks.timing import this_machine
from benchmarks.train import Sizes, TrainBenchmark, contestants, main, text
from c2f_train.step import Batch

TINY = Sizes(2, 32, 8, "vgg16", "cpu", 1, 0)


def normalised(images: torch.Tensor) -> torch.Tensor:
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    return (images.float() / 255 - mean) / deviation


def test_contestants_do_the_same_to_the_same_numbers(tmp_path: Path) -> None:
    """The loss and every parameter after a step; only summation order may differ."""
    found = contestants(TINY, tmp_path, 4, ("float32",))
    own, plain = found["c2f float32"], found["plain float32"]
    assert isinstance(own, OwnTraining)
    assert isinstance(plain, PlainTraining)
    torch.manual_seed(0)
    for level in (2, 1, 0):
        images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
        labels = torch.tensor([0, len(own.trainer.model.counts) // 4])
        plain._turns = iter([(level, iter([(normalised(images), labels)]))])  # type: ignore[assignment]
        own.clock.begin()
        loss, _ = own.trainer(Batch(level, images, labels), 1, 0, 10)
        assert loss.item() / 2 == pytest.approx(plain.step(), rel=1e-4)
        # The levels that have no turn are left alone in both.
        for model in (own.trainer.model, plain.model):
            grads = [next(c.parameters()).grad for c in model.classifiers]
            assert [g is not None for g in grads] == [n == level for n in range(3)]
    ours = dict(own.trainer.model.named_parameters())
    for name, value in plain.model.named_parameters():
        mine = next(v for k, v in ours.items() if k.endswith(own_name(name)))
        torch.testing.assert_close(
            mine.detach().flatten(), value.detach().flatten(), rtol=1e-3, atol=1e-5
        )


def own_name(plain: str) -> str:
    return plain.replace("trunk.", "backbone.body.features.")


def test_json_and_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.roofline.CPU_SIDE", 64)
    monkeypatch.setattr("benchmarks.roofline.COPIED_BYTES", 2**16)
    words = ["--batch=2", "--side=32", "--dim=8", "--workers=0", "--threads=1", "--device=cpu"]
    main(["--json", "--rounds=1", *words])
    found = json.loads(capsys.readouterr().out)
    assert set(found["images_per_second"]) == {
        "c2f float32",
        "c2f bfloat16",
        "plain float32",
        "plain bfloat16",
    }
    assert set(found["split"]["bfloat16"]) == set(PARTS)
    assert all(found["split"]["float32"][part] > 0 for part in PARTS)
    assert found["work"]["float32"]["flops"] == found["work"]["bfloat16"]["flops"]
    assert found["targets"]["vs_plain"][0] == 1.1
    assert found["targets"]["vs_plain"][1] == found["vs_plain"]["bfloat16"]


def test_the_table_says_which_targets_are_met() -> None:
    figures = {"c2f float32": 1.0, "c2f bfloat16": 3.0, "plain float32": 0.9, "plain bfloat16": 2.0}
    both = {"float32": 1.1, "bfloat16": 1.5}
    found = TrainBenchmark(
        images_per_second=figures,
        vs_plain=both,
        bfloat16_gain={"c2f": 3.0, "plain": 2.2},
        split={kind: dict.fromkeys(PARTS, 0.25) for kind in both},
        peak=Peak(both, 5.0),
        work={},
        of_roofline=both,
        targets={"vs_plain": (1.1, 1.5, True), "images_per_second": (700.0, 3.0, False)},
        sizes=TINY,
        rounds=3,
        machine=this_machine(),
        torch="2",
    )
    lines = "\n".join(text(found))
    assert "| c2f, bfloat16 | 3.00 | 1.50 | 1.50 |" in lines
    assert "vs_plain: 1.50, target >= 1.1: met" in lines
    assert "images_per_second: 3.00, target >= 700.0: not met" in lines


def test_the_roofline_is_the_slower_of_arithmetic_and_memory() -> None:
    peak = Peak({"float32": 10.0}, 5.0)
    assert Work(flops=100.0, bytes=10.0).seconds(peak, "float32") == 10.0
    assert Work(flops=10.0, bytes=100.0).seconds(peak, "float32") == 20.0


@pytest.mark.parametrize("word", ["--rounds=0", "--workers=-1"])
def test_usage(word: str) -> None:
    with pytest.raises(SystemExit):
        main([word])
