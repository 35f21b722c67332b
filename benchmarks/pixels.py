"""Whether the contestants of ``benchmarks.shards`` see the same pixels: else no time counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.contestants import (
    EXACT,
    LEVEL,
    SPEC,
    Shards,
    cut,
    naive_sweep,
    sweep,
    training_images,
)
from benchmarks.peers import Peer
from benchmarks.photographs import Photographs
from c2f_data.errors import C2FError
from c2f_data.index import TRAIN
from c2f_data.resample import enlarge

# Grey levels between c2f's canonical resizer and Pillow's.
CLOSE = 2
LOOKED_AT = 4


def check_pixels(photographs: Photographs, shards: Shards, peers: Sequence[Peer]) -> None:
    """Compare a few photographs.

    Raises:
        C2FError: two contestants see different pixels.
    """
    few = photographs.paths[:LOOKED_AT]
    for path in few:
        naive = naive_sweep(path)
        own = sweep(path, SPEC)
        far = max(
            int(np.abs(mine.astype(int) - theirs).max())
            for mine, theirs in zip(own, naive, strict=True)
        )
        _require(far <= CLOSE, f"{path.name}: the sweep is {far} grey levels from Pillow's")
        exact = zip(sweep(path, EXACT), naive, strict=True)
        _require(
            all(np.array_equal(mine, theirs) for mine, theirs in exact),
            f"{path.name}: the exact sweep is not Pillow's",
        )
    for position in range(len(few)):
        native = shards.encoded.pixels(TRAIN, position, LEVEL)
        _require(
            np.array_equal(shards.raw.pixels(TRAIN, position, LEVEL), enlarge(native, SPEC)),
            f"image {position}: the raw layout has other pixels",
        )
    _check_containers(shards, peers)


def _check_containers(shards: Shards, peers: Sequence[Peer]) -> None:
    count = shards.encoded.length(TRAIN)
    encoded, raw = training_images(shards.encoded), training_images(shards.raw)
    for peer in peers:
        seen = dict(peer.stream())
        _require(sorted(seen) == list(range(count)), f"{peer.name}: an epoch is not all images")
        for position in range(min(count, LOOKED_AT)):
            theirs, _ = cut((position, seen[position]))
            for own in (encoded, raw):
                _require(
                    np.array_equal(own[1, position][0], theirs),
                    f"image {position}: {peer.name} and the shards give different pixels",
                )


def _require(same: bool, what: str) -> None:
    if not same:
        raise C2FError(
            what, "The times can't be compared: report this with the versions of --json."
        )
