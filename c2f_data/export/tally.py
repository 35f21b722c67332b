"""What went by while samples were written: counted on the way, so that nothing is read twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from c2f_data.export.plan import ExportPlan
from c2f_data.export.samples import Part, Sample

Progress = Callable[[int, int], None]


class Tally:
    """Counts of the samples that were written.

    Attributes:
        images: split to one (classes,) array a level, coarse to fine: images of each class.
        suffixes: one set of suffixes a level that is exported, coarse to fine.
    """

    def __init__(self, plan: ExportPlan, progress: Progress | None = None) -> None:
        counts = [len(names) for names in plan.names]
        self.images = {split: [np.zeros(n, np.int64) for n in counts] for split in plan.splits}
        self.suffixes: list[set[str]] = [set() for _ in plan.levels]
        self._total = plan.total
        self._done = 0
        self._progress = progress

    def watch(self, parts: Iterable[Part]) -> Iterator[Part]:
        """The same parts; their samples are counted when they are gone through."""
        for part in parts:
            yield replace(part, samples=self._count(part.samples))

    def _count(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        for sample in samples:
            yield sample
            for counts, label in zip(self.images[sample.split], sample.labels, strict=True):
                counts[label] += 1
            for seen, picture in zip(self.suffixes, sample.pictures, strict=True):
                seen.add(picture.suffix)
            self._done += 1
            if self._progress:
                self._progress(self._done, self._total)

    def gaps(self, split: str) -> bool:
        """Some class of some level has no image in a split."""
        return any(bool((counts == 0).any()) for counts in self.images[split])
