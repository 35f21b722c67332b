"""Archives: what is good comes out once and whole, what is not leaves nothing behind."""

from __future__ import annotations

import gzip
import io
import os
import random
import signal
import stat
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from c2f_data.errors import ArtefactError, C2FError, DataSetError
from c2f_data.sources import unpacked
from c2f_data.sources.archive import MOST_HEADER, is_archive, unpack_archive

NOISE = random.Random(0).randbytes(60_000)
FILES = {
    "birds/images.txt": b"1 a.jpg\n",
    "birds/images/a.jpg": NOISE[:3_000],
    "birds/images/b c.jpg": b"",
    "birds/images/r\u00e4ven.jpg": NOISE[3_000:3_512],
    "top.txt": b"x" * 1024,
}


def member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, to: str = "") -> bytes:
    """One member of a tar file, whatever it says."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, to, len(data)
    return info.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % 512)


def with_size(size: bytes) -> bytes:
    """A header with this in its field for the size, and a checksum that is right."""
    header = bytearray(member("a"))
    header[124:136] = size
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + sum(header[156:512]) + 256)
    return bytes(header)


NEGATIVE = with_size(b"\xff" * 11 + b"\0")  # two's complement: -256
END = bytes(1024)


def make_tar(path: Path, *members: bytes, end: bytes = END) -> Path:
    data = b"".join(members) + end
    path.write_bytes(data if path.suffix == ".tar" else gzip.compress(data))
    return path


def make(path: Path) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.mkdir("birds")
            for name, data in FILES.items():
                archive.writestr(name, data)
        return path
    with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as archive:
        folder = tarfile.TarInfo("./birds")
        folder.type, folder.mode = tarfile.DIRTYPE, 0
        archive.addfile(folder)
        for name, data in FILES.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size, info.mode, info.uid = len(data), 0o4000, 12345
            archive.addfile(info, io.BytesIO(data))
    return path


def held(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != unpacked.MARK
    }


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "unpacked"


def assert_clean(into: Path) -> None:
    """Neither a copy nor a part of one is there, and nothing outside."""
    assert [p for p in into.glob("*") if not p.name.startswith(unpacked.LOCK_PREFIX)] == []
    assert not list(into.parent.rglob("evil*"))


def refused(archive: Path, into: Path, said: str) -> None:
    with pytest.raises(DataSetError, match=said) as caught:
        unpack_archive(archive, into=into)
    assert str(archive) in caught.value.message
    assert caught.value.hint
    assert_clean(into)


@pytest.mark.parametrize("name", ["birds.tgz", "birds.tar.gz", "birds.tar", "birds.zip"])
def test_an_archive_is_unpacked_once_and_found_again(
    tmp_path: Path, into: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = make(tmp_path / name)
    assert is_archive(archive)
    folder = unpack_archive(archive, into=into)
    assert folder.parent == into
    assert folder.name.startswith("birds-")
    assert held(folder) == FILES
    modes = {stat.S_IMODE(path.stat().st_mode) & 0o7000 for path in folder.rglob("*")}
    assert modes == {0}

    def never(*_: object) -> None:
        raise AssertionError("unpacked again")

    monkeypatch.setattr(unpacked, "_fill", never)
    assert unpack_archive(archive, into=into) == folder
    (tmp_path / "elsewhere").mkdir()
    moved = archive.rename(tmp_path / "elsewhere" / name)
    assert unpack_archive(moved, into=into) == folder


def test_the_usual_place_is_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("C2F_CACHE_DIR", str(tmp_path / "cache"))
    folder = unpack_archive(make(tmp_path / "birds.tgz"))
    assert folder.parent == tmp_path / "cache" / "unpacked"


def test_a_changed_archive_and_a_damaged_copy_are_unpacked_anew(tmp_path: Path, into: Path) -> None:
    archive = make(tmp_path / "birds.tgz")
    first = unpack_archive(archive, into=into)
    (first / "birds/images/a.jpg").unlink()
    assert unpack_archive(archive, into=into) == first
    assert held(first) == FILES
    make_tar(archive, member("new.jpg", b"new"))
    second = unpack_archive(archive, into=into)
    assert second != first
    assert held(second) == {"new.jpg": b"new"}
    # Another content of the same size and time of change.
    facts = archive.stat()
    make_tar(archive, member("new.jpg", b"old"))
    assert archive.stat().st_size == facts.st_size
    os.utime(archive, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert held(unpack_archive(archive, into=into)) == {"new.jpg": b"old"}


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([member("../evil", b"x")], "leads out"),
        ([member("a/../../evil", b"x")], "leads out"),
        ([member("/tmp/evil-absolute", b"x")], "leads out"),
        ([member("..\\evil", b"x")], "leads out"),
        ([member("C:/evil", b"x")], "names a drive"),
        ([member("a", kind=tarfile.SYMTYPE, to="/etc/passwd")], "leads out"),
        ([member("a", kind=tarfile.SYMTYPE, to="../b")], "leads out"),
        ([member("a/b", kind=tarfile.SYMTYPE, to="..")], "no earlier file"),
        ([member("a", kind=tarfile.SYMTYPE, to="."), member("a/evil", b"x")], "no earlier file"),
        ([member("a", kind=tarfile.LNKTYPE, to="../b")], "leads out"),
        ([member("a", kind=tarfile.LNKTYPE, to="/etc/passwd")], "leads out"),
        ([member("a", kind=tarfile.LNKTYPE, to="later"), member("later")], "no earlier file"),
        ([member("a", kind=tarfile.CHRTYPE)], "device"),
        ([member("a", kind=tarfile.BLKTYPE)], "device"),
        ([member("a", kind=tarfile.FIFOTYPE)], "device"),
        ([member("a", kind=b"Z")], "device|damaged"),
        ([member("a/b", b"x"), member("./a/b", b"y")], "'a/b' is in it twice"),
        ([member("a", b"x"), member("a/b", b"y")], "'a/b' is in it twice"),
        ([member("a/b", b"x"), member("a", b"y")], "'a' is in it twice"),
        ([NEGATIVE], "damaged or incomplete"),
        ([], "no files in it"),
        ([member("a", kind=tarfile.DIRTYPE)], "no files in it"),
        ([member("a")[:-1] + b"x"], "damaged or incomplete"),
        ([member("a", b"x"), b"nonsense".ljust(512), member("b", b"y")], "damaged or incomplete"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("suffix", [".tar", ".tgz"])
def test_what_could_do_harm_is_refused_and_nothing_is_left(
    tmp_path: Path, into: Path, members: list[bytes], said: str, suffix: str
) -> None:
    # A good file goes before, so that refusing has something to remove.
    good = member("good.jpg", b"good") if members and "no files" not in said else b""
    refused(make_tar(tmp_path / f"bad{suffix}", good, *members), into, said)
    assert not Path("/tmp/evil-absolute").exists()


def test_links_within_the_archive_become_files(tmp_path: Path, into: Path) -> None:
    archive = make_tar(
        tmp_path / "linked.tgz",
        member("train/a.jpg", b"picture"),
        member("test/b.jpg", kind=tarfile.SYMTYPE, to="../train/a.jpg"),
        member("c.jpg", kind=tarfile.LNKTYPE, to="train/a.jpg"),
    )
    folder = unpack_archive(archive, into=into)
    assert held(folder) == dict.fromkeys(("train/a.jpg", "test/b.jpg", "c.jpg"), b"picture")
    assert not any(path.is_symlink() for path in folder.rglob("*"))


def test_what_macos_adds_is_left_out(tmp_path: Path, into: Path) -> None:
    members = [member(name, b"x") for name in ("__MACOSX/a/._b.jpg", "a/._b.jpg", "a/b.jpg")]
    assert list(held(unpack_archive(make_tar(tmp_path / "m.tar", *members), into=into))) == [
        "a/b.jpg"
    ]


@pytest.mark.parametrize("name", ["birds.tgz", "birds.tar", "birds.zip"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_archive_is_refused(
    tmp_path: Path, into: Path, name: str, share: float
) -> None:
    archive = make(tmp_path / name)
    data = archive.read_bytes()
    cut = int(share * len(data.rstrip(b"\0") if name == "birds.tar" else data))
    archive.write_bytes(data[:cut])
    refused(archive, into, "damaged or incomplete")


def test_a_tar_cut_between_two_members_is_refused(tmp_path: Path, into: Path) -> None:
    refused(make_tar(tmp_path / "cut.tar", member("a", b"x"), end=b""), into, "incomplete")


@pytest.mark.parametrize("name", ["birds.tgz", "birds.zip"])
def test_a_flipped_byte_is_noticed(tmp_path: Path, into: Path, name: str) -> None:
    data = bytearray(make(tmp_path / name).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / name).write_bytes(data)
    with pytest.raises(C2FError):
        unpack_archive(tmp_path / name, into=into)
    assert_clean(into)


@pytest.mark.parametrize("text", [b"<html>404</html>", b"\x1f\x8b<html>", b"PK<html>", b"", b"x"])
def test_what_is_no_archive_is_refused(tmp_path: Path, into: Path, text: bytes) -> None:
    archive = tmp_path / "page.tgz"
    archive.write_bytes(text * 300)
    refused(archive, into, "damaged or incomplete")


def zeros(name: str, size: int) -> bytes:
    """Only the header: the bytes would follow."""
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def test_a_bomb_is_refused_before_it_is_written(
    tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = tmp_path / "big.tgz"
    with gzip.open(big, "wb", compresslevel=9) as file:
        file.write(zeros("zeros", 80 * 1024**2) + bytes(80 * 1024**2) + END)
    assert big.stat().st_size < 100_000
    started = time.monotonic()
    refused(big, into, "would become over 67,108,864 bytes")
    refused(make_tar(tmp_path / "liar.tgz", zeros("liar", 1 << 50)), into, "would become over")
    assert time.monotonic() - started < 5
    packed = tmp_path / "big.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(3):
            archive.writestr(f"{i}.bin", bytes(30 * 1024**2))
    refused(packed, into, "would become over")
    monkeypatch.setattr(unpacked, "MOST_FILES", 3)
    refused(make_tar(tmp_path / "many.tar", *map(member, "abcd")), into, "3 files")


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_header_of_gigabytes_is_not_read_into_memory(
    tmp_path: Path, into: Path, kind: bytes
) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, MOST_HEADER + 1
    header = info.tobuf(tarfile.GNU_FORMAT)
    refused(make_tar(tmp_path / "h.tgz", member("a", b"x"), header), into, "over a megabyte")
    # The size of a folder is no leave to read as much.
    folder = tarfile.TarInfo("folder")
    folder.type, folder.size = tarfile.DIRTYPE, 1 << 40
    folders = folder.tobuf(tarfile.GNU_FORMAT)
    refused(make_tar(tmp_path / "f.tgz", folders, header), into, "over a megabyte")
    short = tarfile.TarInfo("x")
    short.type, short.size = tarfile.GNUTYPE_LONGNAME, 512
    chain = (short.tobuf(tarfile.GNU_FORMAT) + b"n" * 511 + b"\0") * 5_000
    refused(make_tar(tmp_path / "c.tgz", member("a", b"x"), chain), into, "damaged")


@pytest.mark.parametrize(("mode", "said"), [(stat.S_IFLNK, "a link"), (stat.S_IFIFO, "a link")])
def test_a_link_in_a_zip_is_refused(tmp_path: Path, into: Path, mode: int, said: str) -> None:
    archive = tmp_path / "linked.zip"
    with zipfile.ZipFile(archive, "w") as file:
        info = zipfile.ZipInfo("evil")
        info.external_attr = (mode | 0o777) << 16
        file.writestr(info, "/etc/passwd")
    refused(archive, into, said)


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil-absolute", "a/../../evil", "C:evil"])
def test_a_path_in_a_zip_does_not_lead_out(tmp_path: Path, into: Path, name: str) -> None:
    archive = tmp_path / "out.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(name, "x")
    refused(archive, into, "leads out|names a drive")


def test_too_little_room_is_said_before(
    tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing_free = SimpleNamespace(free=9)
    monkeypatch.setattr(unpacked.shutil, "disk_usage", lambda _: nothing_free)
    with pytest.raises(ArtefactError, match="GB needed to unpack") as caught:
        unpack_archive(make(tmp_path / "birds.tgz"), into=into)
    assert "C2F_CACHE_DIR" in caught.value.hint
    assert_clean(into)


def test_a_disk_that_fills_up_leaves_nothing(
    tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(unpacked.os, "fsync", full)
    with pytest.raises(ArtefactError, match="No space left") as caught:
        unpack_archive(make(tmp_path / "birds.tgz"), into=into)
    assert "C2F_CACHE_DIR" in caught.value.hint
    monkeypatch.undo()
    assert_clean(into)


def test_an_absent_or_unreadable_file_is_refused(tmp_path: Path, into: Path) -> None:
    for path in (tmp_path / "absent.tgz", tmp_path):
        with pytest.raises(DataSetError, match=r"No such file|Is a directory"):
            unpack_archive(path, into=into)


SLOW = """
import sys, time
from pathlib import Path
from c2f_data.sources import archive, unpacked
write = unpacked.Filling.write
def slowly(self, name, chunks):
    write(self, name, chunks)
    time.sleep(float(sys.argv[3]))
unpacked.Filling.write = slowly
print(archive.unpack_archive(Path(sys.argv[1]), into=Path(sys.argv[2])))
"""


def wait_for_a_part(into: Path, name: str) -> None:
    end = time.monotonic() + 30
    while not any(path.is_file() for path in into.glob(f".tmp-*-{name}-*/**/*")):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL elsewhere")
def test_a_killed_run_leaves_nothing_under_the_name_and_the_next_one_tidies_up(
    tmp_path: Path, into: Path
) -> None:
    archive = make(tmp_path / "birds.tgz")
    other = make(tmp_path / "other.tgz")
    for path, name in ((archive, "birds"), (other, "other")):
        child = subprocess.Popen([sys.executable, "-c", SLOW, path, into, "60"])
        wait_for_a_part(into, name)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert not [p for p in into.glob("*") if not p.name.startswith(".")]
        if path is archive:
            assert len(list(into.glob(".tmp-*"))) == 1
    # The second run removed what the first one left; this one removes the other's remains.
    assert [p.name.split("-")[2] for p in into.glob(".tmp-*")] == ["other"]
    folder = unpack_archive(archive, into=into)
    assert held(folder) == FILES
    assert not list(into.glob(".tmp-*"))


def test_what_another_process_unpacks_is_left_alone(tmp_path: Path, into: Path) -> None:
    slow, quick = make(tmp_path / "slow.tgz"), make(tmp_path / "quick.tgz")
    child = subprocess.Popen(
        [sys.executable, "-c", SLOW, slow, into, "0.1"], stdout=subprocess.PIPE, text=True
    )
    wait_for_a_part(into, "slow")
    assert held(unpack_archive(quick, into=into)) == FILES
    assert held(Path(child.communicate()[0].strip())) == FILES
    assert child.returncode == 0


def test_two_at_once_unpack_once(tmp_path: Path, into: Path) -> None:
    archive = make(tmp_path / "birds.tgz")
    child = subprocess.Popen(
        [sys.executable, "-c", SLOW, archive, into, "0.1"], stdout=subprocess.PIPE, text=True
    )
    wait_for_a_part(into, "birds")
    found: list[Path] = []
    waiting = threading.Thread(target=lambda: found.append(unpack_archive(archive, into=into)))
    waiting.start()
    time.sleep(0.05)
    assert len(list(into.glob(".tmp-*"))) == 1
    waiting.join(timeout=30)
    assert child.communicate()[0].strip() == str(found[0])
    assert held(found[0]) == FILES
