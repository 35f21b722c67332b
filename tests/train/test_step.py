"""A step of training: parts of a batch, smoothed labels, averaged weights, what can be timed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from train_samples import CPU, changed, small_model, state_of

from c2f_data.errors import ArtefactError
from c2f_train.config import TrainConfig
from c2f_train.ema import Average
from c2f_train.step import NOBODY, Batch, TrainingStep

CONFIG = TrainConfig(batch_size=6, stage2_lr=0.01)
LEVELS = (2, 1, 0)


def batch(level: int = 1, count: int = 5) -> Batch:
    generator = torch.Generator().manual_seed(5)
    images = torch.randint(0, 256, (count, 3, 16, 16), generator=generator, dtype=torch.uint8)
    return Batch(level, images, torch.arange(count) % 2)


def after_steps(config: TrainConfig, count: int = 3) -> tuple[dict[str, torch.Tensor], list[float]]:
    model = small_model()
    step = TrainingStep(model, config, 2, LEVELS, CPU)
    step.train()
    losses = [float(step(batch(LEVELS[i % 3]), 1, i, count)[0]) for i in range(count)]
    return state_of(model), losses


@pytest.mark.parametrize("parts", [2, 3, 5])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_batch_in_parts_makes_the_step_of_the_whole(parts: int, optimizer: str) -> None:
    config = replace(CONFIG, optimizer=optimizer, stage2_lr=0.01 if optimizer == "sgd" else 1e-4)
    whole, losses = after_steps(config)
    state, in_parts = after_steps(replace(config, accumulate=parts))
    assert in_parts == pytest.approx(losses, rel=1e-5)
    start = state_of(small_model())
    for name, value in whole.items():
        # The difference is small against what the steps changed.
        moved = float((value - start[name]).abs().max())
        assert float((value - state[name]).abs().max()) <= 1e-4 * moved + 1e-7, name


def test_an_image_that_fills_a_part_does_not_count() -> None:
    """Its loss and its gradients are 0; the batch's mean is over the others."""
    model, twin = small_model(), small_model()
    inputs, labels = batch().inputs, batch().labels.clone()
    labels[4] = NOBODY
    states = []
    for net, given in (
        (model, Batch(1, inputs, labels, whole=4)),
        (twin, Batch(1, inputs[:4], labels[:4])),
    ):
        step = TrainingStep(net, CONFIG, 2, LEVELS, CPU)
        step.train()
        step(given, 1, 0, 1)
        states.append(state_of(net))
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name], rtol=0, atol=1e-6)


def test_labels_are_smoothed_as_defined() -> None:
    """(1 - e) of the true class's loss and e of the mean over all classes."""
    model = small_model()
    step = TrainingStep(model, replace(CONFIG, label_smoothing=0.2), 2, LEVELS, CPU)
    given = batch()
    with torch.no_grad():
        logs = model(given.inputs, 1).log_softmax(dim=1)
    own = -logs[torch.arange(5), given.labels]
    expected = (0.8 * own - 0.2 * logs.mean(dim=1)).sum()
    loss, right = step(given, 1, 0, 1)
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    assert int(right) == int((logs.argmax(dim=1) == given.labels).sum())


def test_the_average_is_that_of_the_formula() -> None:
    model = nn.Linear(2, 1, bias=False)
    average = Average(model, 0.5)
    expected = model.weight.detach().clone()
    for t in range(12):
        with torch.no_grad():
            model.weight.add_(t + 1)
        average.update(t)
        decay = min(0.5, (1 + t) / (10 + t))
        expected = decay * expected + (1 - decay) * model.weight.detach()
    torch.testing.assert_close(average.state()["weight"], expected)
    live = model.weight.detach().clone()
    with average.in_place():
        torch.testing.assert_close(model.weight.detach(), expected)
    assert torch.equal(model.weight, live)
    average.put_in()
    torch.testing.assert_close(model.weight.detach(), expected)
    with pytest.raises(ArtefactError, match="don't fit"):
        average.restore({"weight": torch.zeros(3, 3)}, "a file")


def test_the_average_has_running_statistics_too() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    average = Average(model, 0.9)
    model(torch.randn(8, 3))
    average.update(0)
    state = average.state()
    assert int(state["1.num_batches_tracked"]) == 1
    assert float((state["1.running_mean"]).abs().max()) > 0


def test_what_the_network_draws_depends_on_the_step_alone() -> None:
    model = small_model()
    model.pooling.register_forward_pre_hook(
        lambda _, maps: tuple(nn.functional.dropout(m, 0.5) for m in maps)
    )
    start = state_of(model)
    losses = []
    for noise, number in ((1, 4), (2, 4), (1, 5)):
        torch.manual_seed(noise)
        model.load_state_dict(start)
        step = TrainingStep(model, CONFIG, 2, LEVELS, CPU)
        losses.append(float(step(batch(), 1, number, 9)[0]))
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize(
    ("stage", "parts"),
    [
        (1, ["data", "trunk", "head", "head backward", "optimizer"]),
        (2, ["data", "trunk", "head", "head backward", "trunk backward", "optimizer"]),
    ],
)
def test_the_parts_of_a_step_are_told_as_they_end(stage: int, parts: list[str]) -> None:
    told: list[str] = []
    config = replace(CONFIG, stage1="hbp")
    step = TrainingStep(small_model(), config, stage, LEVELS, CPU, mark=told.append)
    step.train()
    step(batch(), 1, 0, 1)
    assert told == parts
    told.clear()
    step.config = replace(config, accumulate=2)
    step(batch(), 1, 0, 1)
    assert told == parts[:-1] * 2 + parts[-1:]


def test_marks_change_nothing() -> None:
    plain, _ = after_steps(CONFIG, 1)
    model = small_model()
    step = TrainingStep(model, CONFIG, 2, LEVELS, CPU, mark=lambda _: None)
    step.train()
    step(batch(2), 1, 0, 1)
    assert not changed(plain, state_of(model))


def test_adamw_spares_offsets_the_decay() -> None:
    config = replace(CONFIG, optimizer="adamw", stage2_weight_decay=0.05)
    groups = TrainingStep(small_model(), config, 2, LEVELS, CPU).optimizer.param_groups
    assert {group["weight_decay"]: {p.ndim > 1 for p in group["params"]} for group in groups} == {
        0.05: {True},
        0.0: {False},
    }


def test_compiled_it_is_the_same_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a compiler that traces and does not generate code, which takes a minute."""
    compile_module = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda m: compile_module(m, backend="aot_eager"))
    plain, losses = after_steps(CONFIG, 1)
    state, compiled = after_steps(replace(CONFIG, compile=True), 1)
    assert compiled == pytest.approx(losses, rel=1e-5)
    for name, value in plain.items():
        torch.testing.assert_close(value, state[name], rtol=1e-4, atol=1e-6)
