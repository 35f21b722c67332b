"""The Predictor: the same answer however an image comes, consistent, and as evaluation has it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from prediction_samples import FIVE_LEVELS, STRIPED, TWO_LEVELS, Stripes, make_model, network_of
from train_samples import CPU

from c2f_data.decode import decode_bytes
from c2f_data.errors import ArtefactError, ConfigError, ImageError
from c2f_data.index import TEST
from c2f_data.resample import reduce
from c2f_data.shards.reader import ShardReader
from c2f_data.taxonomy import Taxonomy
from c2f_train.evaluation.measure import Compute, measure
from c2f_train.predict import Failure, Prediction, Predictor
from c2f_train.prediction.bands import bands
from c2f_train.prediction.fit import fit_prediction
from c2f_train.prediction.pool import log_softmax
from c2f_train.prediction.stored import read_fit, write_fit
from c2f_train.prediction.views import views
from c2f_train.progress import Silent


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "model")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a prediction.json beside."""
    folder = make_model(tmp_path_factory.mktemp("models") / "model")
    images = Stripes(120)
    fit = fit_prediction(network_of(folder), images, images.labels(), "made", Silent(), workers=1)
    write_fit(folder, fit)
    return folder


def check(prediction: Prediction, taxonomy: Taxonomy) -> None:
    """Everything that holds for every answer."""
    names = [node.level for node in prediction.path]
    assert tuple(names) == taxonomy.levels[: len(names)]
    ids = tuple(node.class_id for node in prediction.path)
    assert not ids or ids in {tuple(row[: len(ids)]) for row in taxonomy.codes.tolist()}
    confidences = [node.confidence for node in prediction.path]
    assert confidences == sorted(confidences, reverse=True)
    assert all(0 <= c <= 1 for c in confidences)
    assert prediction.resolution.usable <= prediction.resolution.native
    assert prediction.allowed == prediction.levels[-1].level
    for answers in prediction.levels:
        tops = [node.confidence for node in answers.top]
        assert tops == sorted(tops, reverse=True)
        assert sum(tops) <= 1 + 1e-9


@pytest.mark.parametrize("taxonomy", [TWO_LEVELS, STRIPED, FIVE_LEVELS], ids=["2", "3", "5"])
@pytest.mark.parametrize("confidence", [0.01, 0.3, 0.9])
def test_every_answer_is_a_path_as_deep_as_it_may_be(
    tmp_path: Path, taxonomy: Taxonomy, confidence: float
) -> None:
    predictor = Predictor.load(
        make_model(tmp_path / "m", taxonomy), device="cpu", confidence=confidence
    )
    images = [Stripes(8).pixels(i) for i in range(8)]
    for resolution in (None, 30, 24, 23, 9, 5, 1):
        for prediction in predictor.predict(images, resolution=resolution):
            check(prediction, taxonomy)
            assert prediction.guarantee is None
            assert "no promise" in prediction.promise
            usable = prediction.resolution.usable
            depth = 1 + sum(
                usable >= (level.resolution or 0) for level in predictor.network.levels[:-1]
            )
            assert prediction.allowed == taxonomy.levels[depth - 1]
            named = len(prediction.path)
            if named < depth:
                assert prediction.stop == "confidence"
                assert all(node.confidence >= confidence for node in prediction.path)
            elif depth == len(taxonomy.levels):
                assert prediction.stop == "finest level"
            else:
                assert prediction.stop == "resolution"
                assert f"{usable} px are usable" in prediction.why


def test_scores_are_those_of_the_evaluation_at_each_levels_resolution(
    shards: Path, whole: Path
) -> None:
    """The same pixels: what the shards store, and what is made from the image itself."""
    predictor = Predictor.load(whole, device="cpu", precision="float32")
    network, reader = predictor.network, ShardReader(shards)
    compute = Compute(CPU, "float32", 1)
    finest = reader.levels[-1]
    natives = [reader.pixels(TEST, i, finest) for i in range(reader.length(TEST))]
    for level, own in enumerate(network.levels):
        wanted = measure(
            network.model, network.meta, reader, TEST, own, compute, Silent()
        ).predictions
        for i, native in enumerate(natives):
            (view,) = views({0: (native, [level])}, network.levels, network.meta.spec)
            stored = views(
                {0: (reader.pixels(TEST, i, own.name), [level])}, network.levels, network.meta.spec
            )
            np.testing.assert_array_equal(view.crop, stored[0].crop)
            scores = log_softmax(network.logits([(view,)])[0][0, level][None])[0]
            column = wanted.levels.index(own.name)
            assert scores.argmax() == wanted.predicted[i, column]
            assert np.exp(scores.max()) == pytest.approx(wanted.confidence[i, column], abs=1e-5)


def test_an_image_gets_one_answer_however_it_comes(model: Path, tmp_path: Path) -> None:
    predictor = Predictor.load(model, device="cpu")
    pixels = Stripes(1).pixels(0)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    forms = [pixels, Image.fromarray(pixels), data, tmp_path / "a.png", str(tmp_path / "a.png")]
    answers = predictor.predict(forms)
    assert [a.image for a in answers][:3] == ["image 1", "image 2", "image 3"]
    assert len({(a.path, a.levels, a.resolution) for a in answers}) == 1
    assert predictor.predict(pixels)[0].levels == answers[0].levels
    assert len(predictor.predict(np.stack([pixels, pixels]))) == 2


def test_batches_and_threads_change_nothing(model: Path) -> None:
    predictor = Predictor.load(model, device="cpu")
    images = [Stripes(7).pixels(i) for i in range(7)]

    def answers(**how: int) -> list[Prediction | Failure]:
        return list(predictor.stream(iter(images), **how))

    first = answers(batch_size=1, workers=1)
    for other in (answers(batch_size=3, workers=2), answers(batch_size=16, workers=4)):
        for one, two in zip(first, other, strict=True):
            assert isinstance(one, Prediction)
            assert isinstance(two, Prediction)
            assert [n.name for n in one.path] == [n.name for n in two.path]
            for a, b in zip(one.levels, two.levels, strict=True):
                assert [n.confidence for n in a.top] == pytest.approx(
                    [n.confidence for n in b.top], abs=1e-5
                )


def test_answers_come_while_images_are_still_being_found(model: Path) -> None:
    predictor = Predictor.load(model, device="cpu")
    asked = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal asked
        while True:
            asked += 1
            yield Stripes(1).pixels(0)

    stream = predictor.stream(endless(), batch_size=2, workers=2)
    for _ in range(10):
        assert isinstance(next(stream), Prediction)
    assert asked < 30
    stream.close()


def test_a_resolution_that_is_given_reduces_and_never_enlarges(model: Path) -> None:
    predictor = Predictor.load(model, device="cpu")
    pixels = Stripes(1).pixels(0)
    spec = predictor.network.meta.spec
    at, small = predictor.predict([pixels, reduce(pixels, 20, spec)], resolution=20)
    assert at.levels == small.levels
    assert (at.resolution.native, at.resolution.usable) == (min(pixels.shape[:2]), 20)
    assert (at.height, at.width) == pixels.shape[:2]
    (large,) = predictor.predict(pixels, resolution=4000)
    assert large.resolution.usable == min(pixels.shape[:2])
    assert "never taken for larger" in large.warnings[0]


def encoded(image: Image.Image, kind: str = "PNG", **how: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)  # type: ignore[arg-type]
    return buffer.getvalue()


def test_odd_but_sound_images_are_answered(model: Path) -> None:
    predictor = Predictor.load(model, device="cpu")
    pixels = Stripes(1).pixels(3)
    rgb = Image.fromarray(pixels)
    turned = Image.Exif()
    turned[0x0112] = 6
    on_side = rgb.transpose(Image.Transpose.ROTATE_90)
    odd = {
        "grey": encoded(rgb.convert("L")),
        "cmyk": encoded(rgb.convert("CMYK"), "JPEG"),
        "palette": encoded(rgb.convert("P")),
        "alpha": encoded(rgb.convert("RGBA")),
        "16 bit": encoded(Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)),
        "one pixel": encoded(Image.new("RGB", (1, 1), (9, 9, 9))),
        "strip": encoded(rgb.resize((100, 1))),
        "turned": encoded(on_side, exif=turned),
        "upright": encoded(rgb),
    }
    answers = dict(zip(odd, predictor.predict(list(odd.values())), strict=True))
    for answer in answers.values():
        check(answer, STRIPED)
    assert (answers["one pixel"].height, answers["one pixel"].allowed) == (1, "family")
    assert answers["turned"].levels == answers["upright"].levels
    assert answers["alpha"].levels == answers["upright"].levels
    grey = np.asarray(rgb.convert("L"))
    assert predictor.predict(grey)[0].levels == answers["grey"].levels
    rgba = np.asarray(rgb.convert("RGBA"))
    assert predictor.predict(rgba)[0].levels == answers["alpha"].levels
    opened = Image.open(io.BytesIO(odd["turned"]))
    assert predictor.predict(opened)[0].levels == answers["upright"].levels
    np.testing.assert_array_equal(decode_bytes(odd["turned"], "").pixels, pixels)


def bomb() -> bytes:
    """A few kilobytes that claim 40,000 x 40,000 pixels."""
    data = bytearray(encoded(Image.new("1", (8, 8))))
    data[16:24] = (40_000).to_bytes(4, "big") * 2
    return bytes(data)


def test_hostile_images_are_refused_by_name_and_the_others_answered(
    model: Path, tmp_path: Path
) -> None:
    predictor = Predictor.load(model, device="cpu")
    rgb = Image.fromarray(Stripes(1).pixels(0))
    jpeg = encoded(rgb, "JPEG")
    bad: list[object] = [
        b"",
        b"not an image",
        jpeg[: len(jpeg) // 2],
        bomb(),
        tmp_path,
        tmp_path / "absent.png",
        np.zeros((3, 3, 3)),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((1, 500, 3), np.uint8),
        Image.new("RGB", (0, 0)),
        Image.open(io.BytesIO(jpeg[: len(jpeg) // 2])),
        5,
        None,
    ]
    good = Stripes(1).pixels(0)
    mixed = [each for image in bad for each in (image, good)]
    answers = list(predictor.stream(mixed, batch_size=3, workers=2))  # type: ignore[arg-type]
    assert [type(each) for each in answers] == [Failure, Prediction] * len(bad)
    for failure in answers[::2]:
        assert isinstance(failure, Failure)
        assert failure.error
        assert failure.hint
        assert "\n" not in failure.error
    with pytest.raises(ImageError, match=r"absent\.png"):
        predictor.predict([good, tmp_path / "absent.png"])


def test_settings_without_meaning_are_refused(model: Path, tmp_path: Path) -> None:
    predictor = Predictor.load(model, device="cpu")
    pixels = Stripes(1).pixels(0)
    with pytest.raises(ConfigError, match="top_k"):
        predictor.predict(pixels, top_k=0)
    with pytest.raises(ConfigError, match="resolution"):
        predictor.predict(pixels, resolution=0)
    with pytest.raises(ConfigError, match="confidence"):
        Predictor.load(model, confidence=1.0)
    with pytest.raises(ArtefactError, match="neither a run nor a model"):
        Predictor.load(tmp_path)


def test_a_model_of_i_high_alone_is_rolled_up(tmp_path: Path) -> None:
    predictor = Predictor.load(
        make_model(tmp_path / "flat", trained=("species",)), device="cpu", confidence=0.01
    )
    pixels = Stripes(1).pixels(2)
    fine, coarse = predictor.predict(pixels), predictor.predict(pixels, resolution=23)
    assert [len(p.levels) for p in (*fine, *coarse)] == [3, 2]
    for prediction in (*fine, *coarse):
        check(prediction, STRIPED)
    network = predictor.network
    (view,) = views({0: (pixels, [2])}, network.levels, network.meta.spec)
    own = np.exp(log_softmax(network.logits([(view,)])[0][0, 2][None])[0])
    genus = {n.class_id: n.confidence for n in fine[0].levels[1].top}
    for class_id, share in genus.items():
        below = STRIPED.codes[:, 1] == class_id
        assert share == pytest.approx(own[below].sum(), abs=1e-9)


def test_without_resolutions_nothing_is_limited(tmp_path: Path) -> None:
    predictor = Predictor.load(make_model(tmp_path / "m", resolutions=False), device="cpu")
    (prediction,) = predictor.predict(Stripes(1).pixels(0), resolution=2)
    assert prediction.allowed == "species"


def test_bands_follow_the_levels_resolutions(model: Path) -> None:
    levels = network_of(model).levels
    sides = np.array([72] * 50 + [20, 60])
    found = [(b.resolution, b.from_side, b.allowed, b.native) for b in bands(levels, sides)]
    assert found == [(72, 72, 2, True), (24, 24, 2, False), (10, 10, 1, False)]
    small = [(b.resolution, b.from_side, b.allowed) for b in bands(levels, np.array([12] * 9))]
    assert small == [(12, 24, 2), (10, 10, 1)]


def test_what_was_fitted_is_used_and_promised(fitted: Path) -> None:
    fit = read_fit(fitted)
    assert fit is not None
    assert [c.resolution for c in fit.conditions] == [75, 24, 10]
    assert [c.n_fit + len(c.right) for c in fit.conditions[1:]] == [120, 120]
    predictor = Predictor.load(fitted, device="cpu", confidence=0.6)
    for resolution, condition in ((None, 0), (50, 1), (24, 1), (23, 2), (10, 2)):
        (prediction,) = predictor.predict(Stripes(1, seed=9).pixels(4), resolution=resolution)
        check(prediction, STRIPED)
        assert prediction.guarantee == predictor.guarantees[condition]
        assert prediction.promise == predictor.guarantees[condition].statement
    (below,) = predictor.predict(Stripes(1).pixels(0), resolution=9)
    assert below.guarantee is None
    assert "below 10 px" in below.promise


def test_what_is_counted_on_held_out_images_is_what_is_answered(fitted: Path) -> None:
    """The stored descents are those that the Predictor itself walks."""
    fit = read_fit(fitted)
    assert fit is not None
    images = Stripes(120)
    order = np.random.default_rng([0, 0xF17]).permutation(120)
    check_half = np.sort(order[60:])
    predictor = Predictor.load(fitted, device="cpu", precision="float32", confidence=1e-9)
    answers = predictor.predict([images.pixels(int(i)) for i in check_half], resolution=24)
    condition = fit.conditions[1]
    assert len(condition.right) == 60
    true = images.labels()[check_half]
    for row, answer in enumerate(answers):
        stored = [column[row] for column in condition.confidence]
        assert [n.confidence for n in answer.path] == pytest.approx(stored, abs=1e-5)
        agree = [n.class_id == t for n, t in zip(answer.path, true[row], strict=True)]
        assert sum(agree) == condition.right[row]


def test_two_fits_are_equal_and_a_changed_model_is_noticed(fitted: Path, tmp_path: Path) -> None:
    images = Stripes(120)
    again = fit_prediction(network_of(fitted), images, images.labels(), "made", Silent(), workers=2)
    before = read_fit(fitted)
    assert before is not None
    assert again.conditions == before.conditions
    other = make_model(tmp_path / "other", seed=5)
    write_fit(other, before)
    with pytest.raises(ArtefactError, match="made for another"):
        Predictor.load(other)
    (other / "prediction.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ArtefactError, match=r"prediction\.json"):
        Predictor.load(other)
