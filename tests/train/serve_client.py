"""A server in a thread, and requests to it as a client would write them."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

from c2f_train.predict import Predictor
from c2f_train.serve.app import make_app
from c2f_train.serve.limits import Limits


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Client:
    port: int

    def __call__(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        **headers: str,
    ) -> Reply:
        """One request; a header's name is written with underscores."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            chunked = body is not None and not isinstance(body, bytes)
            connection.request(method, path, body, given, encode_chunked=chunked)
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def predict(self, image: bytes, query: str = "") -> Reply:
        return self("POST", f"/api/predict{query}", image)


@contextmanager
def serving(predictor: Predictor, limits: Limits | None = None) -> Iterator[Client]:
    """A server on a free port of this machine."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    app = make_app(predictor, name="striped", limits=limits)
    config = uvicorn.Config(app, http="h11", ws="none", lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    try:
        yield Client(listening.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(30)
        listening.close()


def bomb(width: int, height: int) -> bytes:
    """A PNG of a hundred bytes whose header claims that size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        length, check = len(data), zlib.crc32(kind + data)
        return struct.pack(">I", length) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts
