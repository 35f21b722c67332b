"""Speed of sweep, encoding and loading, beside what people use: ``python -m benchmarks.shards``.

Everything is measured in one process, the contestants in turn; every ratio is the median of ratios
paired by round, and above 1 c2f is faster. All files are in the page cache.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.contestants import (
    Shards,
    end_to_end,
    layout_only,
    loaders,
    lossless,
    size_of_webp,
    sweeps,
)
from benchmarks.peers import make_peers, versions
from benchmarks.photographs import lay_out
from benchmarks.pixels import check_pixels
from benchmarks.reader_memory import ReaderMemory, bytes_per_image, reader_memory
from benchmarks.rounds import Rounds, race
from benchmarks.targets import Target, targets_of
from benchmarks.timing import Machine, this_machine
from c2f_data.allocator import keep_freed_memory
from c2f_data.artefacts import to_plain
from c2f_data.decode import decode_file
from c2f_data.errors import C2FError
from c2f_data.resample import limit_threads

OWN = "shards"
# Containers differ by a few percent of what decoding costs, so they get more rounds.
CLOSE_CALL = 4


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured.

    Attributes:
        photographs: images of an epoch.
        slow: of these, images of a sweep and of an encoding.
        rounds: that are counted.
        readers: images of the two data sets whose readers' memory is compared.
    """

    photographs: int
    slow: int
    rounds: int
    readers: tuple[int, int]


SHORT = Size(32, 8, 7, (300, 3000))
FULL = Size(256, 48, 21, (1000, 30000))


@dataclass(frozen=True, slots=True)
class ShardBenchmark:
    """What was measured. A ratio is the other's time by c2f's: above 1 c2f is faster.

    Attributes:
        sweep_vs_pillow: twelve resolutions, against Pillow that opens the file for each.
        sweep_exact_vs_pillow: the same with exactly Pillow's pixels, decoded once.
        lossless_vs_png6: encoding as lossless WebP, against PNG level 6.
        lossless_size_vs_png6: bytes of that WebP by bytes of that PNG.
        loader_jpeg_1p: an epoch of JPEG shards, one thread, against torchvision's ImageFolder.
        loader_jpeg_2w: two threads, against ImageFolder with two workers.
        loader_raw_1p: an epoch of raw shards, one thread, against ImageFolder.
        loader_jpeg_1p_uint8: against an ImageFolder that ends in uint8, as c2f's loader does.
        loader_jpeg_1p_normalised: c2f's batches normalised here and not on the device.
        peers: other containers with c2f's decoder, resizer and cuts, one thread.
        fastest_peer: the least of these.
        peers_layout_only: the same, their bytes only read.
        peer_orders: ``random``: in c2f's order; ``own``: in the order it streams in.
        per_second: photographs a second, median, of every contestant.
        reader_bytes_per_image: what each further image of a data set costs its reader in memory.
    """

    benchmark: str
    machine: Machine
    versions: Mapping[str, str]
    images: str
    page_cache: str
    rounds: int
    sweep_vs_pillow: float
    sweep_exact_vs_pillow: float
    lossless_vs_png6: float
    lossless_size_vs_png6: float
    loader_jpeg_1p: float
    loader_jpeg_2w: float
    loader_raw_1p: float
    loader_jpeg_1p_uint8: float
    loader_jpeg_1p_normalised: float
    peers: Mapping[str, float]
    fastest_peer: float
    peers_layout_only: Mapping[str, float]
    peer_orders: Mapping[str, str]
    per_second: Mapping[str, float]
    reader_memory: tuple[ReaderMemory, ReaderMemory]
    reader_bytes_per_image: float
    targets: tuple[Target, ...]


def measure(size: Size, source: Path | None = None) -> ShardBenchmark:
    """Measure with made photographs, or with those below ``source``.

    Raises:
        C2FError: a package to compare with is absent, ``source`` has no photographs, or two
            contestants saw different pixels.
    """
    # As in the processes that build shards; it holds for every contestant.
    limit_threads()
    keep_freed_memory()
    with tempfile.TemporaryDirectory(prefix="c2f-benchmark-") as name:
        folder = Path(name)
        photographs = lay_out(folder / "photographs", size.photographs, source)
        order = [int(i) for i in np.random.default_rng(0).permutation(size.photographs)]
        shards = Shards.of(photographs, folder)
        peers = make_peers(photographs.paths, order, folder)
        check_pixels(photographs, shards, peers)
        few = photographs.paths[: size.slow]
        pictures = [decode_file(path).pixels for path in few]
        swept = race(sweeps(few), size.rounds)
        encoded = race(lossless(pictures), size.rounds)
        loaded = race(loaders(photographs, shards, order), size.rounds)
        whole = race(end_to_end(shards, peers, order), CLOSE_CALL * size.rounds)
        layout = race(layout_only(shards, peers, order), CLOSE_CALL * size.rounds)
        memory = reader_memory(folder / "readers", size.readers)
    against = {peer.name: whole.ratio(peer.name, OWN) for peer in peers}
    figures = {
        **_figures(swept, encoded, loaded),
        "lossless_size_vs_png6": size_of_webp(pictures),
        "fastest_peer": min(against.values()),
        "reader_bytes_per_image": bytes_per_image(*memory),
    }
    return ShardBenchmark(
        benchmark="shards",
        machine=this_machine(),
        versions=versions(),
        images=photographs.described,
        page_cache="warm",
        rounds=size.rounds,
        **figures,
        peers=against,
        peers_layout_only={peer.name: layout.ratio(peer.name, OWN) for peer in peers},
        peer_orders={peer.name: peer.order for peer in peers},
        per_second=_per_second({len(few): (swept, encoded), len(order): (loaded, whole)}),
        reader_memory=memory,
        targets=targets_of(figures),
    )


def _figures(swept: Rounds, encoded: Rounds, loaded: Rounds) -> dict[str, float]:
    return {
        "sweep_vs_pillow": swept.ratio("sweep, naive", "sweep"),
        "sweep_exact_vs_pillow": swept.ratio("sweep, naive", "sweep, Pillow's pixels"),
        "lossless_vs_png6": encoded.ratio("PNG level 6", "lossless WebP"),
        "loader_jpeg_1p": loaded.ratio("ImageFolder", "JPEG"),
        "loader_jpeg_2w": loaded.ratio("ImageFolder, two workers", "JPEG, two threads"),
        "loader_raw_1p": loaded.ratio("ImageFolder", "raw"),
        "loader_jpeg_1p_uint8": loaded.ratio("ImageFolder, uint8", "JPEG"),
        "loader_jpeg_1p_normalised": loaded.ratio("ImageFolder", "JPEG, normalised"),
    }


def _per_second(races: Mapping[int, tuple[Rounds, ...]]) -> dict[str, float]:
    return {
        name: rounds.per_second(name, count)
        for count, several in races.items()
        for rounds in several
        for name in rounds.seconds
    }


def text(result: ShardBenchmark) -> str:
    """The result for a terminal."""
    lines = [f"{result.images}; {result.rounds} rounds, page cache {result.page_cache}"]
    width = max(len(row.what) for row in result.targets)
    lines += [f"{'':{width}}   target  measured  met"]
    lines += [
        f"{row.what:{width}}  {row.target:>7}  {row.measured:8.2f}  {'yes' if row.met else 'no'}"
        for row in result.targets
    ]
    lines += ["", f"{'container, time by that of shards':{width}}  with decoding  bytes alone"]
    lines += [
        f"{f'{name} ({result.peer_orders[name]} order)':{width}}  {ratio:13.2f}  "
        f"{result.peers_layout_only[name]:11.2f}"
        for name, ratio in result.peers.items()
    ]
    lines += ["", f"{'photographs a second':{width}}"]
    lines += [f"{name:{width}}  {value:7.0f}" for name, value in result.per_second.items()]
    return "\n".join(lines)


def markdown(result: ShardBenchmark) -> str:
    """The result as tables for docs/performance.md."""
    machine, installed = result.machine, result.versions
    lines = [
        f"{result.images}. {result.rounds} rounds, page cache {result.page_cache}. "
        f"{machine.system}, {machine.cores} cores, Python {machine.python}; "
        + ", ".join(f"{name} {number}" for name, number in installed.items())
        + ".",
        "",
        "| key | what | target | measured | met |",
        "|---|---|---|---|---|",
        *(
            f"| `{row.key}` | {row.what} | {row.target} | {row.measured:.2f} | "
            f"{'yes' if row.met else 'no'} |"
            for row in result.targets
        ),
        "",
        "| container | order | with decoding | bytes alone |",
        "|---|---|---|---|",
        *(
            f"| {name} | {result.peer_orders[name]} | {ratio:.2f} | "
            f"{result.peers_layout_only[name]:.2f} |"
            for name, ratio in result.peers.items()
        ),
        "",
        "| contestant | photographs a second |",
        "|---|---|",
        *(f"| {name} | {value:.0f} |" for name, value in result.per_second.items()),
    ]
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print; 0, or 1 where something failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shards", description=__doc__)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one object on stdout")
    form.add_argument("--markdown", action="store_true", help="the tables of docs/performance.md")
    parser.add_argument("--full", action="store_true", help="more images and rounds")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="JPEG photographs; else made")
    parser.add_argument("--rounds", type=int, help=f"default: {SHORT.rounds}, full {FULL.rounds}")
    chosen = parser.parse_args(words)
    size = FULL if chosen.full else SHORT
    if chosen.rounds is not None:
        if chosen.rounds < 1:
            parser.error("--rounds must be 1 or more")
        size = replace(size, rounds=chosen.rounds)
    try:
        result = measure(size, chosen.images)
    except C2FError as error:
        print(f"Error: {error.message}\n  {error.hint}", file=sys.stderr)
        return error.exit_code
    if chosen.json:
        print(json.dumps(to_plain(result), indent=2))
    else:
        print(markdown(result) if chosen.markdown else text(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
