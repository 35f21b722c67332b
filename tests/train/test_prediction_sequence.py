"""Frames of one object: the fusion is its formula, needs no memory, and refines the answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prediction_samples import Stripes, make_model, network_of
from scipy.special import log_softmax
from train_samples import STRIPED

from c2f_data.resample import ResampleSpec, reduce
from c2f_train.evaluation.hierarchy_metrics import ancestry
from c2f_train.predict import Failure, Prediction, Predictor
from c2f_train.prediction.fit import fit_prediction
from c2f_train.prediction.sequence import Frames, fit_kappa, fuse
from c2f_train.prediction.stored import write_fit
from c2f_train.progress import Silent


def shares(random: np.random.Generator, n: int, level: int) -> np.ndarray:
    logits = 2 * random.normal(size=(n, STRIPED.count(STRIPED.levels[level])))
    return np.exp(log_softmax(logits, axis=1))


@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.floats(0, 1))
def test_the_running_fusion_is_the_formula(seed: int, n: int, kappa: float) -> None:
    random = np.random.default_rng(seed)
    frames = Frames(STRIPED, kappa, 2)
    seen: list[tuple[int, int, np.ndarray]] = []
    for _ in range(n):
        usable = int(random.integers(1, 40))
        allowed = 2 if usable >= 24 else 1 if usable >= 10 else 0
        own = shares(random, 1, allowed)
        best = not seen or usable >= max(u for u, _, _ in seen)
        assert frames.add(usable, allowed, own) == best
        seen.append((usable, allowed, own))
        top = max(range(len(seen)), key=lambda i: (seen[i][0], i))
        level = seen[top][1]
        up = ancestry(STRIPED, level)
        weight = kappa * min(1.0, 2 / max(1, len(seen) - 1))
        total = np.zeros(len(up))
        for i, (_, a, share) in enumerate(seen):
            total += (1.0 if i == top else weight) * np.log(share[0, up[:, a]])
        np.testing.assert_allclose(frames.fused()[0], np.exp(log_softmax(total)), rtol=1e-8)


def test_kappa_is_small_for_copies_and_large_for_independent_frames() -> None:
    random = np.random.default_rng(0)
    true = random.integers(0, 8, 2000)

    def frame(skill: float) -> np.ndarray:
        """Honest probabilities: of what was drawn given the truth, by Bayes' rule."""
        seen = random.normal(size=(2000, 8)) + skill * np.eye(8)[true]
        return np.exp(log_softmax(skill * seen, axis=1))

    best, other = frame(1.5), frame(1.5)
    assert fit_kappa(STRIPED, [2, 2], [best, best], true) < 0.1
    assert fit_kappa(STRIPED, [2, 2], [best, other], true) > 0.9
    loss = [
        -np.log(fuse(STRIPED, [2, 2], [best, other], k)[np.arange(2000), true]).mean()
        for k in (0.0, 1.0)
    ]
    assert loss[1] < loss[0]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_model(tmp_path_factory.mktemp("models") / "model")
    images = Stripes(100)
    fit = fit_prediction(network_of(folder), images, images.labels(), "made", Silent(), workers=1)
    assert fit.sequence is not None
    assert (fit.sequence.others, len(fit.sequence.right)) == (2, 50)
    write_fit(folder, fit)
    return folder


def test_frames_that_come_nearer_may_name_more(fitted: Path) -> None:
    predictor = Predictor.load(fitted, device="cpu", confidence=1e-6)
    spec = ResampleSpec.for_input(32)
    native = Stripes(1).pixels(5)
    frames = [reduce(native, r, spec) for r in (6, 9, 12, 20, 30, 60)] + [native]
    steps = list(predictor.sequence(frames))
    assert all(isinstance(step, Prediction) for step in steps)
    depths = [len(step.path) for step in steps if isinstance(step, Prediction)]
    assert depths == [1, 1, 2, 2, 3, 3, 3]
    last = steps[-1]
    assert isinstance(last, Prediction)
    assert predictor.fit is not None
    assert predictor.fit.sequence is not None
    assert last.guarantee == predictor.fit.sequence.guarantee(1e-6, "made")
    middle = steps[3]
    assert isinstance(middle, Prediction)
    assert middle.guarantee is None
    assert "no promise" in middle.promise


def test_one_frame_is_answered_as_an_image_and_bad_frames_count_for_nothing(fitted: Path) -> None:
    predictor = Predictor.load(fitted, device="cpu", confidence=0.01)
    native = Stripes(1).pixels(5)
    (alone,) = predictor.predict(native)
    (single,) = predictor.sequence([native])
    assert isinstance(single, Prediction)
    for one, two in zip(alone.levels, single.levels, strict=True):
        assert [n.class_id for n in one.top] == [n.class_id for n in two.top]
        assert [n.confidence for n in one.top] == pytest.approx([n.confidence for n in two.top])
    bad, good = predictor.sequence([b"no image", native])
    assert isinstance(bad, Failure)
    assert isinstance(good, Prediction)
    assert good.levels == single.levels


def test_a_later_frame_with_fewer_pixels_names_no_less(fitted: Path) -> None:
    predictor = Predictor.load(fitted, device="cpu", confidence=1e-6)
    native = Stripes(1).pixels(5)
    small = reduce(native, 8, ResampleSpec.for_input(32))
    steps = list(predictor.sequence([native, small]))
    assert [len(s.path) for s in steps if isinstance(s, Prediction)] == [3, 3]
