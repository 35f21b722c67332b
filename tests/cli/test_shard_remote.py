"""``c2f shard`` and ``c2f verify`` with images and shards at a URL, as a user types them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from birds import SPECIES, TABLE, Answer, CommandLine, one_line_error
from object_store import new_bucket, object_server

from c2f_data.shards.manifest import read_manifest
from c2f_data.storage import Url, place

RESOLUTIONS = ("--med", 20, "--low", 10, "--jobs", 1)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with object_server() as address:
        yield address


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Url:
    return new_bucket(server, monkeypatch)


@pytest.fixture
def listing(images: Path, tmp_path: Path) -> Path:
    """Every image of the folder, with its class and split."""
    found = sorted(path.relative_to(images) for path in images.glob("*/*/*.png"))
    rows = "".join(f"{path.as_posix()},{path.parts[1]},{path.parts[0]}\n" for path in found)
    file = tmp_path / "images.csv"
    file.write_text("path,species,split\n" + rows, encoding="utf-8")
    return file


@pytest.fixture
def source(images: Path, listing: Path, bucket: Url) -> tuple[object, ...]:
    """The same images in the bucket, in the words of the command line."""
    root = bucket / "images"
    for path in images.glob("*/*/*.png"):
        (root / path.relative_to(images).as_posix()).write_bytes(path.read_bytes())
    (bucket / "images.csv").write_bytes(listing.read_bytes())
    table = listing.parent / "taxonomy.csv"
    table.write_text(TABLE, encoding="utf-8")
    listed = bucket / "images.csv"
    return ("--dataset", "birds", "--root", root, "--listing", listed, "--taxonomy", table)


@pytest.fixture
def right(
    images: Path, listing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> dict[str, bytes]:
    """Shards of the same images from a folder into a folder."""
    c2f = CommandLine(tmp_path / "right", capsys)
    source = ("--dataset", "birds", "--root", images, "--listing", listing)
    return shards_of(fine(c2f("shard", *source, *RESOLUTIONS)).out.strip())


def fine(answer: Answer) -> Answer:
    assert answer.code == 0, answer.err
    return answer


def shards_of(where: str) -> dict[str, bytes]:
    """Everything but what may differ between two builds."""
    root = place(where)
    names = root.sizes() if isinstance(root, Url) else (p.name for p in root.iterdir())
    apart = ("provenance.json", ".lock")
    return {name: (root / name).read_bytes() for name in names if name not in apart}


def test_a_listing_of_a_folder(c2f: CommandLine, images: Path, listing: Path) -> None:
    """The CSV is said once; what comes after finds it, and misses what is not there any more."""
    source = ("--dataset", "birds", "--root", images, "--listing", listing)
    made = fine(c2f("shard", *source, *RESOLUTIONS, "--json"))
    assert made.json["images"] == {"train": 32, "test": 16}
    assert made.json["species"] == len(SPECIES)
    assert fine(c2f("verify", "--sources", "--jobs", 1)).out == "no problems\n"
    assert c2f("doctor", "--dataset", "birds", "--json").json["opened"] is True
    listing.write_text(listing.read_text(encoding="utf-8") + "../a.png,red_dot,test\n", "utf-8")
    answer = c2f("shard", *RESOLUTIONS)
    assert answer.code == 1
    assert "line 50: '../a.png' leads out of the data set" in one_line_error(answer)


def test_from_a_bucket_into_a_bucket(
    c2f: CommandLine, source: tuple[object, ...], right: dict[str, bytes], bucket: Url
) -> None:
    out = bucket / "shards"
    made = fine(c2f("shard", *source, *RESOLUTIONS, "--out", out))
    assert made.out == f"{out}\n"
    assert f"c2f verify --shards {out}" in made.err
    assert shards_of(str(out)) == right
    assert fine(c2f("verify", "--shards", out, "--images", "--jobs", 1)).out == "no problems\n"
    against = c2f("verify", "--shards", out, "--sources", "--jobs", 1)
    assert fine(against).out == "no problems\n"


def test_damage_in_a_bucket(c2f: CommandLine, source: tuple[object, ...], bucket: Url) -> None:
    """Found and named, and made again by the same command when it is out of the way."""
    out = bucket / "shards"
    fine(c2f("shard", *source, *RESOLUTIONS, "--out", out))
    right = shards_of(str(out))
    entry = read_manifest(out).shards[0]
    data = bytearray(right[entry.file])
    data[entry.payloads[0].offset] ^= 1
    (out / entry.file).write_bytes(bytes(data))
    answer = c2f("verify", "--shards", out)
    assert answer.code == 1
    assert answer.out.startswith(f"{entry.file}: ")
    assert len(answer.out.splitlines()) == 1
    refused = c2f("verify", "--shards", out, "--repair")
    assert refused.code == 1
    assert "--repair works in folders" in one_line_error(refused)
    (out / entry.file).unlink()
    fine(c2f("shard", *source, *RESOLUTIONS, "--out", out))
    assert shards_of(str(out)) == right


def test_a_bucket_that_is_not_there(
    c2f: CommandLine, source: tuple[object, ...], bucket: Url
) -> None:
    answer = c2f("shard", *source, *RESOLUTIONS, "--out", "s3://no-such-bucket/shards")
    assert answer.code == 1
    assert "s3://no-such-bucket/shards" in one_line_error(answer)
    answer = c2f("verify", "--shards", bucket / "nothing")
    assert answer.code == 1
    assert "manifest.json" in one_line_error(answer)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--root", "s3://b/images"), "needs a list of its images"),
        (("--out", "nonsense://b/shards"), "nonsense"),
        (("--out", "s3://key:secret@b/shards"), "with a password in it"),
        (("--address", "auto"), "--address auto without --engine ray"),
        (("--engine", "ray", "--address", "127.0.0.1:1"), "no Ray cluster at 127.0.0.1:1"),
    ],
)
def test_words_that_do_not_work(
    c2f: CommandLine, images: Path, words: tuple[str, ...], said: str
) -> None:
    source = ("--dataset", "folder", "--root", images)
    answer = c2f("shard", *source, *RESOLUTIONS, *words)
    assert answer.code == 1
    one_line_error(answer)
    assert said in answer.err
    assert "secret" not in answer.err


def by_ray(c2f: CommandLine, *words: object) -> str:
    """What ``c2f shard --engine ray`` says on stdout, run where a time limit can end it."""
    pytest.importorskip("ray", reason="the extra ray is not installed")
    words = ("shard", *words, "--med", 20, "--low", 10, "--jobs", 2, "--engine", "ray", "--json")
    command = [sys.executable, "-m", "c2f_cli", *words, "--workspace", c2f.workspace]
    again = "Ray gave up"
    for _ in range(2):
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, timeout=400, check=False
        )
        # Ray's own end on a machine that is too busy for it: the command says so, and goes on.
        if again not in done.stderr:
            break
    if "it could not start here" in done.stderr:
        pytest.skip("this machine is too busy for the 30 seconds in which Ray must start")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_by_ray(
    c2f: CommandLine, images: Path, listing: Path, right: dict[str, bytes], tmp_path: Path
) -> None:
    """The short form of test_ray_cluster.py."""
    source = ("--dataset", "birds", "--root", images, "--listing", listing)
    said = by_ray(c2f, *source, "--out", tmp_path / "out")
    assert json.loads(said)["folder"] == str(tmp_path / "out")
    assert shards_of(str(tmp_path / "out")) == right


@pytest.mark.slow
def test_by_ray_from_a_bucket_into_a_bucket(
    c2f: CommandLine, source: tuple[object, ...], right: dict[str, bytes], bucket: Url
) -> None:
    """In a process of its own, as Ray's processes take their settings from the environment."""
    said = by_ray(c2f, *source, "--out", bucket / "shards")
    assert json.loads(said)["folder"] == str(bucket / "shards")
    assert shards_of(str(bucket / "shards")) == right
