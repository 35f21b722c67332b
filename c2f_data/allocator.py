"""What the C library does with memory that was freed."""

from __future__ import annotations

import ctypes
import sys

# Of glibc's malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
# The most that glibc takes; a photograph and what an encoder needs for it are below.
LARGEST_KEPT = 32 * 1024 * 1024
KEPT_IN_ALL = 256 * 1024 * 1024


def keep_freed_memory() -> bool:
    """Keep freed memory in this process, for the next image; for processes that work on images.

    glibc gives each large block back to the system, which must clear it when the next image needs
    it again. For lossless WebP that is a seventh of the time. At most 256 MiB stay unused.

    Returns:
        Whether it is done; False where the C library is another one.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT) and mallopt(M_TRIM_THRESHOLD, KEPT_IN_ALL))
