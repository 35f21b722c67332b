"""The demo's textures: the plain one stays as it is, the hard one hides what it should hide."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.fft import dctn

from c2f_data.demo import (
    DemoSpec,
    demo_birds,
    draw_scene,
    read_spec,
    render_bird,
    render_dataset,
    render_image,
)
from c2f_data.demo.texture import TEXTURES
from c2f_data.errors import C2FError, DataSetError

PERIODS = [(7.0, 24.0), (6.0, 18.0)]
HARD = DemoSpec(texture="hard")


def _hash(spec: DemoSpec) -> str:
    digest = hashlib.sha256()
    for class_id, index in ((1, 0), (8, 7), (18, 119)):
        digest.update(render_image(spec, class_id, index).tobytes())
    return digest.hexdigest()[:16]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (DemoSpec(), "05546a55e400cb48"),
        (DemoSpec(period_species=6.0, period_genus=18.0), "3bad03ed825f8a97"),
        (HARD, "8037b380bcac58db"),
    ],
    ids=["plain, 7 px", "plain, 6 px", "hard"],
)
def test_the_pixels_of_a_setting_never_change(spec: DemoSpec, expected: str) -> None:
    # Another hash means other images under the old name: raise RENDERER_VERSION.
    assert _hash(spec) == expected


def test_textures_share_their_scenes() -> None:
    plain, hard = (draw_scene(spec, np.random.default_rng(3)) for spec in (DemoSpec(), HARD))
    for field in fields(plain):
        same = np.array_equal(getattr(plain, field.name), getattr(hard, field.name))
        assert same is (field.name not in ("fine", "coarse", "clutter")), field.name
    assert not plain.clutter.any()
    assert hard.fine < plain.fine


def test_an_unknown_texture_is_refused() -> None:
    with pytest.raises(C2FError, match="'woolly'") as caught:
        DemoSpec(texture="woolly")  # type: ignore[arg-type]
    assert "plain or hard" in caught.value.hint


def _octave(image: NDArray[np.generic], period: float) -> float:
    """Energy within half an octave of 1 / period, in all directions and over the whole image."""
    grey = np.asarray(image, dtype=np.float64).mean(axis=2)
    # Cosines: the image goes on in its mirror image, so its edges add nothing.
    power = dctn(grey, norm="ortho") ** 2
    down, right = (np.arange(count) / (2 * count) for count in grey.shape)
    octaves = np.abs(np.log2(np.hypot(down[:, None], right) * period + 1e-12))
    return float(power[octaves < 0.5].sum())


def _rivalry(spec: DemoSpec) -> list[float]:
    """Energy near the barring's frequency, of all else over that of the barring, of 12 images."""
    ratios = []
    for seed in range(12):
        scene = draw_scene(spec, np.random.default_rng([1, seed]))
        bird = demo_birds()[5 * seed % 18]
        bare = render_bird(spec, bird, replace(scene, fine=0.0)).astype(np.float64)
        bars = render_bird(spec, bird, scene) - bare
        if scene.fine > 0:
            ratios.append(_octave(bare, spec.period_species) / _octave(bars, spec.period_species))
    return ratios


@pytest.mark.parametrize(("fine", "coarse"), PERIODS)
def test_hard_pictures_hold_as_much_energy_beside_the_barring_as_in_it(
    fine: float, coarse: float
) -> None:
    # In half size: the same pictures, a quarter of the work.
    spec = DemoSpec(side=128, period_species=fine / 2, period_genus=coarse / 2)
    assert np.median(_rivalry(replace(spec, texture="hard"))) > 1
    assert np.median(_rivalry(spec)) < 0.5


def test_the_barring_of_hard_pictures_is_fainter() -> None:
    for pattern in ("fine", "coarse"):
        hard, plain = (np.mean(getattr(TEXTURES[name], pattern)) for name in ("hard", "plain"))
        assert hard < plain


def test_the_texture_is_part_of_the_data_set_on_disk(tmp_path: Path) -> None:
    small = DemoSpec(
        side=64, period_species=3.5, period_genus=8.0, images_per_species=2, train_per_species=1
    )
    hard = replace(small, texture="hard")
    render_dataset(hard, tmp_path / "demo", jobs=1)
    assert read_spec(tmp_path / "demo") == hard
    with pytest.raises(DataSetError, match="other settings"):
        render_dataset(small, tmp_path / "demo", jobs=1)


def test_a_demo_written_before_there_were_textures_is_plain(tmp_path: Path) -> None:
    render_dataset(
        DemoSpec(
            side=64, period_species=3.5, period_genus=8.0, images_per_species=2, train_per_species=1
        ),
        tmp_path,
        jobs=1,
    )
    path = tmp_path / "demo.json"
    told = json.loads(path.read_text(encoding="utf-8"))
    assert told.pop("texture") == "plain"
    path.write_text(json.dumps(told), encoding="utf-8")
    assert read_spec(tmp_path).texture == "plain"
