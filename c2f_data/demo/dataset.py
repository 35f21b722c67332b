"""The demo written to a folder in the official CUB layout, resumable, on all cores."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from PIL import Image

from c2f_data.artefacts import atomic_path, read_json, remove_leftovers, write_json, write_text
from c2f_data.demo.catalogue import DemoBird, demo_birds
from c2f_data.demo.render import render_image
from c2f_data.demo.spec import RENDERER_VERSION, DemoSpec
from c2f_data.errors import C2FError, DataSetError

SPEC_FILE = "demo.json"
_STARTED_FILE = "demo.rendering.json"
_SCHEMA = "c2f.demo"
_MAKER = "c2f demo"

Progress = Callable[[int, int], None]


def render_dataset(
    spec: DemoSpec, root: Path, jobs: int | None = None, progress: Progress | None = None
) -> None:
    """Render the demo into `root`: images, the four CUB text files, taxonomy.csv and demo.json.

    demo.json is written last: where it holds this spec the data set is complete, and the call
    returns at once. Otherwise images already there are checked and kept, the others rendered. The
    bytes do not depend on `jobs`.

    jobs: worker processes; None for one per available core, 1 for this process alone.
    progress: called as progress(images done, images in all) in this process.

    Raises:
        DataSetError: `root` holds a demo of another spec, or files that are no demo.
        ArtefactError: the disk refused.
    """
    if _is_complete(spec, root):
        return
    _claim(spec, root)
    birds = demo_birds()
    tasks = [(bird.class_id, index) for bird in birds for index in range(spec.images_per_species)]
    for bird in birds:
        folder = root / "images" / bird.name
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
    _run(partial(_ensure_image, spec, root), tasks, jobs or _cores(), progress)
    for name, text in _tables(spec, birds).items():
        write_text(root / name, text)
    write_json(root / SPEC_FILE, spec, schema=_SCHEMA, version=RENDERER_VERSION)
    (root / _STARTED_FILE).unlink(missing_ok=True)


def read_spec(root: Path) -> DemoSpec:
    """The spec of the complete demo in `root`. Raises ArtefactError if there is none."""
    return _read(root / SPEC_FILE)


def image_path(bird: DemoBird, index: int) -> str:
    """Path of image `index` (0-based) of a species inside images/, as images.txt has it."""
    title = bird.name.split(".", 1)[1]
    return f"{bird.name}/{title}_{index + 1:04d}.webp"


def _read(path: Path) -> DemoSpec:
    return read_json(path, DemoSpec, schema=_SCHEMA, version=RENDERER_VERSION, maker=_MAKER)


def _is_complete(spec: DemoSpec, root: Path) -> bool:
    if not (root / SPEC_FILE).is_file():
        return False
    if read_spec(root) != spec:
        raise DataSetError(
            f"{root} holds a demo with other settings",
            "choose another folder, or delete this one to render it again",
        )
    return True


def _claim(spec: DemoSpec, root: Path) -> None:
    """Note what is being rendered, so that a later call resumes this spec and no other."""
    started = root / _STARTED_FILE
    if started.is_file():
        if _read(started) != spec:
            raise DataSetError(
                f"{root} holds an unfinished demo with other settings",
                "choose another folder, or delete this one",
            )
        return
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise DataSetError(
            f"{root} is not empty and holds no demo", "choose a folder that is new or empty"
        )
    write_json(started, spec, schema=_SCHEMA, version=RENDERER_VERSION)


def _run(
    work: Callable[[tuple[int, int]], None],
    tasks: list[tuple[int, int]],
    jobs: int,
    progress: Progress | None,
) -> None:
    def report(done: int) -> None:
        if progress is not None:
            progress(done, len(tasks))

    report(0)
    if jobs == 1:
        for done, task in enumerate(tasks, start=1):
            work(task)
            report(done)
        return
    # Spawned, not forked: a fork would copy the locks of a process in which torch runs threads.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        try:
            for done, _ in enumerate(pool.map(work, tasks, chunksize=8), start=1):
                report(done)
        except BrokenProcessPool as error:
            raise C2FError(
                "a process that renders the demo was killed",
                "run the command again to resume; with little memory, use fewer workers",
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _ensure_image(spec: DemoSpec, root: Path, task: tuple[int, int]) -> None:
    class_id, index = task
    path = root / "images" / image_path(demo_birds()[class_id - 1], index)
    if _is_intact(path):
        return
    encoded = io.BytesIO()
    # Lossless whatever the quality, which only sets the effort: 0 is fast and hardly larger.
    image = Image.fromarray(render_image(spec, class_id, index))
    image.save(encoded, "WEBP", lossless=True, method=0, quality=0)
    with atomic_path(path) as temporary:
        temporary.write_bytes(encoded.getvalue())


def _is_intact(path: Path) -> bool:
    """Whether an earlier run left a whole image here (a power cut may leave a torn one)."""
    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, SyntaxError):
        return False
    return True


def _tables(spec: DemoSpec, birds: tuple[DemoBird, ...]) -> dict[str, str]:
    """Name to content of the text files of the official layout, and of taxonomy.csv."""
    images: list[str] = []
    labels: list[str] = []
    split: list[str] = []
    for bird in birds:
        for index in range(spec.images_per_species):
            number = len(images) + 1
            images.append(f"{number} {image_path(bird, index)}\n")
            labels.append(f"{number} {bird.class_id}\n")
            split.append(f"{number} {int(index < spec.train_per_species)}\n")
    taxonomy = io.StringIO()
    rows = csv.writer(taxonomy, lineterminator="\n")
    rows.writerow(("class_id", "species", "genus", "family"))
    rows.writerows((bird.class_id, bird.name, bird.genus, bird.family) for bird in birds)
    return {
        "images.txt": "".join(images),
        "image_class_labels.txt": "".join(labels),
        "train_test_split.txt": "".join(split),
        "classes.txt": "".join(f"{bird.class_id} {bird.name}\n" for bird in birds),
        "taxonomy.csv": taxonomy.getvalue(),
    }


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else (os.cpu_count() or 1)
