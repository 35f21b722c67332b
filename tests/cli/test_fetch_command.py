"""``c2f fetch`` as a user meets it; the download itself is tested with the library."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import random
import tarfile
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from birds import CommandLine

from c2f_data.fetch import archive
from c2f_data.fetch.resume import RemoteFile


def small_archive() -> bytes:
    """A .tgz in the official layout, of over a megabyte."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, data in (
            ("images.txt", b"1 001.Crow/a.jpg\n"),
            ("images/001.Crow/a.jpg", random.Random(0).randbytes(1_200_000)),
        ):
            member = tarfile.TarInfo(f"CUB_200_2011/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return file.getvalue()


CONTENT = small_archive()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server that has a small archive, which c2f takes for the official one."""
    served = tmp_path / "served"
    served.mkdir()
    (served / "CUB_200_2011.tgz").write_bytes(CONTENT)
    (served / "wrong.tgz").write_bytes(CONTENT[::-1])
    handler = functools.partial(Quiet, directory=str(served))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    name = "CUB_200_2011.tgz"
    small = RemoteFile(name, f"{address}/{name}", len(CONTENT), sha256)
    monkeypatch.setattr(archive, "CUB", small)
    yield address
    server.shutdown()
    server.server_close()


def test_cub_goes_to_the_cache_folder(c2f: CommandLine, address: str, tmp_path: Path) -> None:
    result = c2f("fetch", "cub")
    place = tmp_path / "cache" / "cub" / "CUB_200_2011.tgz"
    assert result.code == 0, result.err
    assert result.out == f"{place}\n"
    assert place.read_bytes() == CONTENT
    assert "1 MB came over the network" in result.err
    assert "c2f doctor --dataset cub\n" in result.err
    assert "c2f calibrate --dataset cub " in result.err
    again = c2f("fetch", "cub")
    assert again.code == 0
    assert "nothing was downloaded" in again.err
    assert "Downloading" not in again.err


def test_cub_goes_to_a_folder_that_is_given(c2f: CommandLine, address: str, tmp_path: Path) -> None:
    root = tmp_path / "my data"
    result = c2f("fetch", "cub", "--root", str(root), "--json", "--quiet")
    assert result.code == 0
    assert result.err == ""
    found = json.loads(result.out)
    assert found["archive"] == str(root / "CUB_200_2011.tgz")
    assert found["received"] == found["size"] == len(CONTENT)
    assert found["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    images = Path(found["unpacked"]) / "CUB_200_2011" / "images"
    assert (images / "001.Crow" / "a.jpg").stat().st_size == 1_200_000
    assert found["next"][0] == f"c2f doctor --dataset cub --root '{root}'"


def test_the_checksum_holds_for_another_address_too(
    c2f: CommandLine, address: str, tmp_path: Path
) -> None:
    result = c2f("fetch", "cub", "--url", f"{address}/wrong.tgz")
    assert result.code == 1
    assert "SHA-256" in result.err
    assert "Traceback" not in result.err
    assert result.out == ""
    assert not (tmp_path / "cache" / "cub" / "CUB_200_2011.tgz").exists()
    missing = c2f("fetch", "cub", "--url", f"{address}/nothing.tgz")
    assert missing.code == 1
    assert "404" in missing.err
    assert c2f("fetch", "cub", "--url", f"{address}/CUB_200_2011.tgz").code == 0


def test_cars_tells_where_copies_are_and_what_to_check(c2f: CommandLine) -> None:
    result = c2f("fetch", "cars")
    assert result.code == 0
    for word in ("kaggle.com/datasets/", "huggingface.co/datasets/", "8,144", "8,041", "196"):
        assert word in result.out
    assert "c2f doctor --dataset cars --root FOLDER" in result.out
    told = json.loads(c2f("fetch", "cars", "--json", "--root", "R").out)
    assert all(copy["address"].endswith(copy["name"]) for copy in told["copies"])
    assert {copy["site"] for copy in told["copies"]} == {"Kaggle", "Hugging Face"}
    assert told["next"][0] == "c2f doctor --dataset cars --root R"
    refused = c2f("fetch", "cars", "--url", "http://127.0.0.1:9/cars.tgz")
    assert refused.code == 1
    assert "no meaning" in refused.err


def test_other_data_sets_are_a_usage_error(c2f: CommandLine) -> None:
    assert c2f("fetch", "dogs").code == 2
