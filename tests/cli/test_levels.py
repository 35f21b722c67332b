"""Levels are data: hierarchies of two and of four levels go through every command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from birds import QUICK, SPECIES, CommandLine

TABLES = {
    2: ("colour,kind", [f"{s.split('_')[0]},{s}" for s in SPECIES]),
    4: (
        "order,family,genus,species",
        # Families and genera share their names across the two orders.
        [f"{s.split('_')[0]},shapes,{s.split('_')[1]},{s}" for s in SPECIES],
    ),
}
COUNTS = {2: [2, 4], 4: [2, 2, 4, 4]}


@pytest.mark.parametrize("count", TABLES)
def test_every_command_takes_any_number_of_levels(
    c2f: CommandLine, images: Path, tmp_path: Path, count: int
) -> None:
    header, rows = TABLES[count]
    levels = header.split(",")
    table = tmp_path / "classes.csv"
    table.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    assert c2f("build-hierarchy", table, "--levels", header).code == 0

    source = ("--dataset", "folder", "--root", images, "--taxonomy", table, "--levels", header)
    words = ("--images", "test", *QUICK, "--no-shards", "--threshold", f"{levels[-1]}=0.3")
    found = c2f("calibrate", *source, *words, "--json")
    assert found.code in (0, 3), found.err
    assert [level["name"] for level in found.json["levels"]] == levels
    assert [level["count"] for level in found.json["levels"]] == COUNTS[count]
    assert ("'shapes' is in 2 branches" in found.err) == (count == 4)
    measured = [crossing["level"] for crossing in found.json["crossings"]]
    assert measured == levels[:0:-1]  # fine to coarse, all but the coarsest
    assert found.json["crossings"][0]["factor"] == 0.3

    resolutions = [f"--resolution={level}={12 + 8 * i}" for i, level in enumerate(levels[:-1])]
    sharded = c2f("shard", *resolutions, "--json")
    assert sharded.code == 0, sharded.err
    assert [level["resolution"] for level in sharded.json["levels"]][:-1] == [
        12 + 8 * i for i in range(count - 1)
    ]
    trained = c2f("train", "--dim", "16", "--stage1-epochs", "1", "--stage2-epochs", "1", "--json")
    assert trained.code == 0, trained.err
    assert [t["level"] for t in trained.json["test"]] == levels
    page = c2f("report", "--json")
    assert page.code == 0, page.err
    report = json.loads(Path(page.json["json"]).read_text(encoding="utf-8"))
    assert [level["name"] for level in report["levels"]] == levels
