"""With every option on, sweep, shards, training and test still see one picture."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from train_samples import CPU, make_striped, stripe_backbone, sweep_rows

from c2f_data.index import TEST, TRAIN, DatasetIndex
from c2f_data.resample import Pixels, ResampleSpec, reduce, to_input
from c2f_data.resample_spec import Reduction
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

RESOLUTIONS = {"family": 8, "genus": 24}


@dataclass(frozen=True)
class Seen:
    """Files reduced when they are read, as a calibration sees them; None: untouched."""

    files: FilePictures
    resolution: int | None
    spec: ResampleSpec

    def __len__(self) -> int:
        return len(self.files)

    def pixels(self, position: int) -> Pixels:
        native = self.files.pixels(position)
        return native if self.resolution is None else reduce(native, self.resolution, self.spec)


@pytest.mark.parametrize(
    "reduction",
    [
        Reduction(filter="lanczos", engine="pillow", noise=5.0, noise_seed=2, jpeg=50),
        Reduction(filter="box", engine="pillow", noise=5.0, jpeg=50),
        Reduction(noise=5.0, jpeg=50),
        Reduction(engine="pillow"),
    ],
    ids=lambda reduction: reduction.described,
)
def test_the_same_pixels_with_every_option(tmp_path: Path, reduction: Reduction) -> None:
    index = make_striped(tmp_path / "images", train=2, test=1)
    spec = ResampleSpec.for_input(56, reduction=reduction)
    write_shards(index, plan_levels(index.taxonomy, RESOLUTIONS), spec, tmp_path / "s", jobs=2)
    reader = ShardReader(tmp_path / "s")
    # A training has the shards alone: their reduction also says how images are enlarged.
    own_spec = ResampleSpec.for_input(56, reduction=reader.manifest.reduction)
    files = FilePictures(index, tuple(int(p) for p in index.positions(TRAIN)))
    for level in ("family", "species", "genus"):
        swept = Seen(files, RESOLUTIONS.get(level), spec)
        shards = ShardPictures(reader, TRAIN, level)
        centres = CenterImages(shards, own_spec)
        training = TrainingImages(shards, own_spec, 0, cache=False)
        same = TrainingImages(swept, spec, 0, cache=False)
        for i in range(len(files)):
            np.testing.assert_array_equal(shards.pixels(i), swept.pixels(i))
            np.testing.assert_array_equal(centres[i][0], to_input(swept.pixels(i), spec))
            np.testing.assert_array_equal(training[1, i][0], same[1, i][0])


def test_a_calibration_measures_what_the_shards_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same answers, and confidences to the fifth digit, from the stored noisy images."""
    for module in (calibration_plan, checkpoint):
        monkeypatch.setattr(module, "build_backbone", stripe_backbone)
    index = make_striped(tmp_path / "images", train=4, test=2)
    config = CalibrateConfig(
        thresholds=(("species", 0.8), ("genus", 0.8)),
        images="test",
        backbone="stripes",
        input_size=56,
        sweep=(24, 8),
        full_curve=True,
        precision="float32",
        reduction=Reduction(noise=5.0, jpeg=50),
    )
    result = calibrate(index, config, tmp_path / "c", CPU, Silent())
    spec = result.protocol.spec
    write_shards(index, plan_levels(index.taxonomy, RESOLUTIONS), spec, tmp_path / "s")
    reader = ShardReader(tmp_path / "s")
    (model,), _ = load_models(next(tmp_path.glob("c/*/classifier")))
    for position, level in enumerate(("family", "genus")):
        shards = ShardPictures(reader, TEST, level)
        classes, shares = predict_centers(model, position, shards, spec, CPU, "float32", workers=0)
        rows = sweep_rows(tmp_path / "c", RESOLUTIONS[level])
        place = [rows.image_ids.index(name) for name in reader.image_ids(TEST)]
        np.testing.assert_array_equal(rows.predicted[place, position], classes)
        np.testing.assert_allclose(rows.confidence[place, position], shares, atol=2e-5)
        clean = CenterImages(
            ReducedPictures(
                files_of_test(index), RESOLUTIONS[level], replace(spec, noise=0, jpeg=None)
            ),
            spec,
        )
        assert not np.array_equal(clean[0][0], CenterImages(shards, spec)[0][0])


def files_of_test(index: DatasetIndex) -> FilePictures:
    return FilePictures(index, tuple(int(p) for p in index.positions(TEST)))


def test_threads_share_no_noise(tmp_path: Path) -> None:
    """A calibration reduces in threads; who comes first must not show."""
    index = make_striped(tmp_path / "images", train=2, test=1)
    spec = ResampleSpec.for_input(56, reduction=Reduction(noise=5.0, jpeg=50))
    files = FilePictures(index, tuple(int(p) for p in index.positions(TRAIN)))
    jobs = [(i, r) for r in (24, 8) for i in range(len(files))]

    def view(job: tuple[int, int]) -> bytes:
        return reduce(files.pixels(job[0]), job[1], spec).tobytes()

    with ThreadPoolExecutor(4) as threads:
        backwards = list(threads.map(view, jobs[::-1]))
    assert backwards[::-1] == [view(job) for job in jobs]
