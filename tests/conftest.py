"""What several folders of tests need: one thread, real data, tiny data sets in CUB's layout."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

# Before anything imports torch; the tests of child processes inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
settings.register_profile("c2f", deadline=None)
settings.load_profile("c2f")

MakeCub = Callable[..., Path]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and reference facts: C2F_SHARED, or ../shared."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("C2F_SHARED", beside))
    if not folder.is_dir():
        pytest.skip(f"no shared folder: {folder} is not there and C2F_SHARED names no other")
    return folder


@pytest.fixture
def make_cub(tmp_path: Path) -> MakeCub:
    """``make_cub({3: "003.Crow", 17: "017.Gull"}, train=2, test=1)``: a folder as CUB unpacks."""

    def make(
        classes: Mapping[int, str], *, train: int = 2, test: int = 1, root: Path | None = None
    ) -> Path:
        root = root or tmp_path / "CUB_200_2011"
        random = np.random.default_rng(0)
        images, labels, splits = [], [], []
        for number, name in classes.items():
            (root / "images" / name).mkdir(parents=True)
            for i in range(train + test):
                key, path = len(images) + 1, f"{name}/{i}.jpg"
                pixels = random.integers(0, 256, (24, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / "images" / path)
                images.append(f"{key} {path}")
                labels.append(f"{key} {number}")
                splits.append(f"{key} {int(i < train)}")
        files = {
            "images.txt": images,
            "image_class_labels.txt": labels,
            "train_test_split.txt": splits,
            "classes.txt": [f"{number} {name}" for number, name in classes.items()],
        }
        for name, lines in files.items():
            (root / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return root

    return make
