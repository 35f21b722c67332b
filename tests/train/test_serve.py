"""The server over real HTTP: answers, and everything that it turns away."""

from __future__ import annotations

import io
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from PIL import Image
from prediction_samples import NATIVE, make_model
from serve_client import Client, bomb, serving
from train_samples import stripes

from c2f_data.artefacts import to_plain
from c2f_data.errors import ConfigError
from c2f_train.predict import Predictor
from c2f_train.serve.app import about_model
from c2f_train.serve.guard import host_name
from c2f_train.serve.limits import Limits

SMALL = Limits(bytes=200_000, pixels=1_000_000, waiting=2, upload_seconds=1.0, answer_seconds=60.0)


def picture(kind: str = "PNG", height: int = NATIVE, width: int = NATIVE + 8) -> bytes:
    file = io.BytesIO()
    pixels = stripes(1, height, width, np.random.default_rng(0))
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor.load(make_model(tmp_path_factory.mktemp("serve") / "model"), confidence=0.2)


@pytest.fixture(scope="module")
def client(predictor: Predictor) -> Iterator[Client]:
    with serving(predictor, SMALL) as found:
        yield found


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_an_upload_is_answered_as_in_python(
    client: Client, predictor: Predictor, kind: str
) -> None:
    image = picture(kind)
    for query, resolution in (("", None), ("?resolution=30&top_k=2", 30)):
        reply = client.predict(image, query)
        assert reply.status == 200
        (expected,) = predictor.predict(image, resolution, top_k=5 if resolution is None else 2)
        assert reply.json == {
            **to_plain(expected),
            "image": "upload",
            "answer": to_plain(expected.answer),
        }


def test_the_level_falls_with_the_resolution(client: Client) -> None:
    found = [client.predict(picture(), f"?resolution={r}").json for r in (NATIVE, 40, 12, 4)]
    depths = [len(each["levels"]) for each in found]
    assert depths == sorted(depths, reverse=True)
    assert depths[0] == 3
    assert depths[-1] == 1


def test_the_model_is_described_without_a_path(client: Client, predictor: Predictor) -> None:
    told = client("GET", "/api/model").json
    assert [level["name"] for level in told["levels"]] == ["family", "genus", "species"]
    assert told["limits"]["bytes"] == SMALL.bytes
    assert str(predictor.folder) not in str(told)
    assert (told["crop"], told["warnings"]) == (None, [])


def test_what_images_have_to_be_cut_to_is_told(tmp_path: Path) -> None:
    cut = Predictor.load(make_model(tmp_path / "model", crop="parts"))
    told = about_model(cut, "cut", SMALL)
    assert told["crop"] == "parts"
    assert told["warnings"] == list(cut.warnings)
    assert "cut to boxes around their visible parts" in cut.warnings[0]
    script = (files("c2f_train.serve") / "page.js").read_text(encoding="utf-8")
    assert "model.warnings" in script


def test_the_api_is_that_of_the_schemas(client: Client) -> None:
    for name, replies in (
        ("serve-model", [client("GET", "/api/model")]),
        ("serve-predict", [client.predict(picture()), client.predict(b"no image")]),
    ):
        path = Path(__file__).parents[2] / f"docs/schemas/{name}.json"
        check = Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))
        for reply in replies:
            check.validate(reply.json)


def test_the_page_asks_nobody_else(client: Client) -> None:
    for path, kind in (("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/java")):
        reply = client("GET", path)
        assert reply.status == 200
        assert reply.headers["content-type"].startswith(kind)
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert not re.search(rb"https?://|//[a-z]+\.[a-z]", reply.body.replace(b"// ", b""))
    page = client("GET", "/").body.decode()
    assert not re.search(r"<script(?! src)|\son\w+=|style=", page)
    script = (files("c2f_train.serve") / "page.js").read_text(encoding="utf-8")
    assert "innerHTML" not in script


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "no image"),
        (b"hello", 415, "not an image"),
        (b"\x89PNG\r\n\x1a\n", 415, "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "not an image"),
        (b"%PDF-1.7", 415, "not an image"),
        (picture()[:-200], 422, "damaged"),
        (picture("JPEG")[:400], 415, ""),
        (bomb(60_000, 60_000), 413, "pixels"),
        (bomb(1_001, 1_000), 413, "1001 x 1000 pixels"),
        (bomb(900, 900), 422, ""),
        (bytes(SMALL.bytes + 1), 413, "more than 0.2 MB"),
    ],
    ids=range(11),
)
def test_bad_uploads_get_a_reason(client: Client, body: bytes, status: int, said: str) -> None:
    reply = client.predict(body)
    assert (reply.status, set(reply.json)) == (status, {"error", "hint"}), reply.body
    assert said in reply.json["error"]
    assert "/" not in reply.json["error"].replace("x", "")


def test_a_tiff_is_not_taken(client: Client) -> None:
    """Only formats that browsers send: less code that reads what strangers made."""
    assert client.predict(picture("TIFF")).status == 415


def test_an_upload_without_a_length_is_counted(client: Client) -> None:
    assert client("POST", "/api/predict", iter([bytes(50_000)] * 5)).status == 413
    whole = picture()
    parts = iter([whole[:1000], whole[1000:]])
    assert client("POST", "/api/predict", parts).status == 200


@pytest.mark.parametrize(
    "query",
    [
        *("?resolution=0", "?resolution=-1", "?resolution=1e3", "?resolution=%D9%A3"),
        *("?resolution=999999999999", "?top_k=0", "?top_k=101", "?resolution="),
    ],
)
def test_numbers_that_make_no_sense(client: Client, query: str) -> None:
    assert client.predict(picture(), query).status == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/predict", 405),
        ("POST", "/", 405),
        ("GET", "/page.py", 404),
        ("GET", "/app.py", 404),
        ("GET", "/../limits.py", 404),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404),
        ("GET", "//etc/passwd", 404),
    ],
)
def test_no_other_address(client: Client, method: str, path: str, status: int) -> None:
    reply = client(method, path)
    assert (reply.status, set(reply.json)) == (status, {"error", "hint"})


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:8765"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "localhost"}, 200),
        ({"Host": "LOCALHOST:1"}, 200),
        ({"Host": "[::1]:8765"}, 200),
        ({"Host": "localhost:5", "Origin": "http://localhost:5"}, 200),
        ({"Host": "localhost:5", "Origin": "http://localhost:6"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-origin"}, 200),
    ],
)
def test_whose_requests_are_taken(client: Client, headers: dict[str, str], status: int) -> None:
    assert client("POST", "/api/predict", picture(), **headers).status == status


def test_host_names() -> None:
    names = {"a": "a", "A:1": "a", "[::1]": "::1", "[::1]:80": "::1", "": "", ":80": ""}
    assert {host: host_name(host) for host in names} == names


def test_an_upload_that_dawdles_is_given_up(client: Client) -> None:
    with socket.create_connection(("127.0.0.1", client.port), 30) as raw:
        head = "POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
        raw.sendall(head.encode() + b"\x89PNG")
        assert b" 408 " in raw.recv(4096).split(b"\r\n")[0]


def test_an_upload_that_breaks_off_leaves_its_place(client: Client) -> None:
    for _ in range(2 * SMALL.waiting):
        with socket.create_connection(("127.0.0.1", client.port), 30) as raw:
            head = "POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
            raw.sendall(head.encode())
    time.sleep(0.2)
    assert client.predict(picture()).status == 200


class Stuck:
    """A predictor that waits for a word before it answers."""

    def __init__(self, predictor: Predictor) -> None:
        self.go = threading.Event()
        self._predictor = predictor

    def __getattr__(self, name: str) -> object:
        return getattr(self._predictor, name)

    def stream(self, *images: object, **asked: object) -> object:
        self.go.wait(30)
        return self._predictor.stream(*images, **asked)  # type: ignore[arg-type]


def test_too_many_at_once_are_told_to_come_back(predictor: Predictor) -> None:
    stuck = Stuck(predictor)
    statuses: list[int] = []
    with serving(stuck, SMALL) as client:  # type: ignore[arg-type]
        image = picture()
        threads = [
            threading.Thread(target=lambda: statuses.append(client.predict(image).status))
            for _ in range(SMALL.waiting + 1)
        ]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        refused = client.predict(image)
        assert refused.status == 503
        assert refused.headers["retry-after"] == "1"
        assert "too many" in refused.json["error"]
        assert client("GET", "/api/model").status == 200  # the page still answers
        stuck.go.set()
        for thread in threads:
            thread.join(30)
        assert statuses == [200] * (SMALL.waiting + 1)
        assert client.predict(image).status == 200


def test_an_answer_that_takes_too_long_is_given_up(predictor: Predictor) -> None:
    stuck = Stuck(predictor)
    with serving(stuck, Limits(answer_seconds=0.2)) as client:  # type: ignore[arg-type]
        reply = client.predict(picture())
        assert (reply.status, reply.json["error"]) == (503, "no answer within 0.2 s")
        stuck.go.set()


def test_an_unforeseen_failure_tells_the_client_nothing(
    predictor: Predictor, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken(Stuck):
        def stream(self, *images: object, **asked: object) -> object:
            message = "a secret"
            raise RuntimeError(message)

    with serving(Broken(predictor)) as client:  # type: ignore[arg-type]
        reply = client.predict(picture())
    assert reply.status == 500
    assert b"secret" not in reply.body
    assert "a secret" in capsys.readouterr().err


def test_no_upload_reaches_the_disk(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    large = picture("BMP", 1200, 1200)
    assert len(large) > 4_000_000  # more than any memory buffer that spills over
    with serving(predictor) as client:
        assert client.predict(large).status == 200
        assert client.predict(large[:-5000]).status == 422
    assert not list(tmp_path.iterdir())


def test_limits_let_something_through() -> None:
    with pytest.raises(ConfigError):
        Limits(bytes=0)
