"""Downloads against a server that does what servers do: drops, stalls, lies, serves the wrong."""

from __future__ import annotations

import hashlib
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from c2f_data.errors import ArtefactError, C2FError, ConfigError, DataSetError
from c2f_data.fetch import archive, resume
from c2f_data.fetch.archive import CUB, STAGING, Fetched, fetch
from c2f_data.fetch.resume import Patience, RemoteFile
from c2f_data.lock import only_writer

CONTENT = random.Random(0).randbytes(600_000)
SIZE = len(CONTENT)
NAME = "birds.tgz"
# Tests wait for nothing but a server that stalls.
HASTE = Patience(connect=5.0, read=5.0, pauses=(0.0, 0.0, 0.0))


@dataclass(frozen=True)
class Answer:
    """How the server answers one request; by default as a good server does."""

    content: bytes = CONTENT
    status: int = 0
    ranges: bool = True
    cut: int | None = None
    stall: int | None = None
    length: bool = True
    etag: str = '"v1"'
    if_range: bool = True
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Asked:
    """One request, and what was sent for it."""

    range: str | None
    if_range: str | None
    status: int = 0
    sent: int = 0


class Server:
    """Answers requests in turn; the last answer is for all that follow."""

    def __init__(self) -> None:
        self.answers = [Answer()]
        self.asked: list[Asked] = []
        self.go_on = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/{NAME}"

    @property
    def sent(self) -> int:
        return sum(asked.sent for asked in self.asked)

    def close(self) -> None:
        self.go_on.set()
        self._http.shutdown()
        self._http.server_close()

    def _handler(server) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = Asked(self.headers["Range"], self.headers["If-Range"])
                server.asked.append(asked)
                turn = min(len(server.asked), len(server.answers)) - 1
                server._answer(self, asked, server.answers[turn])

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def _answer(self, handler: BaseHTTPRequestHandler, asked: Asked, answer: Answer) -> None:
        begin, total = 0, len(answer.content)
        current = not (answer.if_range and asked.if_range) or asked.if_range == answer.etag
        if asked.range and answer.ranges and current:
            begin = int(asked.range.removeprefix("bytes=").removesuffix("-"))
        asked.status = answer.status or (416 if begin >= total else 206 if begin else 200)
        body = answer.content[begin:] if asked.status in (200, 206) else b""
        headers = {"ETag": answer.etag}
        if answer.length:
            headers["Content-Length"] = str(len(body))
        if asked.status == 206:
            headers["Content-Range"] = f"bytes {begin}-{total - 1}/{total}"
        handler.send_response(asked.status)
        for name, value in {**headers, **answer.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        stop = len(body) if answer.cut is None else answer.cut
        pause = answer.stall if answer.stall is not None else stop
        try:
            for here in range(0, stop, 1000):
                if here >= pause:
                    self.go_on.wait(20)
                piece = body[here : min(here + 1000, stop)]
                handler.wfile.write(piece)
                asked.sent += len(piece)
        except OSError:
            pass  # the client has left
        handler.close_connection = True


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def birds(server: Server) -> RemoteFile:
    return RemoteFile(NAME, server.url, SIZE, hashlib.sha256(CONTENT).hexdigest())


def part_of(folder: Path, content: bytes, etag: str | None = None) -> Path:
    """What an earlier, interrupted run left."""
    part = folder / STAGING / f"{NAME}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(content)
    if etag is not None:
        part.with_name(f"{part.name}.etag").write_text(etag)
    return part


def names(folder: Path) -> set[str]:
    """The files in a folder, without the lock."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {
        ".lock"
    }


def assert_whole(folder: Path) -> None:
    assert (folder / NAME).read_bytes() == CONTENT
    assert names(folder) == {NAME}
    assert not (folder / STAGING).exists()


def test_a_download_ends_whole_and_tells_its_progress(
    server: Server, birds: RemoteFile, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    fetched = fetch(
        birds,
        tmp_path / "new" / "cub",
        patience=HASTE,
        progress=lambda here, size: seen.append((here, size)),
    )
    path = str(tmp_path / "new" / "cub" / NAME)
    assert fetched == Fetched(path, SIZE, birds.sha256, received=SIZE)
    assert_whole(tmp_path / "new" / "cub")
    assert seen[0] == (0, SIZE)
    assert seen[-1] == (SIZE, SIZE)
    assert seen == sorted(seen)
    assert len(server.asked) == 1


def test_what_is_here_is_checked_and_not_downloaded_again(
    server: Server, birds: RemoteFile, tmp_path: Path
) -> None:
    (tmp_path / NAME).write_bytes(CONTENT)
    assert fetch(birds, tmp_path, patience=HASTE).received == 0
    assert server.asked == []


@pytest.mark.parametrize("content", [CONTENT[:-1], b"x" + CONTENT[1:]], ids=["size", "sha256"])
def test_another_file_of_that_name_is_neither_used_nor_touched(
    server: Server, birds: RemoteFile, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(DataSetError, match="not the official archive"):
        fetch(birds, tmp_path, patience=HASTE)
    assert (tmp_path / NAME).read_bytes() == content
    assert server.asked == []


def test_each_dropped_connection_is_continued_and_nothing_is_sent_twice(
    server: Server, birds: RemoteFile, tmp_path: Path
) -> None:
    server.answers = [Answer(cut=100_001), Answer(cut=0), Answer(cut=250_000), Answer()]
    notes: list[str] = []
    fetched = fetch(birds, tmp_path, patience=HASTE, note=notes.append)
    assert_whole(tmp_path)
    ranges = [None, "bytes=100001-", "bytes=100001-", "bytes=350001-"]
    assert [asked.range for asked in server.asked] == ranges
    assert [asked.if_range for asked in server.asked] == [None, '"v1"', '"v1"', '"v1"']
    assert server.sent == fetched.received == SIZE
    assert sum("trying again" in line for line in notes) == 3


def test_a_connection_that_ends_without_having_told_the_length_is_continued(
    server: Server, birds: RemoteFile, tmp_path: Path
) -> None:
    server.answers = [Answer(cut=100_000, length=False), Answer()]
    fetch(birds, tmp_path, patience=HASTE)
    assert_whole(tmp_path)
    assert server.sent == SIZE


def test_a_server_that_stalls_is_left_and_asked_again(
    server: Server, birds: RemoteFile, tmp_path: Path
) -> None:
    server.answers = [Answer(stall=300_000), Answer()]
    fetch(birds, tmp_path, patience=replace(HASTE, read=0.2))
    assert_whole(tmp_path)
    begin = int((server.asked[1].range or "").removeprefix("bytes=").removesuffix("-"))
    assert 300_000 - resume.CHUNK <= begin <= 300_000


def test_a_server_without_ranges_starts_again(
    server: Server, birds: RemoteFile, tmp_path: Path
) -> None:
    server.answers = [Answer(ranges=False)]
    part_of(tmp_path, b"?" * 1000)
    notes: list[str] = []
    fetch(birds, tmp_path, patience=HASTE, note=notes.append)
    assert_whole(tmp_path)
    assert any("from the beginning" in line for line in notes)


def test_a_file_that_changed_on_the_server_is_not_joined_to_the_old_part(
    server: Server, birds: RemoteFile, tmp_path: Path
) -> None:
    part_of(tmp_path, b"?" * 1000, '"v0"')
    fetch(birds, tmp_path, patience=HASTE)
    assert_whole(tmp_path)
    assert [asked.status for asked in server.asked] == [200]


def test_a_server_that_ignores_if_range_is_found_out_by_its_etag(
    server: Server, birds: RemoteFile, tmp_path: Path
) -> None:
    server.answers = [Answer(if_range=False)]
    part_of(tmp_path, b"?" * 1000, '"v0"')
    fetch(birds, tmp_path, patience=HASTE)
    assert_whole(tmp_path)
    assert [asked.status for asked in server.asked] == [206, 200]


def test_a_weak_etag_promises_nothing_and_is_not_sent(
    server: Server, birds: RemoteFile, tmp_path: Path
) -> None:
    server.answers = [Answer(cut=100_000, etag='W/"v1"'), Answer()]
    fetch(birds, tmp_path, patience=HASTE)
    assert server.asked[1].range == "bytes=100000-"
    assert server.asked[1].if_range is None


@pytest.mark.parametrize(
    "ranges", ["bytes 0-599999/600000", "bytes 1001-599999/600000", "", "bytes x-y/z"]
)
def test_a_part_that_was_not_asked_for_is_not_used(
    server: Server, birds: RemoteFile, tmp_path: Path, ranges: str
) -> None:
    server.answers = [Answer(headers={"Content-Range": ranges}), Answer()]
    part_of(tmp_path, CONTENT[:1000])
    fetch(birds, tmp_path, patience=HASTE)
    assert_whole(tmp_path)
    assert [asked.status for asked in server.asked] == [206, 200]


def test_416_means_from_the_beginning(server: Server, birds: RemoteFile, tmp_path: Path) -> None:
    server.answers = [Answer(status=416), Answer()]
    part_of(tmp_path, b"?" * 1000)
    fetch(birds, tmp_path, patience=HASTE)
    assert_whole(tmp_path)
    assert [asked.range for asked in server.asked] == ["bytes=1000-", None]


def test_a_whole_part_is_checked_and_nothing_is_asked(
    server: Server, birds: RemoteFile, tmp_path: Path
) -> None:
    part_of(tmp_path, CONTENT)
    assert fetch(birds, tmp_path, patience=HASTE).received == 0
    assert_whole(tmp_path)
    assert server.asked == []


def test_a_part_longer_than_the_file_is_not_used(
    server: Server, birds: RemoteFile, tmp_path: Path
) -> None:
    part_of(tmp_path, CONTENT + b"?")
    fetch(birds, tmp_path, patience=HASTE)
    assert_whole(tmp_path)
    assert server.asked[0].range is None


def test_a_wrong_file_is_refused_deleted_and_the_next_run_starts_anew(
    server: Server, birds: RemoteFile, tmp_path: Path
) -> None:
    server.answers = [Answer(content=CONTENT[::-1]), Answer()]
    with pytest.raises(DataSetError, match="not its SHA-256") as caught:
        fetch(birds, tmp_path, patience=HASTE)
    assert "--url" in caught.value.hint
    assert names(tmp_path) == set()
    fetch(birds, tmp_path, patience=HASTE)
    assert_whole(tmp_path)


def test_a_damaged_part_is_refused_in_the_end(
    server: Server, birds: RemoteFile, tmp_path: Path
) -> None:
    part_of(tmp_path, b"?" * 1000)
    with pytest.raises(DataSetError, match="not its SHA-256"):
        fetch(birds, tmp_path, patience=HASTE)
    assert names(tmp_path) == set()


@pytest.mark.parametrize("have", [0, 1000])
@pytest.mark.parametrize("content", [CONTENT + b"?", CONTENT[:-1]], ids=["longer", "shorter"])
def test_a_file_of_another_length_is_refused_before_it_is_downloaded(
    server: Server, birds: RemoteFile, tmp_path: Path, content: bytes, have: int
) -> None:
    server.answers = [Answer(content=content, stall=0)]
    part = part_of(tmp_path, CONTENT[:have])
    with pytest.raises(DataSetError, match=f"{len(content):,} bytes, not {SIZE:,}"):
        fetch(birds, tmp_path, patience=HASTE)
    assert part.read_bytes() == CONTENT[:have]
    assert len(server.asked) == 1


def test_bytes_beyond_the_known_size_are_never_written(
    server: Server, birds: RemoteFile, tmp_path: Path
) -> None:
    server.answers = [Answer(content=CONTENT[::-1] + b"?" * 10_000_000, length=False)]
    seen: list[int] = []
    with pytest.raises(DataSetError, match="not its SHA-256"):
        fetch(birds, tmp_path, patience=HASTE, progress=lambda here, _: seen.append(here))
    assert max(seen) == SIZE


def test_a_web_page_is_not_an_archive_and_the_part_is_kept(
    server: Server, birds: RemoteFile, tmp_path: Path
) -> None:
    page = {"Content-Type": "text/html; charset=utf-8"}
    server.answers = [Answer(content=b"<html>", ranges=False, length=False, headers=page)]
    part = part_of(tmp_path, CONTENT[:1000])
    with pytest.raises(DataSetError, match="a web page"):
        fetch(birds, tmp_path, patience=HASTE)
    assert part.read_bytes() == CONTENT[:1000]


@pytest.mark.parametrize("status", [403, 404, 410])
def test_an_answer_that_will_not_change_is_told_at_once(
    server: Server, birds: RemoteFile, tmp_path: Path, status: int
) -> None:
    server.answers = [Answer(status=status)]
    part = part_of(tmp_path, CONTENT[:1000])
    with pytest.raises(DataSetError, match=f"{NAME}: the server answered {status} "):
        fetch(birds, tmp_path, patience=HASTE)
    assert len(server.asked) == 1
    assert part.read_bytes() == CONTENT[:1000]


def test_a_server_in_trouble_is_asked_again_and_given_up_in_the_end(
    server: Server, birds: RemoteFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("c2f_data.fetch.resume.time.sleep", slept.append)
    busy = Answer(status=503, headers={"Retry-After": "7"})
    patience = replace(HASTE, pauses=(1.0, 2.0, 4.0, 8.0))
    server.answers = [Answer(status=500), busy, Answer(status=429), Answer()]
    fetch(birds, tmp_path / "a", patience=patience)
    assert_whole(tmp_path / "a")
    assert slept == [1.0, 7.0, 4.0]
    server.asked.clear()
    server.answers = [Answer(cut=1000), Answer(status=500)]
    with pytest.raises(DataSetError, match=r"5 tries in a row failed.*500") as caught:
        fetch(birds, tmp_path / "b", patience=patience)
    assert len(server.asked) == 5
    assert "1,000 of 600,000 bytes are kept" in caught.value.hint
    assert (tmp_path / "b" / STAGING / f"{NAME}.part").read_bytes() == CONTENT[:1000]


def test_bytes_that_came_make_the_count_of_failures_start_again(
    server: Server, birds: RemoteFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resume, "PROGRESS", 100_000)
    server.answers = [Answer(cut=100_000)]
    fetch(birds, tmp_path, patience=replace(HASTE, pauses=(0.0,)))
    assert_whole(tmp_path)
    assert len(server.asked) == 6


@pytest.mark.parametrize(
    "answer",
    [Answer(ranges=False, cut=200_000), Answer(content=CONTENT[:200_000], length=False)],
    ids=["no ranges", "too short a file, then 416"],
)
def test_a_server_that_always_starts_over_is_given_up(
    server: Server,
    birds: RemoteFile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: Answer,
) -> None:
    monkeypatch.setattr(resume, "PROGRESS", 100_000)
    server.answers = [answer]
    with pytest.raises(DataSetError, match="4 tries in a row failed"):
        fetch(birds, tmp_path, patience=HASTE)
    assert len(server.asked) == 4


def test_no_server_at_all(birds: RemoteFile, tmp_path: Path) -> None:
    nobody = replace(birds, url="http://user:secret@127.0.0.1:9/birds.tgz?key=secret")
    notes: list[str] = []
    with pytest.raises(DataSetError, match="refused") as caught:
        fetch(nobody, tmp_path, patience=HASTE, note=notes.append)
    assert "secret" not in f"{caught.value} {notes}"


@pytest.mark.parametrize(
    "url", ["ftp://a.org/b.tgz", "no address", "http://", "file:///etc/passwd"]
)
def test_an_address_of_no_use_is_told_at_once(birds: RemoteFile, tmp_path: Path, url: str) -> None:
    with pytest.raises(DataSetError):
        fetch(replace(birds, url=url), tmp_path, patience=replace(HASTE, pauses=(60.0,)))


def test_the_content_encoding_is_not_undone(
    server: Server, birds: RemoteFile, tmp_path: Path
) -> None:
    # Some servers give a .tgz this header; unpacked on the way it would be another file.
    server.answers = [Answer(headers={"Content-Encoding": "gzip"})]
    fetch(birds, tmp_path, patience=HASTE)
    assert_whole(tmp_path)


def test_redirects_are_followed_with_the_range(
    server: Server, birds: RemoteFile, tmp_path: Path
) -> None:
    server.answers = [Answer(status=302, headers={"Location": server.url + "?signed"}), Answer()]
    part_of(tmp_path, CONTENT[:1000])
    fetch(birds, tmp_path, patience=HASTE)
    assert_whole(tmp_path)
    assert [asked.range for asked in server.asked] == ["bytes=1000-", "bytes=1000-"]
    assert server.sent == SIZE - 1000


def test_too_little_space_is_told_before_anything_is_asked(
    server: Server, birds: RemoteFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("C2F_CACHE_DIR", str(tmp_path / "cache"))
    needed = SIZE + int(archive.UNPACKED * SIZE)
    free = SimpleNamespace(free=needed - 1)
    monkeypatch.setattr("c2f_data.fetch.archive.shutil.disk_usage", lambda _: free)
    with pytest.raises(DataSetError, match="GB free"):
        fetch(birds, tmp_path, patience=HASTE)
    assert server.asked == []
    part_of(tmp_path, CONTENT[:1])  # a byte that need not be written again
    fetch(birds, tmp_path, patience=HASTE)
    assert_whole(tmp_path)


def test_a_disk_that_refuses_is_told_and_the_part_is_kept(
    server: Server, birds: RemoteFile, tmp_path: Path
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        with pytest.raises(DataSetError, match="File too large") as caught:
            fetch(birds, tmp_path, patience=HASTE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "--root" in caught.value.hint
    fetch(birds, tmp_path, patience=HASTE)
    assert_whole(tmp_path)
    assert int((server.asked[1].range or "").strip("bytes=-")) > 200_000


def test_one_download_at_a_time(server: Server, birds: RemoteFile, tmp_path: Path) -> None:
    with only_writer(tmp_path), pytest.raises(ArtefactError, match=f"process {os.getpid()} on"):
        fetch(birds, tmp_path, patience=HASTE)
    assert server.asked == []


def test_without_pooch_the_extra_is_named(
    birds: RemoteFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ConfigError) as caught:
        fetch(birds, tmp_path, patience=HASTE)
    assert "pip install '.[download]'" in caught.value.hint
    assert isinstance(caught.value, C2FError)


def test_importing_it_imports_neither_pooch_nor_requests() -> None:
    code = (
        "import sys, c2f_data.fetch.archive, c2f_data.fetch.resume\n"
        "print([name for name in ('pooch', 'requests', 'urllib3', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_file_that_waited_for_its_check_when_it_was_killed_is_used(
    server: Server, birds: RemoteFile, tmp_path: Path
) -> None:
    part_of(tmp_path, CONTENT).rename(tmp_path / STAGING / "tmpabc123")
    (tmp_path / STAGING / "tmpdef456").write_bytes(b"")
    fetch(birds, tmp_path, patience=HASTE)
    assert_whole(tmp_path)
    assert server.asked == []


def test_a_checked_file_that_was_not_yet_in_its_place_is_used(
    server: Server, birds: RemoteFile, tmp_path: Path
) -> None:
    part_of(tmp_path, CONTENT).rename(tmp_path / STAGING / NAME)
    fetch(birds, tmp_path, patience=HASTE)
    assert_whole(tmp_path)
    assert server.asked == []


CHILD = """
import signal
import sys
from pathlib import Path
from c2f_data.fetch.archive import fetch
from c2f_data.fetch.resume import RemoteFile
signal.signal(signal.SIGINT, signal.default_int_handler)  # off in a shell's background jobs
name, url, size, sha256, folder = sys.argv[1:]
fetch(RemoteFile(name, url, int(size), sha256), Path(folder))
"""


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_download_goes_on_with_the_rest_alone(
    server: Server, birds: RemoteFile, tmp_path: Path, by: signal.Signals
) -> None:
    server.answers = [Answer(stall=400_000), Answer()]
    words = [birds.name, birds.url, str(birds.size), birds.sha256, str(tmp_path)]
    part = tmp_path / STAGING / f"{NAME}.part"
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, *words], stderr=subprocess.DEVNULL
    ) as child:
        deadline = time.monotonic() + 60
        while not part.exists() or part.stat().st_size < 300_000:
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        child.send_signal(by)
        assert child.wait(20) != 0
    server.go_on.set()
    have = part.stat().st_size
    assert 300_000 <= have <= 400_000
    assert not (tmp_path / NAME).exists()
    notes: list[str] = []
    fetched = fetch(birds, tmp_path, patience=HASTE, note=notes.append)
    assert_whole(tmp_path)
    assert server.asked[1].range == f"bytes={have}-"
    assert server.asked[1].sent == fetched.received == SIZE - have
    assert any(line.startswith("Going on after") for line in notes)


def test_the_official_archive_is_described_in_full() -> None:
    assert CUB.name == "CUB_200_2011.tgz"
    assert CUB.url.startswith("https://data.caltech.edu/records/65de6-vp158/files/")
    assert CUB.size == 1_150_585_339
    assert len(bytes.fromhex(CUB.sha256)) == 32
