"""Small copies of Stanford Cars in every layout, for the tests of its adapter."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat

from c2f_data.hierarchy.builtin import builtin_taxonomy
from c2f_data.hierarchy.cars import official_names
from c2f_data.index import DatasetIndex
from c2f_data.sources import read_source
from c2f_data.sources.request import SourceRequest

RAM = official_names().index("Ram C/V Cargo Van Minivan 2012") + 1
CLASSES = (1, 3, RAM, 196)


@dataclass(frozen=True)
class Car:
    """An image of a copy; corners as in the annotation files, from 1 and inclusive."""

    name: str
    class_id: int
    corners: tuple[int, int, int, int]
    size: tuple[int, int]
    test: bool = False


@cache
def _smallest() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 30, 30)).save(buffer, "JPEG")
    return buffer.getvalue()


def header_jpeg(width: int, height: int) -> bytes:
    """A JPEG whose header says this size; there are no pixels for it."""
    data = _smallest()
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def some_cars(test: bool = False, digits: int = 5) -> list[Car]:
    """Three training or two test images a class, sizes all different."""
    cars = []
    for class_id in CLASSES:
        for _ in range(2 if test else 3):
            n = len(cars) + (100 if test else 1)
            corners = (3 + n, 5, 40 + n, 30 + n)
            cars.append(Car(f"{n:0{digits}}.jpg", class_id, corners, (60 + 2 * n, 40 + n), test))
    return cars


def struct_array(columns: dict[str, Sequence[object]]) -> Any:
    """A MATLAB struct array: one element a row, each field an object."""
    rows = len(next(iter(columns.values())))
    table = np.zeros((1, rows), dtype=[(name, object) for name in columns])
    for name, values in columns.items():
        for i, value in enumerate(values):
            table[0, i][name] = value
    return table


def columns_of(
    cars: Sequence[Car], *, labels: bool = True, combined: bool = False
) -> dict[str, Sequence[object]]:
    """The fields of an annotation file, in the official order."""
    sides = {
        f"bbox_{side}": [car.corners[i] for car in cars]
        for i, side in enumerate(("x1", "y1", "x2", "y2"))
    }
    label = {"class": [car.class_id for car in cars]} if labels else {}
    if combined:
        names = [f"car_ims/{car.name}" for car in cars]
        return {"relative_im_path": names, **sides, **label, "test": [int(c.test) for c in cars]}
    return {**sides, **label, "fname": [car.name for car in cars]}


def write_annotations(path: Path, cars: Sequence[Car], **kinds: bool) -> None:
    content: dict[str, Any] = {"annotations": struct_array(columns_of(cars, **kinds))}
    if kinds.get("combined"):
        content["class_names"] = name_cells(official_names())
    write_mat(path, content)


def write_meta(path: Path, names: Sequence[str] | None = None) -> None:
    write_mat(path, {"class_names": name_cells(names or official_names())})


def write_mat(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, content, do_compression=True)


def name_cells(names: Sequence[str]) -> Any:
    cells = np.empty((1, len(names)), dtype=object)
    cells[0, :] = names
    return cells


def write_images(folder: Path, cars: Iterable[Car], cut: bool = False) -> None:
    """``cut``: each image is only what is in its box."""
    folder.mkdir(parents=True, exist_ok=True)
    for car in cars:
        x1, y1, x2, y2 = car.corners
        size = (x2 - x1 + 1, y2 - y1 + 1) if cut else car.size
        (folder / car.name).write_bytes(header_jpeg(*size))


def make_original(
    root: Path, *, nested: bool = False, cut: bool = False, meta: bool = True, test: bool = True
) -> Path:
    """The devkit with cars_train and cars_test; the test labels are beside the devkit."""
    train, tests = some_cars(), some_cars(test=True)
    for name, cars in (("cars_train", train), ("cars_test", tests)):
        write_images(root / name / name if nested else root / name, cars, cut)
    devkit = root / "car_devkit" / "devkit" if nested else root / "devkit"
    write_annotations(devkit / "cars_train_annos.mat", train)
    write_annotations(devkit / "cars_test_annos.mat", tests, labels=False)
    if meta:
        write_meta(devkit / "cars_meta.mat")
    if test:
        write_annotations(root / "cars_test_annos_withlabels.mat", tests)
    return root


def make_combined(root: Path) -> Path:
    """car_ims with cars_annos.mat: a class's test images come before its training images."""
    cars = []
    for car in sorted(
        (*some_cars(), *some_cars(test=True)), key=lambda c: (c.class_id, not c.test)
    ):
        name = f"{len(cars) + 1:06}.jpg"
        cars.append(Car(name, car.class_id, car.corners, car.size, car.test))
    write_images(root / "car_ims", cars)
    write_annotations(root / "cars_annos.mat", cars, combined=True)
    return root


def make_class_folders(root: Path, *, split: bool = True) -> Path:
    """One folder a class; the slash of the official name can't be in a folder's name."""
    for car in (*some_cars(), *some_cars(test=True)):
        name = official_names()[car.class_id - 1].replace("/", "-")
        part = ("test" if car.test else "train") if split else "."
        write_images(root / part / name, [car])
    return root


def make_parquet(root: Path, *, names: Sequence[str] | None) -> Path:
    """Two parquet files as the Hugging Face hub has them; ``names`` are those in the schema."""
    import json

    import pyarrow as pa
    import pyarrow.parquet as pq

    info = {"label": {"names": list(names), "_type": "ClassLabel"}} if names else {}
    for split, cars in (("train", some_cars()), ("test", some_cars(test=True))):
        table = pa.table(
            {
                "image": [{"bytes": header_jpeg(*car.size), "path": car.name} for car in cars],
                "label": [car.class_id - 1 for car in cars],
            }
        )
        kept = {"huggingface": json.dumps({"info": {"features": info}})}
        (root / "data").mkdir(parents=True, exist_ok=True)
        path = root / "data" / f"{split}-00000-of-00001.parquet"
        pq.write_table(table.replace_schema_metadata(kept), path)
    return root


def read(root: Path, *, partial: bool = True, crop: str = "none") -> DatasetIndex:
    return read_source(SourceRequest("cars", root, builtin_taxonomy("cars"), partial, crop))
