"""An ideal observer on the demo: a second opinion on where its levels stop being told apart.

It has no network. At every resolution it measures the energy of the reduced image at the known
period, along x and along y, and learns anew what the two energies say. ``python -m
benchmarks.observer --json`` prints where its accuracy falls below 0.8, beside the limit that is
drawn into the images.

There are two of it. ``image`` is given a reduced image and nothing else, as a classifier is.
``scene`` is given the same bird in the same scene without the barring, too, and looks at the
difference: all that light, plumage and background hide is laid open, so whatever the images hold
of the barring it finds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from c2f_data.curve import Crossing, Outcome, find_crossing
from c2f_data.demo import DemoBird, DemoSpec, demo_birds, draw_scene, render_bird
from c2f_data.errors import ConfigError
from c2f_data.resample import Pixels, ResampleSpec, ResolutionSweep, reduce

Level = Literal["species", "genus"]
Given = Literal["image", "scene"]
Reduction = Callable[[Pixels, int], Pixels]

SETTINGS = {
    "plain, 7 and 24 px": DemoSpec(),
    "plain, 6 and 18 px": DemoSpec(period_species=6.0, period_genus=18.0),
    "hard, 7 and 24 px": DemoSpec(texture="hard"),
}
# Not the scene for genera: three coarse bands on a flank are no line in the spectrum, and what
# the flank's outline makes of them reaches below half the limit (docs/demo.md).
OBSERVERS: tuple[tuple[Level, Given], ...] = (
    ("species", "scene"),
    ("species", "image"),
    ("genus", "image"),
)
THRESHOLD = 0.8
POINTS, REFINE = 24, 3
LOWEST_SHARE = 0.25  # of the limit: where the sweep ends

# Deviations of the window along x and y, as shares of the shorter side. It lies on the flank, near
# the middle whatever the pose, and is smooth, so that shading does not leak into the energies.
WINDOW = (0.12, 0.09)
# Squared grey levels; less than rounding leaves, and above 0, where the logarithm is not.
FLOOR = 1e-4

canonical: Reduction = partial(reduce, spec=ResampleSpec())


@dataclass(frozen=True, slots=True)
class Picture:
    """One image of the demo, (H, W, 3) uint8, and the same without the barring (bare)."""

    bird: DemoBird
    pixels: Pixels
    bare: Pixels


@dataclass(frozen=True, slots=True)
class Pictures:
    """The first images of every species; those with odd numbers are tested, the others learnt."""

    spec: DemoSpec
    train: tuple[Picture, ...]
    test: tuple[Picture, ...]

    @classmethod
    def draw(cls, spec: DemoSpec, images: int) -> Pictures:
        """``images`` of each of the 18 species, half of them for the test."""
        return cls(spec, _pictures(spec, range(0, images, 2)), _pictures(spec, range(1, images, 2)))


def _pictures(spec: DemoSpec, indices: Iterable[int]) -> tuple[Picture, ...]:
    return tuple(_picture(spec, bird, index) for index in indices for bird in demo_birds())


def _picture(spec: DemoSpec, bird: DemoBird, index: int) -> Picture:
    # Seeded as render_image does it: these are the images of the data set.
    scene = draw_scene(spec, np.random.default_rng([spec.seed, bird.class_id, index]))
    bare = render_bird(spec, bird, replace(scene, fine=0.0))
    return Picture(bird, render_bird(spec, bird, scene), bare)


def energies(
    reduced: NDArray[np.floating], size: tuple[int, int], period: float
) -> tuple[float, float]:
    """Log energy along x and along y at a period of the full image, in a reduced one.

    Positions are counted in pixels of the full image, so a pattern that is folded to a false
    frequency is looked for there.

    Args:
        reduced: (h, w) grey levels.
        size: (H, W) of the full image.
        period: pixels of the full image.
    """
    axes = []
    for count, full, width in zip(reduced.shape, size, reversed(WINDOW), strict=True):
        position = (np.arange(count) + 0.5) * (full / count)
        window = np.exp(-0.5 * ((position - full / 2) / (width * min(size))) ** 2)
        window /= window.sum()
        axes.append((window, window * np.exp(2j * np.pi * position / period)))
    (flat_y, wave_y), (flat_x, wave_x) = axes
    level = reduced - flat_y @ reduced @ flat_x
    along_x, along_y = abs(flat_y @ level @ wave_x) ** 2, abs(wave_y @ level @ flat_x) ** 2
    return float(np.log(along_x + FLOOR)), float(np.log(along_y + FLOOR))


def _grey(pixels: Pixels) -> NDArray[np.float32]:
    """(h, w) mean of the three colours; a product with a vector is the fast way to it."""
    return np.asarray(pixels.astype(np.float32) @ np.full(3, 1 / 3, np.float32))


class Observer:
    """Tells the siblings of a level apart by two energies; refitted at every resolution.

    Args:
        reduction: how a resolution is reached; another one than the canonical shows what happens.

    Raises:
        ConfigError: the scene for genera, which is not drawn.
    """

    def __init__(
        self,
        pictures: Pictures,
        level: Level,
        given: Given,
        reduction: Reduction = canonical,
    ) -> None:
        if (level, given) not in OBSERVERS:
            raise ConfigError(f"no observer of {level} given the {given}", "Choose another one.")
        self._pictures = pictures
        self._level = level
        self._given = given
        self._reduction = reduction
        self._right: dict[int, NDArray[np.bool_]] = {}

    @property
    def limit(self) -> float:
        """Pixels: the resolution at which a period of the level's pattern is two pixels."""
        spec = self._pictures.spec
        return spec.limit_species if self._level == "species" else spec.limit_genus

    def score(self, resolution: int, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(k,) whether the answers for these test images are right."""
        if resolution not in self._right:
            self._right[resolution] = self._measure(resolution)
        return self._right[resolution][positions]

    def crossing(self, points: int = POINTS, refine: int = REFINE) -> Crossing:
        """Where accuracy falls below 0.8 on a sweep from native down to a quarter of the limit."""
        native = self._pictures.spec.side
        lowest = round(LOWEST_SHARE * self.limit)
        sweep = ResolutionSweep.geometric(native, lowest=lowest, points=points).resolutions
        return find_crossing(
            self.score,
            (native, *sweep),
            THRESHOLD,
            len(self._pictures.test),
            refine=refine,
            # Far below the limit the kernel lets a trace of the barring through again, which
            # bisection, trusting that accuracy only falls, could take for the barring itself.
            full_curve=True,
        )

    def _measure(self, resolution: int) -> NDArray[np.bool_]:
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        train, test = self._pictures.train, self._pictures.test
        model.fit(self._features(train, resolution), self._labels(train))
        return np.asarray(model.predict(self._features(test, resolution)) == self._labels(test))

    def _features(self, pictures: Sequence[Picture], resolution: int) -> NDArray[np.float64]:
        spec = self._pictures.spec
        period = spec.period_species if self._level == "species" else spec.period_genus
        rows = []
        for picture in pictures:
            grey = _grey(self._reduction(picture.pixels, resolution))
            if self._given == "scene":
                grey -= _grey(self._reduction(picture.bare, resolution))
            rows.append(energies(grey, picture.pixels.shape[:2], period))
        return np.array(rows)

    def _labels(self, pictures: Sequence[Picture]) -> NDArray[np.str_]:
        """Directions of the pattern: three for species, two for genera."""
        if self._level == "species":
            return np.array([picture.bird.species_grating.value for picture in pictures])
        return np.array([picture.bird.genus_grating.value for picture in pictures])


@dataclass(frozen=True, slots=True)
class Row:
    """One observer on one setting.

    Attributes:
        limit: pixels.
        native: accuracy on untouched images.
        outcome: how accuracy met the threshold; "not monotone" if it came back below.
        crossing: first resolution measured below the threshold, pixels; None: there is none.
        interval: 95 % for the crossing, pixels.
        ratio, ratio_interval: the same as shares of the limit.
    """

    setting: str
    level: Level
    given: Given
    limit: float
    native: float
    outcome: Outcome
    crossing: int | None
    interval: tuple[int | None, int | None]
    ratio: float | None
    ratio_interval: tuple[float | None, float | None]


def measure(setting: str, pictures: Pictures, level: Level, given: Given) -> Row:
    """Run one observer down the sweep."""
    observer = Observer(pictures, level, given)
    found = observer.crossing()
    everything = np.arange(len(pictures.test))
    low, high = (_share(end, observer.limit) for end in found.interval)
    return Row(
        setting=setting,
        level=level,
        given=given,
        limit=round(observer.limit, 1),
        native=round(float(observer.score(pictures.spec.side, everything).mean()), 3),
        outcome=found.outcome,
        crossing=found.resolution,
        interval=found.interval,
        ratio=_share(found.resolution, observer.limit),
        ratio_interval=(low, high),
    )


def _share(resolution: int | None, limit: float) -> float | None:
    return None if resolution is None else round(resolution / limit, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--images", type=int, default=10, help="images a species, half for the test"
    )
    given = parser.parse_args()
    rows = []
    for setting, spec in SETTINGS.items():
        pictures = Pictures.draw(spec, given.images)
        rows += [measure(setting, pictures, level, what) for level, what in OBSERVERS]
    tested = given.images // 2 * len(demo_birds())
    if given.json:
        found = {"threshold": THRESHOLD, "test_images": tested, "rows": [asdict(r) for r in rows]}
        print(json.dumps(found, indent=2))
        return
    print(f"{tested} test images, threshold {THRESHOLD}; resolutions in pixels")
    print(f"{'setting':20}{'level':>8}{'given':>8}{'limit':>8}{'crossing':>18}{'of the limit':>22}")
    for row in rows:
        crossing = f"{row.crossing} [{row.interval[0]}, {row.interval[1]}]"
        ratio = f"{row.ratio} [{row.ratio_interval[0]}, {row.ratio_interval[1]}]"
        print(
            f"{row.setting:20}{row.level:>8}{row.given:>8}{row.limit:8.1f}{crossing:>18}{ratio:>22}"
        )


if __name__ == "__main__":
    main()
