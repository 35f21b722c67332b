"""Freed memory stays with a process that works on images."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# Large blocks, taken, touched and freed again and again, as encoders do: how often the system had
# to give a page anew.
CODE = """
import ctypes, resource, sys
from c2f_data.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
def use():
    blocks = [libc.malloc(size << 20) for size in (1, 3, 8)]
    for block, size in zip(blocks, (1, 3, 8)):
        ctypes.memset(block, 1, size << 20)
    for block in blocks:
        libc.free(block)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", CODE, how], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of the GNU C library")
def test_pages_are_not_given_back_between_two_images() -> None:
    assert 50 * faults("kept") < faults("as it is")


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from c2f_data import allocator

    monkeypatch.setattr(allocator.sys, "platform", "darwin")
    assert not allocator.keep_freed_memory()
    monkeypatch.setattr(allocator.sys, "platform", "linux")
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda _: object())
    assert not allocator.keep_freed_memory()
