"""``c2f export``: finished shards in other forms."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from birds import SPECIES, CommandLine, one_line_error

TARGETS = ("webdataset", "parquet", "folder")


@pytest.fixture
def sharded(c2f: CommandLine, images: Path) -> CommandLine:
    answer = c2f("shard", "--dataset", "folder", "--root", images, "--med", 24, "--low", 12)
    assert answer.code == 0, answer.err
    return c2f


def need(target: str) -> None:
    if target == "parquet":
        pytest.importorskip("pyarrow")


@pytest.mark.parametrize("target", TARGETS)
def test_an_export_is_described_and_says_how_to_load_it(sharded: CommandLine, target: str) -> None:
    need(target)
    answer = sharded("export", "--to", target)
    assert answer.code == 0, answer.err
    out = sharded.workspace / "folder" / "export" / target
    assert answer.out == f"{out}\n"
    assert "48/48" in answer.err
    assert "state it before" in answer.err
    assert str(out) in answer.err.partition("Next, in Python:")[2]
    summary = json.loads((out / "export.json").read_text(encoding="utf-8"))
    assert summary["images"] == {"train": 32, "test": 16}
    assert [level["resolution"] for level in summary["levels"]] == [12, 24, None]
    assert {"README.md", "croissant.json", "hierarchy.csv"} <= {p.name for p in out.iterdir()}
    assert set(summary["files"]) >= {"README.md", "croissant.json", "hierarchy.csv"}


def test_only_what_was_asked_for(sharded: CommandLine, tmp_path: Path) -> None:
    words = ("--to", "folder", "--levels", "genus", "--split", "test", "--out", tmp_path / "few")
    answer = sharded("export", *words, "--json", "--quiet")
    assert answer.code == 0, answer.err
    assert answer.err == ""
    assert answer.json["folder"] == str(tmp_path / "few")
    assert answer.json["summary"]["images"] == {"test": 16}
    files = [path.relative_to(tmp_path / "few") for path in (tmp_path / "few").glob("*/*/*/*")]
    assert len(files) == 16
    assert {path.parts[:3] for path in files} == {("genus", "test", s[:3]) for s in SPECIES}
    header = (tmp_path / "few" / "labels.csv").read_text(encoding="utf-8").splitlines()[0]
    assert '"species_id"' in header
    assert "species_file" not in header


def test_a_dry_run_writes_nothing(sharded: CommandLine) -> None:
    answer = sharded("export", "--to", "webdataset", "--dry-run")
    assert answer.code == 0, answer.err
    assert "train: 32 images" in answer.out
    assert "pictures of genus: 24 px" in answer.out
    assert not (sharded.workspace / "folder" / "export").exists()
    told = sharded("export", "--to", "webdataset", "--dry-run", "--json").json
    one = sharded("export", "--to", "webdataset", "--dry-run", "--json", "--levels", "family").json
    assert told["images"] == {"train": 32, "test": 16}
    assert 0 < one["stored_bytes"] < told["stored_bytes"]


def test_an_earlier_export_stays_unless_told(sharded: CommandLine) -> None:
    assert sharded("export", "--to", "webdataset", "--split", "test").code == 0
    out = sharded.workspace / "folder" / "export" / "webdataset"
    before = (out / "export.json").read_bytes()
    answer = sharded("export", "--to", "webdataset")
    assert answer.code == 1
    assert "earlier export" in one_line_error(answer)
    assert (out / "export.json").read_bytes() == before
    assert sharded("export", "--to", "webdataset", "--overwrite").code == 0
    assert (out / "train-000000.tar").is_file()


def test_a_folder_of_something_else_is_never_replaced(sharded: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mine.jpg").write_bytes(b"x")
    answer = sharded("export", "--to", "folder", "--out", tmp_path / "photos", "--overwrite")
    assert answer.code == 1
    assert "no export of c2f" in one_line_error(answer)
    assert (tmp_path / "photos" / "mine.jpg").read_bytes() == b"x"


def test_an_interrupt_leaves_nothing(sharded: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("c2f_data.export.webdataset._add", interrupt)
    answer = sharded("export", "--to", "webdataset")
    assert answer.code == 130
    assert "Nothing of it is in" in answer.err
    assert not list((sharded.workspace / "folder" / "export").iterdir())


def test_without_shards_the_next_command_is_named(c2f: CommandLine) -> None:
    answer = c2f("export", "--to", "folder", "--dataset", "folder")
    assert answer.code == 1
    assert "manifest.json: no such file" in one_line_error(answer)
    assert "c2f shard" in answer.err


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--levels", "order"), "order"),
        (("--url", "nowhere"), "nowhere"),
        (("--out", "/"), "root of a disk"),
    ],
)
def test_what_makes_no_sense_is_refused(
    sharded: CommandLine, words: tuple[str, ...], what: str
) -> None:
    answer = sharded("export", "--to", "webdataset", *words)
    assert answer.code == 1
    assert what in one_line_error(answer)


def test_a_form_must_be_chosen(c2f: CommandLine) -> None:
    assert c2f("export").code == 2
    assert c2f("export", "--to", "zip").code == 2


def test_what_the_user_states_is_in_card_and_description(sharded: CommandLine) -> None:
    stated = ("--license", "CC0-1.0", "--creator", "A", "--creator", "B", "--url", "https://a.org")
    answer = sharded("export", "--to", "webdataset", *stated)
    assert answer.code == 0
    assert "state it before" not in answer.err
    out = sharded.workspace / "folder" / "export" / "webdataset"
    described = json.loads((out / "croissant.json").read_text(encoding="utf-8"))
    assert described["license"] == "CC0-1.0"
    assert [creator["name"] for creator in described["creator"]] == ["A", "B"]
    card = (out / "README.md").read_text(encoding="utf-8")
    assert 'license: "cc0-1.0"' in card
    assert "A, B" in card


def test_help_needs_nothing_heavy() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from c2f_cli.main import run; run(['export', '-h']);"
        "sys.exit(any(m in sys.modules for m in ('torch', 'pandas', 'h5py', 'pyarrow')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert done.returncode == 0, done.stdout


def test_the_page_explains_the_columns_that_are_written(
    sharded: CommandLine, tmp_path: Path
) -> None:
    import csv

    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")

    def explained(section: str) -> set[str]:
        text = page.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
        cells = "".join(line.split("|")[1] for line in text.splitlines() if line[:3] == "| `")
        return set(re.findall(r"`([^`]+)`", cells))

    def general(name: str) -> str:
        return re.sub("species|genus|family", "LEVEL", name)

    assert sharded("export", "--to", "folder", "--out", tmp_path / "folder").code == 0
    with (tmp_path / "folder" / "labels.csv").open(encoding="utf-8", newline="") as file:
        header = next(csv.reader(file))
    assert explained("Folders") == {general(name) for name in header}

    beside = {p.name for p in (tmp_path / "folder").iterdir() if p.is_file()} - {"labels.csv"}
    assert explained("What is written") == beside

    pq = pytest.importorskip("pyarrow.parquet")
    assert sharded("export", "--to", "parquet", "--out", tmp_path / "parquet").code == 0
    schema = pq.read_schema(next((tmp_path / "parquet" / "data").iterdir()))
    assert explained("Parquet") == {general(name) for name in schema.names}
