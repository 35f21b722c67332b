"""With every option on, sweep, shards, training and test still see one picture."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from train_samples import make_striped

from c2f_data.index import TRAIN
from c2f_data.resample import Pixels, ResampleSpec, reduce, to_input
from c2f_data.resample_spec import Reduction
from c2f_data.shards.reader import ShardReader
from c2f_data.shards.schema import plan_levels
from c2f_data.shards.writer import write_shards
from c2f_train.data import CenterImages, FilePictures, TrainingImages
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
