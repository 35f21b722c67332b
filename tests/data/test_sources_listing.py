"""Images named by a CSV, in a folder and at a URL: what is read, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from c2f_data.errors import C2FError, DataSetError, TaxonomyError
from c2f_data.index import TEST, TRAIN, DatasetIndex
from c2f_data.open_dataset import DatasetChoice, open_dataset
from c2f_data.sources import read_source
from c2f_data.sources.listing import load_listing
from c2f_data.sources.request import SourceRequest
from c2f_data.storage import Place, Url
from c2f_data.taxonomy import DEFAULT_LEVELS, Taxonomy
from c2f_data.workspace import Workspace

TABLE = Taxonomy(
    "t",
    DEFAULT_LEVELS,
    (("Laridae", "Larus", "Herring Gull"), ("Canidae", "Vulpes", "R\u00e4ven")),
)
# Spelt in other ways than the table, in no order, with a column that means nothing to c2f.
LISTING = """path,class,photographer,split
b/2.jpg,Ra\u0308ven,Ann,train
b/3.jpg,R\u00e4ven,"Bo, Jr.",test

./a//1.jpg,herring_gull,Cy,Train
a/4.jpg,herring_gull,Di,TEST
"""
NAMES = ("b/2.jpg", "b/3.jpg", "a/1.jpg", "a/4.jpg")


@pytest.fixture(params=["folder", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Files of one to four bytes, in a folder or in a store inside this process."""
    place: Place = tmp_path / "images" if request.param == "folder" else Url("memory://images")
    fill(place, NAMES)
    yield place
    fsspec.filesystem("memory").store.clear()


def fill(root: Place, names: Sequence[str]) -> None:
    for size, name in enumerate(names, 1):
        path = root / name
        if isinstance(path, Path):
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)


def read(root: Place, listing: Place, text: str, **words: object) -> DatasetIndex:
    listing.write_bytes(text.encode())
    rows = load_listing(listing, TABLE.levels)
    request = SourceRequest("birds", root, TABLE, listing=rows)
    return read_source(replace(request, **words))  # type: ignore[arg-type]


def test_what_is_read(tmp_path: Path, root: Place) -> None:
    index = read(root, tmp_path / "list.csv", LISTING)
    assert [(r.path, r.label, r.split, r.bytes) for r in index.records] == [
        ("b/2.jpg", 1, TRAIN, 1),
        ("b/3.jpg", 1, TEST, 2),
        ("a/1.jpg", 0, TRAIN, 3),
        ("a/4.jpg", 0, TEST, 4),
    ]
    assert (index.root, index.warnings) == (root, ())
    assert [index.path(i).read_bytes() for i in range(4)] == [b"x" * n for n in (1, 2, 3, 4)]


def test_the_same_data_set_wherever_it_is(tmp_path: Path) -> None:
    """Nothing that is kept depends on the place, so that results may move with the images."""
    prints = set()
    for place in (tmp_path / "a", tmp_path / "b", Url("memory://a")):
        fill(place, NAMES)
        listing = place / "list.csv"
        prints.add(read(place, listing, "\ufeff" + LISTING.replace("\n", "\r\n")).fingerprint)
    fsspec.filesystem("memory").store.clear()
    assert len(prints) == 1


def test_without_splits_some_become_test(tmp_path: Path) -> None:
    names = [f"{letter}{i}.jpg" for letter in "ab" for i in range(10)]
    fill(tmp_path, names)
    classes = {"a": "Herring Gull", "b": "R\u00e4ven"}
    rows = "".join(f"{name},{classes[name[0]]}\n" for name in names)
    index = read(tmp_path, tmp_path / "list.csv", "path,species\n" + rows)
    tests = [record.path[0] for record in index.records if record.split == TEST]
    assert sorted(tests) == ["a"] * 3 + ["b"] * 3
    assert "30%" in index.warnings[0]


def test_sizes_in_the_table_are_not_asked_for(tmp_path: Path) -> None:
    """With a million images at a URL even one listing takes minutes."""
    text = "path,class,split,bytes\na.jpg,Herring Gull,train,7\nb.jpg,R\u00e4ven,train,8\n"
    index = read(Url("nonsense://a"), tmp_path / "list.csv", text)
    assert [record.bytes for record in index.records] == [7, 8]


def test_a_listing_with_every_level_is_its_own_hierarchy(tmp_path: Path) -> None:
    fill(tmp_path, ("a.jpg", "b.jpg"))
    listing = tmp_path / "list.csv"
    text = "species,path,genus,family\nHerring Gull,a.jpg,Larus,Laridae\nFox,b.jpg,Vulpes,Canidae\n"
    listing.write_text(text, encoding="utf-8")
    workspace = Workspace(tmp_path / "ws")
    index, folder, source = open_dataset(workspace, DatasetChoice("birds", listing=listing))
    assert index.taxonomy.paths == (
        ("Laridae", "Larus", "Herring Gull"),
        ("Canidae", "Vulpes", "Fox"),
    )
    assert index.labels.tolist() == [0, 1]
    assert index.root == tmp_path
    # Said once; the next command knows it.
    folder.write_source(source)
    again, _, _ = open_dataset(workspace, DatasetChoice("birds"))
    assert again.fingerprint == index.fingerprint
    text = text.replace("Fox,b.jpg,Vulpes,Canidae", "Herring Gull,b.jpg,Rissa,Laridae")
    listing.write_text(text, encoding="utf-8")
    with pytest.raises(TaxonomyError, match="line 3"):
        open_dataset(workspace, DatasetChoice("birds"))


@pytest.mark.parametrize(
    "path", ["../secret.jpg", "a/../../secret.jpg", "/etc/passwd", "a\\..\\b.jpg", "a\0.jpg", ""]
)
def test_paths_that_lead_out(tmp_path: Path, root: Place, path: str) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"x")
    with pytest.raises(DataSetError, match=r"line 3: .* leads out of the data set"):
        read(
            root, tmp_path / "list.csv", f"path,class\na/1.jpg,Herring Gull\n{path},Herring Gull\n"
        )


def test_images_that_are_absent(tmp_path: Path, root: Place) -> None:
    """A folder counts as absent, too."""
    rows = "".join(f"{name},Herring Gull\n" for name in ("a/1.jpg", "a", "no.jpg", "."))
    text = f"path,class\nb/2.jpg,R\u00e4ven\n{rows}"
    with pytest.raises(DataSetError, match=r"3 of 5 images .* a \(line 4\), no.jpg \(line 5\)"):
        read(root, tmp_path / "list.csv", text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no images"),
        ("path,class\n", "no images"),
        ("file,class\na,b\n", "no column 'path'; its columns are file, class"),
        ("path,label\na,b\n", "no column 'species'"),
        ("path,path,class\na,b,c\n", "two columns are named 'path'"),
        ("path,class\na/1.jpg\n", "line 2 has 1 cells, the header 2"),
        ("path,class,split\na/1.jpg,Herring Gull,val\n", "line 2: split 'val'"),
        ("path,class,bytes\na/1.jpg,Herring Gull,-1\n", "line 2: '-1' bytes"),
        ("path,class,bytes\na/1.jpg,Herring Gull,0\n", "line 2: '0' bytes"),
        ('path,class\n"a/1.jpg,Herring Gull\n', "list.csv: line 2: unexpected end of data"),
        (LISTING + "a/5.jpg,Herring Gull,Eve,train\n", "'Herring Gull' are one row"),
        (LISTING.replace("Train", "test"), "herring_gull"),
        (LISTING + "a/1.jpg,herring_gull,Eve,train\n", "'a/1.jpg' is listed twice"),
        ("path,class,split\na/1.jpg,Dodo,train\n", "Dodo"),
        ("path,class,split\na/1.jpg,Herring Gull,train\n", "1 class .*ven.* without images"),
    ],
)
def test_tables_with_faults(tmp_path: Path, root: Place, text: str, said: str) -> None:
    with pytest.raises(C2FError, match=said) as caught:
        read(root, tmp_path / "list.csv", text)
    assert caught.value.hint


def test_bytes_that_are_no_text(tmp_path: Path, root: Place) -> None:
    listing = tmp_path / "list.csv"
    listing.write_bytes(b"path,class\n\xff,b\n")
    with pytest.raises(DataSetError, match="not UTF-8"):
        load_listing(listing, TABLE.levels)
    listing.unlink()
    with pytest.raises(DataSetError, match="no such file"):
        load_listing(listing, TABLE.levels)
    with pytest.raises(DataSetError, match="no bounding boxes"):
        read(root, listing, LISTING, crop="bbox")


def test_a_url_without_a_listing(tmp_path: Path) -> None:
    workspace, url = Workspace(tmp_path), Url("memory://images")
    with pytest.raises(DataSetError, match="needs a list of its images") as caught:
        open_dataset(workspace, DatasetChoice("folder", root=url))
    assert "--listing" in caught.value.hint
    assert "copy" in caught.value.hint
