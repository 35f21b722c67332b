"""What an index promises, and that no measured image is ever seen by the model that measures it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c2f_data.errors import ConfigError, DataSetError
from c2f_data.index import TEST, TRAIN, DatasetIndex, ImageRecord
from c2f_data.splits import FOLDS, MINIMUM_IMAGES, Evaluation, make_evaluation
from c2f_data.taxonomy import Taxonomy


def make_index(train: list[int], test: list[int] | None = None) -> DatasetIndex:
    """``train[k]`` training and ``test[k]`` test images of class k, in a mixed order."""
    table = Taxonomy("t", ("all", "one"), tuple(("x", f"class {i}") for i in range(len(train))))
    entries = [(k, TRAIN) for k, n in enumerate(train) for _ in range(n)]
    entries += [(k, TEST) for k, n in enumerate(test or []) for _ in range(n)]
    order = np.random.default_rng(0).permutation(len(entries))
    records = tuple(
        ImageRecord(f"{i}.jpg", f"images/{i}.jpg", *entries[j], bytes=i)
        for i, j in enumerate(order)
    )
    return DatasetIndex("t", Path("/data"), "made for a test", table, records)


def check(index: DatasetIndex, evaluation: Evaluation) -> None:
    """What every evaluation must keep: disjoint, ascending, trained on training images only."""
    train = set(index.positions(TRAIN).tolist())
    assert list(evaluation.positions) == sorted(set(evaluation.positions))
    assert len(evaluation.folds) == evaluation.n > 0
    for k in range(evaluation.n_folds):
        seen = set(evaluation.train[k])
        unseen = {p for p, f in zip(evaluation.positions, evaluation.folds, strict=True) if f == k}
        assert seen <= train
        assert not seen & unseen
        assert len(seen) == len(evaluation.train[k])
    assert set(evaluation.folds) <= set(range(evaluation.n_folds))


def per_class(index: DatasetIndex, positions: tuple[int, ...]) -> Counter[int]:
    return Counter(index.labels[list(positions)].tolist())


def test_a_fifth_of_each_class_is_held_out_where_that_is_enough() -> None:
    index = make_index([1000, 500, 5, 1], [3, 3, 3, 3])
    evaluation = make_evaluation(index, "val", 0)
    check(index, evaluation)
    assert (evaluation.images, evaluation.scheme) == ("val", "held-out validation")
    assert per_class(index, evaluation.positions) == {0: 200, 1: 100, 2: 1}
    assert per_class(index, evaluation.train[0]) == {0: 800, 1: 400, 2: 4, 3: 1}


@pytest.mark.parametrize(("size", "scheme"), [(1497, "cross"), (1500, "held-out")])
def test_the_border_is_at_three_hundred_images(size: int, scheme: str) -> None:
    index = make_index([size - 500, 500])
    evaluation = make_evaluation(index, "val", 0)
    assert evaluation.scheme.startswith(scheme)
    assert evaluation.n == (size if scheme == "cross" else MINIMUM_IMAGES)


def test_what_counts_is_what_would_really_be_held_out() -> None:
    # A fifth of 1,500, but two of each twelve.
    evaluation = make_evaluation(make_index([12] * 125), "val", 0)
    assert (evaluation.scheme, evaluation.n) == ("cross-validation", 1500)


@settings(max_examples=60)
@given(st.lists(st.integers(2, 40), min_size=1, max_size=12), st.integers(0, 2**31))
def test_in_folds_every_training_image_is_measured_once_by_a_model_that_never_saw_it(
    sizes: list[int], seed: int
) -> None:
    index = make_index(sizes, [1] * len(sizes))
    evaluation = make_evaluation(index, "val", seed)
    check(index, evaluation)
    assert evaluation.n_folds == FOLDS
    assert evaluation.positions == tuple(index.positions(TRAIN))
    for k in range(FOLDS):
        fold = {p for p, f in zip(evaluation.positions, evaluation.folds, strict=True) if f == k}
        assert set(evaluation.train[k]) | fold == set(evaluation.positions)
        for label, size in enumerate(sizes):
            count = sum(index.labels[p] == label for p in fold)
            assert size // FOLDS <= count <= -(-size // FOLDS)
            assert count < size
    sizes_of_folds = Counter(evaluation.folds)
    assert max(sizes_of_folds.values()) - min(sizes_of_folds[k] for k in range(FOLDS)) <= 1


@pytest.mark.parametrize("sizes", [[900, 900], [20, 30]])
def test_the_seed_alone_decides(sizes: list[int]) -> None:
    index = make_index(sizes)
    assert make_evaluation(index, "val", 1) == make_evaluation(index, "val", 1)
    one, two = (make_evaluation(index, "val", seed) for seed in (1, 2))
    assert (one.positions, one.folds) != (two.positions, two.folds)


def test_the_test_images_are_measured_by_a_model_of_all_training_images() -> None:
    index = make_index([4, 5], [2, 3])
    evaluation = make_evaluation(index, "test", 0)
    check(index, evaluation)
    assert evaluation.scheme == "official test"
    assert evaluation.positions == tuple(index.positions(TEST))
    assert evaluation.train == (tuple(index.positions(TRAIN)),)


@pytest.mark.parametrize(
    ("train", "test", "images", "said"),
    [
        ([0], [4], "val", "no training images"),
        ([0], [4], "test", "no training images"),
        ([4], [0], "test", "no test images"),
        ([4, 1], [1, 1], "val", "class 'class 1' has 1 training image"),
        ([1] * 1600, [1] * 1600, "val", "has 1 training image"),
    ],
)
def test_what_can_not_be_measured_is_refused(
    train: list[int], test: list[int], images: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        make_evaluation(make_index(train, test), images, 0)  # type: ignore[arg-type]
    assert caught.value.hint


def record(name: str, label: int = 0) -> ImageRecord:
    return ImageRecord(name, f"images/{name}", label, TRAIN, 10)


def index_of(*records: ImageRecord, root: str = "/data") -> DatasetIndex:
    table = Taxonomy("t", ("all", "one"), (("x", "a"), ("x", "b")))
    return DatasetIndex("t", Path(root), "by hand", table, records)


def test_an_index_refuses_what_no_result_could_be_told_apart_by() -> None:
    with pytest.raises(DataSetError, match="no images"):
        index_of()
    with pytest.raises(DataSetError, match=r"'a\.jpg' is listed twice"):
        index_of(record("a.jpg"), record("b.jpg"), record("a.jpg", 1))
    with pytest.raises(DataSetError, match=r"images/a\\udcff\.jpg.* not UTF-8"):
        index_of(record("a\udcff.jpg"))


def test_the_fingerprint_is_of_the_images_and_not_of_their_place() -> None:
    one = index_of(record("a.jpg"), record("räven ✓.jpg"))
    assert one.fingerprint == index_of(*one.records, root="/elsewhere").fingerprint
    for other in (
        (one.records[1], one.records[0]),
        (record("a.jpg", 1), one.records[1]),
        (ImageRecord("a.jpg", "images/a.jpg", 0, TEST, 10), one.records[1]),
        (ImageRecord("a.jpg", "images/a.jpg", 0, TRAIN, 11), one.records[1]),
    ):
        assert index_of(*other).fingerprint != one.fingerprint


def test_a_limit_keeps_the_first_images_of_each_class_and_split() -> None:
    index = make_index([9, 2], [5, 4])
    small = index.limited(3)
    assert Counter((r.label, r.split) for r in small.records) == {
        (0, TRAIN): 3,
        (1, TRAIN): 2,
        (0, TEST): 3,
        (1, TEST): 3,
    }
    kept = {r.image_id for r in small.records}
    for key in ((0, TRAIN), (1, TEST)):
        same = [r.image_id for r in index.records if (r.label, r.split) == key]
        assert [name in kept for name in same] == [True] * 3 + [False] * (len(same) - 3)
    assert small.paths([0]) == [Path("/data") / small.records[0].path]
