"""The same pixels in sweep, shards, training and test: what makes r_med comparable with I_med."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from train_samples import CPU, make_striped, stripe_backbone, sweep_rows

from c2f_data.calibration import read_result
from c2f_data.decode import decode_file
from c2f_data.index import TEST, DatasetIndex
from c2f_data.predictions import Predictions
from c2f_data.resample import reduce, to_input
from c2f_data.shards.reader import ShardReader
from c2f_data.shards.schema import plan_levels
from c2f_data.shards.writer import write_shards
from c2f_train import calibration_plan, checkpoint
from c2f_train.calibrate import CalibrateConfig, calibrate
from c2f_train.checkpoint import load_models
from c2f_train.data import CenterImages, FilePictures, ReducedPictures, TrainingImages
from c2f_train.inference import predict_centers
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


@pytest.fixture(autouse=True)
def _stripes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration_plan, "build_backbone", stripe_backbone)
    monkeypatch.setattr(checkpoint, "build_backbone", stripe_backbone)


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


def test_the_same_pixels_in_sweep_shards_training_and_test(
    index: DatasetIndex, folder: Path, tmp_path: Path
) -> None:
    """I_med is what the sweep saw at r_med: accuracy there is the accuracy of the crossing."""
    result = read_result(folder / "result.json")
    found = {v.name: v.resolution for v in result.levels if not v.native}
    write_shards(index, plan_levels(index.taxonomy, found), result.protocol.spec, tmp_path / "s")
    reader, spec = ShardReader(tmp_path / "s"), result.protocol.spec
    positions = tuple(int(p) for p in index.positions(TEST))
    files = FilePictures(index, positions)
    assert reader.image_ids(TEST) == tuple(index.records[p].image_id for p in positions)
    (model,), _ = load_models(next(folder.glob("*/classifier")))
    for level, name in enumerate(("family", "genus")):
        resolution = found[name]
        shards = ShardPictures(reader, TEST, name)
        swept = CenterImages(ReducedPictures(files, resolution, spec), spec)
        centres = CenterImages(shards, spec)
        training = TrainingImages(shards, spec, 0, cache=False)
        own = TrainingImages(ReducedPictures(files, resolution, spec), spec, 0, cache=False)
        for i in range(N):
            np.testing.assert_array_equal(
                shards.pixels(i), reduce(files.pixels(i), resolution, spec)
            )
            np.testing.assert_array_equal(centres[i][0], swept[i][0])
            np.testing.assert_array_equal(training[1, i][0], own[1, i][0])
        predicted, _ = predict_centers(model, level, shards, spec, CPU, "float32", workers=0)
        rows = in_order(sweep_rows(folder, resolution), index)
        np.testing.assert_array_equal(predicted, rows.predicted[:, level])
        point = next(p for p in result.curve(name).points if p.resolution == resolution)
        assert int((predicted == rows.true[:, level]).sum()) == point.correct
