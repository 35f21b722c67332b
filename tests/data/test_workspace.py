"""One folder per data set, and which one commands mean."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from c2f_data.errors import ArtefactError, C2FError, ConfigError
from c2f_data.open_dataset import DatasetChoice, current_dataset, load_hierarchy, open_dataset
from c2f_data.taxonomy import DEFAULT_LEVELS
from c2f_data.workspace import DatasetSource, Workspace

MakeCub = Callable[..., Path]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("C2F_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("C2F_DATA", raising=False)
    return Workspace(tmp_path / "ws")


@pytest.fixture
def root(make_cub: MakeCub) -> Path:
    return make_cub({3: "003.Sooty_Albatross", 4: "004.Groove_billed_Ani"})


def source(root: str = "/images") -> DatasetSource:
    return DatasetSource("cub", root, "cub", DEFAULT_LEVELS, allow_partial=False)


def test_the_last_data_set_is_the_current_one_and_the_demo_never_replaces_another(
    workspace: Workspace,
) -> None:
    assert workspace.current() is None
    for name, current in [
        ("demo", "demo"),
        ("demo", "demo"),
        ("cub", "cub"),
        ("demo", "cub"),
        ("folder", "folder"),
        ("cub", "cub"),
    ]:
        workspace.set_current(name)
        assert workspace.current() == current


NAMES_THAT_LEAD_ELSEWHERE = [
    *("", ".", "..", "../x", "/etc", "a/b", "a\\b"),
    *(".hidden", "-x", "a b", "a\n", "ä", "a\0", "x" * 65),
]


@pytest.mark.parametrize("name", NAMES_THAT_LEAD_ELSEWHERE, ids=repr)
def test_names_that_lead_elsewhere_are_refused(workspace: Workspace, name: str) -> None:
    for use in (
        workspace.dataset,
        workspace.set_current,
        workspace.dataset("cub").run,
    ):
        with pytest.raises(ConfigError, match="can't be a folder's name") as caught:
            use(name)
        assert repr(name) in caught.value.message
    assert not workspace.folder.exists()


@pytest.mark.parametrize("name", ["cub", "cub-20_v1.2", "2011", "x" * 64])
def test_other_names_are_folders_of_their_own(workspace: Workspace, name: str) -> None:
    assert workspace.dataset(name).folder == workspace.folder / name
    assert workspace.dataset("cub").run(name) == workspace.folder / "cub" / "runs" / name


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": "c2f-workspace", "schema_version": 9}'])
def test_a_damaged_workspace_file_is_refused(workspace: Workspace, text: str) -> None:
    workspace.check_writable()
    workspace.file.write_text(text)
    with pytest.raises(ArtefactError, match=r"workspace\.json"):
        workspace.current()


def test_a_workspace_file_can_not_point_out_of_the_workspace(workspace: Workspace) -> None:
    workspace.set_current("cub")
    workspace.file.write_text(workspace.file.read_text().replace('"cub"', '"../cub"'))
    with pytest.raises(ConfigError, match="can't be a folder's name"):
        workspace.current()


def test_a_folder_written_for_another_root_is_refused(workspace: Workspace) -> None:
    folder = workspace.dataset("cub")
    assert folder.read_source() is None
    folder.write_source(source())
    folder.write_source(source())
    assert folder.read_source() == source()
    with pytest.raises(
        ArtefactError, match="written for the images in /images, not /other"
    ) as caught:
        folder.write_source(source("/other"))
    assert "another --workspace" in caught.value.hint
    assert folder.read_source() == source()


def test_every_path_lies_inside_the_data_sets_folder(workspace: Workspace) -> None:
    folder = workspace.dataset("cub")
    names = ("source", "hierarchy", "calibration", "result", "shards", "manifest", "runs", "report")
    paths = [getattr(folder, name) for name in names]
    assert len(set(paths)) == len(paths)
    assert all(path.is_relative_to(workspace.folder / "cub") for path in paths)
    assert not workspace.folder.exists()


def test_finished_runs_come_last_first_and_unfinished_ones_not_at_all(workspace: Workspace) -> None:
    folder = workspace.dataset("cub")
    assert folder.finished_runs() == []
    for time, name in ((20, "b"), (30, "a"), (10, "c")):
        folder.run(name).mkdir(parents=True)
        (folder.run(name) / "run.json").touch()
        os.utime(folder.run(name) / "run.json", (time, time))
    folder.run("unfinished").mkdir()
    assert [path.name for path in folder.finished_runs()] == ["a", "b", "c"]


def test_a_workspace_where_a_file_lies_is_refused(workspace: Workspace) -> None:
    workspace.folder.write_text("a file")
    with pytest.raises(ArtefactError, match=re.escape(str(workspace.folder))):
        workspace.check_writable()


def test_what_was_said_once_need_not_be_said_again(workspace: Workspace, root: Path) -> None:
    table = workspace.folder.parent / "t.csv"
    table.write_text("order,species\nP,Sooty_Albatross\nC,Groove_billed_Ani\nX,Emu\n")
    said = DatasetChoice("cub", root, os.path.relpath(table), ("order", "species"), True)
    index, folder, read = open_dataset(workspace, said)
    assert read == DatasetSource("cub", str(root), str(table), ("order", "species"), True)
    folder.write_source(read)
    workspace.set_current("cub")
    again, same_folder, same = open_dataset(workspace, DatasetChoice())
    assert (again.fingerprint, same_folder, same) == (index.fingerprint, folder, read)
    # A hierarchy that is given now goes before the recorded one, levels included.
    other, _, _ = open_dataset(workspace, DatasetChoice(taxonomy="cub"))
    assert other.taxonomy.levels == DEFAULT_LEVELS


def test_a_built_in_name_needs_no_table_and_another_folder_brings_its_own(
    workspace: Workspace, root: Path
) -> None:
    index, _, read = open_dataset(workspace, DatasetChoice("cub", root))
    assert (index.taxonomy.count("species"), read.taxonomy) == (2, None)
    with pytest.raises(ConfigError, match="no hierarchy for 'demo'") as caught:
        open_dataset(workspace, DatasetChoice("demo", root))
    assert "--taxonomy TABLE.csv" in caught.value.hint
    rows = "family,genus,species\nA,B,Sooty_Albatross\nC,D,Groove_billed_Ani\n"
    (root / "taxonomy.csv").write_text(rows)
    index, _, _ = open_dataset(workspace, DatasetChoice("demo", root))
    assert index.taxonomy.names[0] == ("A", "C")


def test_without_any_data_set_the_first_command_is_named(workspace: Workspace) -> None:
    with pytest.raises(ConfigError, match="no data set has been calibrated here yet") as caught:
        open_dataset(workspace, DatasetChoice())
    assert "c2f calibrate" in caught.value.hint
    workspace.set_current("cub")
    assert current_dataset(workspace, DatasetChoice()) == "cub"
    assert current_dataset(workspace, DatasetChoice("folder")) == "folder"


@pytest.mark.parametrize("name", ["dogs", "/absent/table.csv"])
def test_a_hierarchy_that_is_neither_name_nor_file_is_refused(name: str) -> None:
    with pytest.raises(C2FError, match="no such file") as caught:
        load_hierarchy(name)
    assert "cub, cars" in caught.value.hint
