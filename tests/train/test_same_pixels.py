"""The same pixels in sweep, shards, training and test: what makes r_med comparable with I_med."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from train_samples import CPU, make_striped, stripe_backbone, sweep_rows

from c2f_data.decode import decode_file
from c2f_data.index import TEST, DatasetIndex
from c2f_data.predictions import Predictions
from c2f_data.resample import Pixels, ResampleSpec, center_crop, enlarge, reduce, to_input
from c2f_data.shards.input_side import InputSide
from c2f_data.shards.reader import ShardReader
from c2f_data.shards.schema import plan_levels
from c2f_data.shards.writer import write_shards
from c2f_train import calibration_plan, checkpoint
from c2f_train.backbones import Backbone
from c2f_train.calibrate import CalibrateConfig, calibrate
from c2f_train.checkpoint import load_models
from c2f_train.data import Cut, EpochOrder, TrainingImages
from c2f_train.device_images import DeviceImages
from c2f_train.inference import predict_centers
from c2f_train.loader import chunks, loader
from c2f_train.progress import Silent
from c2f_train.run import ShardPictures

CONFIG = CalibrateConfig(
    thresholds=(("species", 0.8), ("genus", 0.8)),
    images="test",
    backbone="stripes",
    input_size=64,
    sweep=(48, 36, 28, 16, 8, 6, 4, 3, 2),
    full_curve=True,
    precision="float32",
)
N = 24


pytestmark = pytest.mark.usefixtures("stripes")


@pytest.fixture
def index(tmp_path: Path) -> DatasetIndex:
    return make_striped(tmp_path / "images", train=8, test=3)


@pytest.fixture
def folder(index: DatasetIndex, tmp_path: Path) -> Path:
    """The folder of a finished calibration."""
    calibrate(index, CONFIG, tmp_path / "finished", CPU, Silent())
    return tmp_path / "finished"


def in_order(rows: Predictions, index: DatasetIndex) -> Predictions:
    """Predictions are stored in the order of the search; here in that of the data set."""
    place = {name: i for i, name in enumerate(rows.image_ids)}
    ids = [index.records[p].image_id for p in index.positions(TEST)]
    return rows.rows(np.array([place[name] for name in ids]))


@pytest.mark.parametrize("resolution", [36, 6])
def test_predictions_are_those_of_reduce_enlarge_classify(
    index: DatasetIndex, folder: Path, resolution: int
) -> None:
    positions = index.positions(TEST)
    rows = in_order(sweep_rows(folder, resolution), index)
    (model,), meta = load_models(next(folder.glob("*/classifier")))
    assert rows.image_ids == tuple(index.records[p].image_id for p in positions)
    np.testing.assert_array_equal(rows.true, index.taxonomy.codes[index.labels[positions]])
    model.eval()
    for i, position in enumerate(positions):
        native = decode_file(index.path(int(position))).pixels
        seen = to_input(reduce(native, resolution, meta.spec), meta.spec)
        image = torch.from_numpy(seen).permute(2, 0, 1).unsqueeze(0)
        with torch.no_grad():
            shares = [logits.softmax(dim=1)[0] for logits in model.all_logits(image)]
        for level, share in enumerate(shares):
            assert abs(rows.confidence[i, level] - float(share.max())) < 2e-5
            assert rows.predicted[i, level] == int(share.argmax())


def digests(images: Tensor) -> list[bytes]:
    """Of each image of a (B, 3, H, W) batch."""
    return [hashlib.sha256(image.permute(1, 2, 0).numpy().tobytes()).digest() for image in images]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> set[bytes]:
    """Fills with the digests of all images that any network is shown."""
    shown: set[bytes] = set()

    def recording(name: str, weights: str | None, taps: tuple[str, ...] = ()) -> Backbone:
        backbone = stripe_backbone(name, weights, taps)
        backbone.register_forward_pre_hook(lambda _, inputs: shown.update(digests(inputs[0])))
        return backbone

    monkeypatch.setattr(calibration_plan, "build_backbone", recording)
    monkeypatch.setattr(checkpoint, "build_backbone", recording)
    return shown


@pytest.mark.parametrize("layout", ["encoded", "raw"])
def test_the_same_pixels_in_sweep_shards_training_and_prediction(
    index: DatasetIndex, tmp_path: Path, seen: set[bytes], layout: str
) -> None:
    """I_med is what the sweep saw at r_med: accuracy there is the accuracy of the crossing."""
    folder = tmp_path / "finished"
    result = calibrate(index, CONFIG, folder, CPU, Silent())
    swept, spec = set(seen), result.protocol.spec
    found = {v.name: v.resolution for v in result.levels if not v.native}
    levels = plan_levels(index.taxonomy, found)
    if layout == "raw":
        side = InputSide.of(spec)
        write_shards(index, levels, spec, tmp_path / "s", encoding="raw", enlarged=side)
    else:
        write_shards(index, levels, spec, tmp_path / "s")
    reader = ShardReader(tmp_path / "s")
    positions = tuple(int(p) for p in index.positions(TEST))
    assert reader.image_ids(TEST) == tuple(index.records[p].image_id for p in positions)
    (model,), _ = load_models(next(folder.glob("*/classifier")))
    for level, name in enumerate(("family", "genus", "species")):
        pictures = [decode_file(index.path(p)).pixels for p in positions]
        if name in found:
            pictures = [reduce(pixels, found[name], spec) for pixels in pictures]
        enlarged = [enlarge(pixels, spec) for pixels in pictures]
        shards = ShardPictures(reader, TEST, name)
        for i in range(N):
            stored = enlarged[i] if layout == "raw" else pictures[i]
            np.testing.assert_array_equal(shards.pixels(i), stored)
        _check_training(shards, enlarged, spec)
        # What the network is shown: in a prediction just what it was shown in the sweep.
        seen.clear()
        predicted, _ = predict_centers(model, level, shards, spec, CPU, "float32", workers=2)
        crops = [np.ascontiguousarray(center_crop(pixels, spec.crop)) for pixels in enlarged]
        assert seen == {hashlib.sha256(crop.tobytes()).digest() for crop in crops}
        assert seen <= swept
        if name in found:
            rows = in_order(sweep_rows(folder, found[name]), index)
            np.testing.assert_array_equal(predicted, rows.predicted[:, level])
            point = next(p for p in result.curve(name).points if p.resolution == found[name])
            assert int((predicted == rows.true[:, level]).sum()) == point.correct


def _check_training(shards: ShardPictures, enlarged: list[Pixels], spec: ResampleSpec) -> None:
    """Streamed by threads or kept on the device: the cuts of the enlarged images."""
    training = TrainingImages(shards, spec, 3, cache=False)
    sizes = np.array([pixels.shape[:2] for pixels in enlarged])
    device = DeviceImages(training, sizes, CPU, 2, Silent(), "Loading")
    order = list(EpochOrder(N, 1, 0))
    streamed = loader(training, 8, 2, order)
    for keys, (images, chosen) in zip(chunks(order, 8), streamed, strict=True):
        assert torch.equal(device.batch(keys)[0], images)
        for image, position in zip(images, chosen.tolist(), strict=True):
            whole = enlarged[position]
            cut = Cut.draw((3, 1, position), whole.shape[:2], spec.crop)
            rows = slice(cut.top, cut.top + spec.crop)
            crop = whole[rows, cut.left : cut.left + spec.crop]
            expected = crop[:, ::-1] if cut.mirrored else crop
            np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), expected)
