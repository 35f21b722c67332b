"""An S3 server of this machine, for the tests that need an object store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import fsspec
import pytest

from c2f_data.storage import Url


@contextmanager
def object_server() -> Iterator[str]:
    """Its address. Skips where its packages are absent."""
    moto = pytest.importorskip("moto.server", reason="moto is not installed")
    pytest.importorskip("s3fs", reason="the extra s3 is not installed")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def new_bucket(address: str, monkeypatch: pytest.MonkeyPatch) -> Url:
    """An empty bucket there, for this process and for those that it starts."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("FSSPEC_S3_ENDPOINT_URL", address)
    # Which fsspec reads once, when it is imported.
    monkeypatch.setitem(fsspec.config.conf, "s3", {"endpoint_url": address})
    bucket = f"bucket-{time.time_ns()}"
    fsspec.filesystem("s3").mkdir(bucket)
    return Url(f"s3://{bucket}")
