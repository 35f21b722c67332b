"""Models and weights of strangers: no code runs, no memory is taken, one clear error."""

from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from test_checkpoint import META, tiny_model

from c2f_data.errors import C2FError
from c2f_train.checkpoint import load_models, save_models
from c2f_train.weights import read_state

GIB = 2**30


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_models(tmp_path / "model", [tiny_model()], META)
    return tmp_path / "model"


@pytest.fixture
def little_memory() -> Any:
    """At most 3 GiB more address space than now: an absurd allocation fails instead of swapping."""
    resource = pytest.importorskip("resource")
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 3 * GIB, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def edit(folder: Path, **changes: object) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(
    "changes",
    [
        {"dim": 10**9},
        {"dim": 2**20},
        {"dim": -1},
        {"dim": 10**40},
        {"dim": True},
        {"folds": 10**9},
        {"folds": 0},
        {"folds": -3},
        {"pooling": "../../etc"},
        {"pooling": "kernel", "dim": 2**20},
        {"pooling": "bilinear"},
        {"backbone": "../../x"},
        {"backbone": "os.system"},
        {"backbone": "timm:hf-hub:nobody/nothing"},
        {"backbone": "timm:local-dir:/etc"},
        {"backbone": "c2f_train.tiny"},
        {"taps": ["a", "b", "c"]},
        {"seed": "0"},
        {"levels": []},
        {"paths": []},
        {"paths": [["a"]]},
        {"paths": [["a", "b", "c"], ["a", "b", "c"]]},
        {"paths": [["a", f"{i % 5}", f"{i}"] for i in range(20000)]},
        {"spec": {"crop": 10**9, "enlarge_to": 10**9}},
        {"trained": 3},
        {"trained": ["species", "nothing"]},
        {"resolutions": [{"name": "a", "count": 1, "resolution": -5, "native": False}]},
        {"pooling": "os.system"},
        {"code": "import os"},
        {"__class__": "os.system"},
        {"provenance": {"command": "rm"}},
    ],
    ids=str,
)
def test_absurd_or_sly_values_in_model_json(folder: Path, changes: dict[str, object]) -> None:
    edit(folder, **changes)
    with pytest.raises(C2FError) as caught:
        load_models(folder)
    assert str(folder) in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        '{"schema": "c2f-model", "schema_version": 2, "levels": ' + "[" * 100_000,
        '{"schema": "c2f-model", "schema_version": ' + "9" * 10_000 + "}",
        "null",
        "[]",
        '"c2f-model"',
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
        '{"schema": "c2f-model", "schema_version": NaN}',
    ],
    ids=lambda text: text[:20],
)
def test_json_that_is_no_model_json(folder: Path, text: str) -> None:
    (folder / "model.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(C2FError, match=r"model\.json"):
        load_models(folder)


def test_a_huge_model_json_is_not_read(folder: Path) -> None:
    with (folder / "model.json").open("r+b") as file:
        file.truncate(GIB)  # sparse: takes no space on the disk
    with pytest.raises(C2FError, match=r"too large for a model\.json"):
        load_models(folder)


def tensors(header: object, data: bytes = bytes(16), length: int | None = None) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(shape: list[int], start: int, end: int, kind: str = "F32") -> dict[str, object]:
    return {"dtype": kind, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(
    "content",
    [
        tensors({}, length=2**63),
        tensors({}, length=2**40),
        tensors({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}),
        tensors({"a": entry([4], 0, 16), "b": entry([4], 0, 16)}),
        tensors({"a": entry([2**40], 0, 2**42)}),
        tensors({"a": entry([2**40], 0, 16)}),
        tensors({"a": entry([2**33, 2**33], 0, 16)}),
        tensors({"a": entry([-1], 0, 16)}),
        tensors({"a": entry([4], 16, 0)}),
        tensors({"a": entry([4], 0, 16, "PICKLE")}),
        tensors({"a": "os.system"}),
        tensors([1, 2]),
        struct.pack("<Q", 100_000) + b"[" * 100_000,
    ],
    ids=range(13),
)
def test_hostile_safetensors(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(C2FError, match=r"model\.safetensors"):
        load_models(folder)


class Bomb:
    """Unpickled, it writes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors", ".bin"])
@pytest.mark.parametrize("by_torch", [True, False])
def test_a_pickle_with_code_runs_nothing(suffix: str, by_torch: bool, tmp_path: Path) -> None:
    mark, path = tmp_path / "code ran", tmp_path / f"weights{suffix}"
    state = {"weight": torch.zeros(2), "more": Bomb(mark)}
    if by_torch:
        torch.save(state, path)
    else:
        path.write_bytes(pickle.dumps(state))
    pickle.loads(pickle.dumps(Bomb(mark)))
    assert mark.exists()  # the bomb works
    mark.unlink()
    with pytest.raises(C2FError, match="not a weights file"):
        read_state(path)
    assert not mark.exists()


def test_a_pickle_in_place_of_the_tensors_runs_nothing(folder: Path, tmp_path: Path) -> None:
    mark = tmp_path / "code ran"
    torch.save(Bomb(mark), folder / "model.safetensors")
    with pytest.raises(C2FError, match=r"model\.safetensors"):
        load_models(folder)
    assert not mark.exists()
