"""The demo data set: reproducible, resumable, in the official layout, and true to its limits."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from c2f_data.demo import (
    DemoBird,
    DemoSpec,
    Grating,
    demo_birds,
    draw_scene,
    grating,
    grating_energy,
    image_path,
    read_spec,
    render_bird,
    render_dataset,
    render_image,
)
from c2f_data.demo.texture import TEXTURE_NAMES, TextureName
from c2f_data.errors import C2FError, DataSetError

Picture = NDArray[np.uint8]

TINY = DemoSpec(
    side=64, period_species=3.5, period_genus=8.0, images_per_species=3, train_per_species=2
)
# The default in half size: the same limits, a quarter of the work.
HALF = DemoSpec(side=128, period_species=3.5, period_genus=12.0)
COUNT = len(demo_birds()) * TINY.images_per_species


def _digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo") / "rendered"
    render_dataset(TINY, root, jobs=1)
    return root


# --- the spec and the catalogue ------------------------------------------------------------------


def test_limits_are_where_a_period_is_two_pixels() -> None:
    spec = DemoSpec(side=240, period_species=6.0, period_genus=20.0)
    assert spec.limit_species == 80.0
    assert spec.limit_genus == 24.0
    assert len(demo_birds()) * DemoSpec().train_per_species >= 1500


@pytest.mark.parametrize(
    "change",
    [
        {"seed": -1},
        {"side": 32},
        {"period_species": 2.5},
        {"period_species": math.nan},
        {"period_genus": 10.0},
        {"period_genus": 40.0},
        {"train_per_species": 120},
        {"train_per_species": 0},
    ],
)
def test_impossible_specs_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(C2FError) as caught:
        DemoSpec(**change)  # type: ignore[arg-type]
    assert caught.value.hint


def test_levels_nest_and_only_patterns_tell_relatives_apart() -> None:
    birds = demo_birds()
    assert [bird.class_id for bird in birds] == list(range(1, len(birds) + 1))
    assert len({bird.name for bird in birds}) == len(birds)
    assert len({bird.family for bird in birds}) == 3
    keys = {(bird.family, bird.genus_grating, bird.species_grating) for bird in birds}
    assert len(keys) == len(birds)
    genera = {(bird.genus, bird.family, bird.genus_grating) for bird in birds}
    assert len(genera) == len({bird.genus for bird in birds}) == 6


# --- images --------------------------------------------------------------------------------------


def test_an_image_depends_on_seed_species_and_index_alone() -> None:
    first = render_image(HALF, 5, 3)
    assert first.dtype == np.uint8
    assert min(first.shape[:2]) == HALF.side
    assert first.shape[2] == 3
    assert np.array_equal(first, render_image(HALF, 5, 3))
    seeded = DemoSpec(seed=1, side=128, period_species=3.5, period_genus=12.0)
    for other in (render_image(HALF, 5, 4), render_image(HALF, 6, 3), render_image(seeded, 5, 3)):
        assert first.shape != other.shape or not np.array_equal(first, other)


def _relatives(family: str, **fixed: Grating) -> list[DemoBird]:
    """Birds of a family that share the given gratings."""
    return [
        bird
        for bird in demo_birds()
        if bird.family == family and all(getattr(bird, key) is fixed[key] for key in fixed)
    ]


def _in_one_scene(birds: list[DemoBird], spec: DemoSpec, seed: int) -> list[Picture]:
    return [
        render_bird(spec, bird, draw_scene(spec, np.random.default_rng(seed))) for bird in birds
    ]


@pytest.mark.parametrize("family", sorted({bird.family for bird in demo_birds()}))
@pytest.mark.parametrize("level", ["species", "genus"])
@pytest.mark.parametrize("texture", TEXTURE_NAMES)
def test_relatives_have_the_same_mean_contrast_and_energy(
    family: str, level: str, texture: TextureName
) -> None:
    spec = replace(HALF, texture=texture)
    shared = "genus_grating" if level == "species" else "species_grating"
    birds = _relatives(family, **{shared: Grating.VERTICAL})
    period = spec.period_species if level == "species" else spec.period_genus
    scenes = [_in_one_scene(birds, spec, seed) for seed in range(8)]
    measured = np.array(
        [[(p.mean(), p.std(), sum(grating_energy(p, period))) for p in scene] for scene in scenes]
    )
    means, contrasts, energies = np.moveaxis(measured, 2, 0)
    assert np.ptp(means, axis=1).max() < 0.5  # grey levels
    assert np.ptp(contrasts, axis=1).max() < 1.0
    average = energies.mean(axis=0)
    assert np.ptp(average) < 0.15 * average.mean()


@pytest.mark.parametrize("direction", list(Grating))
def test_gratings_have_equal_energy_and_no_diagonal(direction: Grating) -> None:
    wave = grating((256, 256), 8.0, direction, (0.3, 1.1))
    assert float(wave.mean()) == pytest.approx(0.0, abs=1e-5)
    assert float(wave.var()) == pytest.approx(0.5, abs=1e-4)
    power = np.abs(np.fft.fft2(wave)) ** 2
    on_axes = power[0, :].sum() + power[:, 0].sum()
    assert on_axes == pytest.approx(power.sum(), rel=1e-6)


def _read_label(image: Picture, spec: DemoSpec) -> Grating:
    """The oracle: direction of the fine barring from its energies along x and y."""
    along_x, along_y = grating_energy(image, spec.period_species)
    share = along_x / (along_x + along_y)
    if 0.25 <= share <= 0.75:
        return Grating.BOTH
    return Grating.HORIZONTAL if share > 0.5 else Grating.VERTICAL


def test_a_flip_changes_no_label() -> None:
    spec = HALF
    right = 0
    images = [(bird, render_image(spec, bird.class_id, i)) for bird in demo_birds() for i in (0, 1)]
    for bird, image in images:
        flipped = np.ascontiguousarray(image[:, ::-1])
        for period in (spec.period_species, spec.period_genus):
            assert grating_energy(flipped, period) == pytest.approx(
                grating_energy(image, period), rel=1e-3
            )
        assert _read_label(flipped, spec) is _read_label(image, spec)
        right += _read_label(image, spec) is bird.species_grating
    # A few birds are worn and bear no bars at all; all others are read correctly.
    assert right >= 0.85 * len(images)


# --- the limit -----------------------------------------------------------------------------------


def _copy_at(image: Picture, r: int) -> Image.Image:
    height, width = image.shape[:2]
    scale = r / min(height, width)
    size = (round(width * scale), round(height * scale))
    return Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)


@pytest.mark.parametrize("texture", TEXTURE_NAMES)
def test_siblings_in_one_scene_are_the_same_picture_below_the_limit(texture: TextureName) -> None:
    spec = replace(HALF, texture=texture)
    r = round(0.4 * spec.limit_species)
    for seed in range(6):
        siblings = _in_one_scene(list(demo_birds()[:3]), spec, seed)
        copies = np.array([_copy_at(image, r) for image in siblings], dtype=np.int16)
        assert np.ptp(copies, axis=0).max() <= 3  # grey levels
        assert np.ptp(np.array(siblings, dtype=np.int16), axis=0).max() > 25


def _features(image: Picture, r: int) -> list[float]:
    """Log energies along x and y at a ladder of periods, of the copy at r enlarged again."""
    height, width = image.shape[:2]
    copy = _copy_at(image, r) if r < min(height, width) else Image.fromarray(image)
    grey = np.asarray(copy.resize((width, height), Image.Resampling.BICUBIC).convert("L"))
    ladder = HALF.period_species * np.array((0.8, 1.0, 1.3, 2.0, 3.0))
    return [math.log(e + 1e-3) for period in ladder for e in grating_energy(grey, period)]


def _sibling_accuracy(images: list[tuple[int, Picture]], r: int) -> float:
    x = np.array([_features(image, r) for _, image in images])
    y = np.array([label for label, _ in images])
    train = np.arange(len(y)) % 2 == 0
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    return float(model.fit(x[train], y[train]).score(x[~train], y[~train]))


def test_a_classifier_is_at_chance_among_siblings_below_the_limit() -> None:
    images = [(bird, render_image(HALF, bird, i)) for i in range(80) for bird in (1, 2, 3)]
    # Chance is 1/3 with a standard deviation of 0.043 over 120 test images.
    assert _sibling_accuracy(images, round(0.4 * HALF.limit_species)) < 0.46
    assert _sibling_accuracy(images, HALF.side) > 0.85


# --- the data set on disk ------------------------------------------------------------------------


def test_layout_is_the_official_one(rendered: Path) -> None:
    def table(name: str) -> dict[str, str]:
        lines = (rendered / name).read_text(encoding="utf-8").splitlines()
        return dict(line.split(" ", 1) for line in lines)

    birds = demo_birds()
    images, labels, split = (
        table("images.txt"),
        table("image_class_labels.txt"),
        table("train_test_split.txt"),
    )
    assert list(images) == list(labels) == list(split) == [str(i + 1) for i in range(COUNT)]
    assert table("classes.txt") == {str(bird.class_id): bird.name for bird in birds}
    for number, path in images.items():
        assert path.split("/")[0] == birds[int(labels[number]) - 1].name
    assert sum(map(int, split.values())) == len(birds) * TINY.train_per_species
    on_disk = {p.relative_to(rendered / "images").as_posix() for p in rendered.rglob("*.webp")}
    assert on_disk == set(images.values())
    taxonomy = pd.read_csv(rendered / "taxonomy.csv")
    assert list(taxonomy.columns) == ["class_id", "species", "genus", "family"]
    assert list(taxonomy["species"]) == [bird.name for bird in birds]


def test_files_are_lossless(rendered: Path) -> None:
    bird = demo_birds()[7]
    with Image.open(rendered / "images" / image_path(bird, 1)) as image:
        assert np.array_equal(np.asarray(image), render_image(TINY, bird.class_id, 1))


def test_bytes_do_not_depend_on_the_number_of_jobs(rendered: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    render_dataset(TINY, tmp_path / "demo", jobs=2, progress=lambda *step: seen.append(step))
    assert _digests(tmp_path / "demo") == _digests(rendered)
    assert seen == [(done, COUNT) for done in range(COUNT + 1)]


def test_a_complete_demo_is_left_alone(rendered: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in rendered.rglob("*")}
    calls: list[int] = []
    render_dataset(TINY, rendered, jobs=1, progress=lambda done, _: calls.append(done))
    assert not calls
    assert {path: path.stat().st_mtime_ns for path in rendered.rglob("*")} == before
    assert read_spec(rendered) == TINY


def test_an_interrupted_render_resumes(rendered: Path, tmp_path: Path) -> None:
    root = tmp_path / "demo"

    def interrupt(done: int, total: int) -> None:
        if done == total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render_dataset(TINY, root, jobs=1, progress=interrupt)
    assert not (root / "demo.json").exists()
    done = sorted(root.rglob("*.webp"))
    assert len(done) == COUNT // 2
    kept, torn = done[0], done[1]
    torn.write_bytes(torn.read_bytes()[:100])
    (torn.parent / ".tmp-0123-x.webp").write_bytes(b"left by a killed run")
    stamp = kept.stat().st_mtime_ns
    render_dataset(TINY, root, jobs=1)
    assert kept.stat().st_mtime_ns == stamp
    assert _digests(root) == _digests(rendered)


def test_a_demo_of_another_spec_is_not_mixed_with_this_one(rendered: Path, tmp_path: Path) -> None:
    other = DemoSpec(
        seed=9,
        side=64,
        period_species=3.5,
        period_genus=8.0,
        images_per_species=3,
        train_per_species=2,
    )
    with pytest.raises(DataSetError, match="other settings"):
        render_dataset(other, rendered, jobs=1)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render_dataset(TINY, tmp_path / "demo", jobs=1, progress=stop)
    with pytest.raises(DataSetError, match="unfinished"):
        render_dataset(other, tmp_path / "demo", jobs=1)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(DataSetError, match="not empty"):
        render_dataset(TINY, tmp_path, jobs=1)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
