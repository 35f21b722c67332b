"""The sample images of a report: which ones, at which resolutions, with which answers."""

from __future__ import annotations

from collections.abc import Sequence

from c2f_data.errors import C2FError
from c2f_data.index import TEST, DatasetIndex
from c2f_data.predictions import Predictions
from c2f_data.resample_spec import ResampleSpec
from c2f_train.report.images import Strip, make_strip
from c2f_train.report.run_report import RunReport
from c2f_train.report.samples import choose_images, choose_resolutions, make_samples


def sample_strips(index: DatasetIndex, page: RunReport, kept: Sequence[Predictions]) -> list[Strip]:
    """Images with the answers that are kept; without any, one image at the levels' resolutions.

    Args:
        kept: of the page's calibration, see :func:`c2f_train.report.class_map.read_kept`.

    Raises:
        ImageError: without any answers, the first image can't be read.
    """
    return _answered(index, page, kept) or _first(index, page)


def _answered(index: DatasetIndex, page: RunReport, kept: Sequence[Predictions]) -> list[Strip]:
    """A seeded choice of the measured images; one that can't be read any more is left out."""
    if page.calibration is None or not kept:
        return []
    protocol = page.calibration.protocol
    shown = [kept[i] for i in choose_resolutions(kept, page.calibration)]
    places = {record.image_id: i for i, record in enumerate(index.records)}
    strips = []
    for row in choose_images(kept, protocol.seed):
        place = places.get(kept[0].image_ids[row])
        if place is None:
            continue
        try:
            pixels = index.pixels(place)
        except C2FError:
            continue
        strips.append(make_samples(pixels, shown, row, index.taxonomy, protocol.spec))
    return strips


def _first(index: DatasetIndex, page: RunReport) -> list[Strip]:
    """The first test image (or the first image) at every level's resolution."""
    if page.calibration is not None:
        spec = page.calibration.protocol.spec
    else:
        config = page.runs[0].config
        spec = ResampleSpec.for_input(config.input_size, config.fit)
    test = index.positions(TEST)
    chosen = int(test[0]) if test.size else 0
    record = index.records[chosen]
    return [
        make_strip(
            index.pixels(chosen),
            page.levels,
            spec,
            image_id=record.image_id,
            classes=index.taxonomy.paths[record.label],
        )
    ]
