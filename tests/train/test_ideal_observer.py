"""What an observer that knows the barring's period finds: between half the limit and the limit."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest

from benchmarks.observer import (
    OBSERVERS,
    SETTINGS,
    Given,
    Level,
    Observer,
    Pictures,
    energies,
)
from c2f_data.curve import Outcome
from c2f_data.demo import DemoSpec, Grating, grating, render_image
from c2f_data.resample import Pixels, ResampleSpec, reduce

IMAGES = 12  # of a species; 108 are tested


def half(spec: DemoSpec) -> DemoSpec:
    """The same limits in pixels, a quarter of the work."""
    return replace(
        spec,
        side=spec.side // 2,
        period_species=spec.period_species / 2,
        period_genus=spec.period_genus / 2,
    )


@cache
def drawn(spec: DemoSpec) -> Pictures:
    return Pictures.draw(half(spec), IMAGES)


@pytest.fixture(
    scope="module",
    params=[
        "plain, 7 and 24 px",
        pytest.param("plain, 6 and 18 px", marks=pytest.mark.slow),
        "hard, 7 and 24 px",
    ],
)
def observers(request: pytest.FixtureRequest) -> dict[tuple[Level, Given], Observer]:
    """The observers of one setting; each keeps what it has measured."""
    pictures = drawn(SETTINGS[request.param])
    return {(level, given): Observer(pictures, level, given) for level, given in OBSERVERS}


@pytest.fixture(scope="module")
def plain() -> Pictures:
    return drawn(DemoSpec())


def goes_too_far(observer: Observer) -> bool:
    """Against the claim: the level is lost between the limit and half of it, surely."""
    low, high = observer.crossing().interval
    if low is None or high is None:
        return True
    return not 0.5 * observer.limit <= low <= high <= observer.limit


def comes_back(observer: Observer) -> bool:
    """Against the claim: what an image has lost stays lost."""
    return observer.crossing().outcome is not Outcome.CROSSED


@pytest.mark.parametrize(("level", "given"), OBSERVERS)
def test_no_observer_goes_below_half_the_limit(
    observers: dict[tuple[Level, Given], Observer], level: Level, given: Given
) -> None:
    observer = observers[level, given]
    assert not goes_too_far(observer)
    # With the scene known, the trace that the kernel lets through at 0.3 of the limit can be seen.
    assert given == "scene" or not comes_back(observer)


def test_an_observer_that_knows_the_scene_goes_down_to_six_tenths(
    observers: dict[tuple[Level, Given], Observer],
) -> None:
    observer = observers["species", "scene"]
    knowing = observer.crossing().resolution
    seeing = observers["species", "image"].crossing().resolution
    assert knowing is not None
    assert seeing is not None
    assert knowing / observer.limit <= 0.62
    assert knowing < seeing


def unreduced(pixels: Pixels, resolution: int) -> Pixels:
    return pixels


# Without antialiasing the barring folds to a false frequency and keeps its energy there. Only at
# half the limit, where it folds to a flat grey, it is lost; below it is back.
aliased = partial(reduce, spec=ResampleSpec(antialias=False))


def test_an_observer_of_unreduced_images_goes_too_far(plain: Pictures) -> None:
    for given in ("image", "scene"):
        observer = Observer(plain, "species", given, unreduced)
        assert observer.crossing().outcome is Outcome.NEVER_BELOW
        assert goes_too_far(observer)


def test_without_antialiasing_the_barring_comes_back(plain: Pictures) -> None:
    observer = Observer(plain, "species", "image", aliased)
    assert comes_back(observer)
    everything = np.arange(len(plain.test))
    below = [round(share * observer.limit) for share in (0.40, 0.42, 0.44)]
    assert max(observer.score(r, everything).mean() for r in below) >= 0.8
    properly = Observer(plain, "species", "image")
    assert max(properly.score(r, everything).mean() for r in below) < 0.5


def test_the_pictures_are_those_of_the_data_set(plain: Pictures) -> None:
    for index, part in enumerate((plain.train, plain.test)):
        assert np.array_equal(part[4].pixels, render_image(plain.spec, 5, index))
    assert len(plain.train) == len(plain.test) == 9 * IMAGES


def test_a_folded_pattern_is_found_where_it_folded_to() -> None:
    # 4 px reduced by 3, every third pixel kept: 3/4 of a cycle a pixel, seen as 1/4.
    full = 100 * grating((240, 240), 4.0, Grating.HORIZONTAL, (0.4, 0.0))
    along_x, along_y = energies(full[1::3, 1::3], full.shape, 4.0)
    assert along_x == pytest.approx(energies(full, full.shape, 4.0)[0], abs=0.05)
    assert along_x > along_y + 10
