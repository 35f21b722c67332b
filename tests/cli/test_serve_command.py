"""``c2f serve`` as a process: what it says, that it stops, and that it bears load."""

from __future__ import annotations

import http.client
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from birds import CommandLine, one_line_error, train_workspace

C2F = Path(sys.executable).with_name("c2f")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a run."""
    return train_workspace(tmp_path_factory.mktemp("served"), ("--name", "one"))


@contextmanager
def server(work: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], str, int]]:
    """The process, the address that it prints, and its port."""
    process = subprocess.Popen(
        [C2F, "serve", "--port", "0", "--workspace", str(work), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, process.communicate(timeout=60)[1]
        yield process, url, urlsplit(url).port or 0
    finally:
        process.kill()
        process.communicate()


def post(port: int, body: bytes) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("POST", "/api/predict", body)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def test_it_serves_until_ctrl_c(work: Path) -> None:
    image = next((work.parent / "images").rglob("*.png")).read_bytes()
    with server(work) as (process, url, port):
        assert url == f"http://127.0.0.1:{port}/"
        assert post(port, image) == 200
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
        assert "Traceback" not in said
        assert said.splitlines()[-1] == "Stopped."


def test_a_port_that_is_taken_is_one_clear_line(
    c2f: CommandLine, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    monkeypatch.setattr("c2f_cli.serve._warm_up", lambda _: None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        run = work / "folder" / "runs" / "one"
        answer = c2f("serve", "--model", run, "--port", taken.getsockname()[1])
    assert answer.code == 1
    assert "can't listen on 127.0.0.1, port" in one_line_error(answer)
    nowhere = c2f("serve", "--model", run, "--host", "no.such.host.invalid")
    assert nowhere.code == 1
    assert "can't listen on no.such.host.invalid" in one_line_error(nowhere)


def test_the_packages_may_be_absent(c2f: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    answer = c2f("serve")
    assert answer.code == 1
    assert "uvicorn, which is not installed" in one_line_error(answer)
    assert "[serve]" in answer.err


def peak_memory(process: subprocess.Popen[str]) -> int:
    """The most that the process ever held, in MB."""
    text = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    return int(text.partition("VmHWM:")[2].split()[0]) // 1024


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc")
def test_a_hundred_uploads_at_once_bad_ones_among_them(work: Path) -> None:
    """Every one is answered in the end or refused with a reason; memory stays where it was."""
    good = [path.read_bytes() for path in (work.parent / "images").rglob("*.png")]
    large = [bytes([index]) * 21_000_000 for index in range(2)]
    bad = [b"no image", b"", good[0][:-100], b"\x89PNG\r\n\x1a\n" + bytes(2_000_000), *large]
    order = random.Random(0)
    uploads = [order.choice(good) for _ in range(70)] + [order.choice(bad) for _ in range(30)]
    order.shuffle(uploads)
    statuses: Counter[int] = Counter()
    refused = 0
    lock = threading.Lock()

    def send(body: bytes) -> None:
        nonlocal refused
        for _ in range(200):
            status = post(port, body)
            with lock:
                refused += status == 503
                if status != 503:
                    statuses[status] += 1
                    return
            threading.Event().wait(order.random())

    with server(work) as (process, _, port):
        assert post(port, good[0]) == 200
        before = peak_memory(process)
        threads = [threading.Thread(target=send, args=(body,)) for body in uploads]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
        after = peak_memory(process)
        assert process.poll() is None
    print(f"\n{dict(statuses)}, told to come back {refused} times, {before} to {after} MB")  # noqa: T201
    assert statuses.total() == 100
    assert statuses[200] == 70
    assert set(statuses) <= {200, 400, 413, 415, 422}
    # 17 uploads of 20 MB at most, and what reading them takes.
    assert after - before < 500
