"""What the documents print is true."""

from __future__ import annotations

import io
import re
import shlex
import tomllib
from dataclasses import fields
from itertools import takewhile
from pathlib import Path
from typing import Any

import click
import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from scipy.stats import norm

from benchmarks.calibration import THRESHOLD
from benchmarks.curves import CURVES, crossing_of
from c2f_cli.main import c2f, run
from c2f_data.calibration import CalibrationResult
from c2f_data.checkup.findings import Finding
from c2f_data.curve import CrossingSearch, Outcome, wilson
from c2f_data.curve.answers import Step
from c2f_data.curve.crossing import Question
from c2f_data.hierarchy.builtin import builtin_taxonomy
from c2f_data.hierarchy.cars_rules import RULES
from c2f_data.hierarchy.cub_editions import EDITIONS
from c2f_data.index import DatasetIndex, ImageRecord
from c2f_data.resample import ResampleSpec
from c2f_data.shards.schema import plan_levels
from c2f_data.shards.writer import write_shards
from c2f_data.taxonomy import Taxonomy

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")), ROOT / "taxonomies/README.md"]


def printed_commands() -> list[tuple[Path, tuple[str, ...]]]:
    """The words after ``c2f`` of every command line in a shell block, with the page."""
    found = []
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            lines = block.replace("\\\n", " ").splitlines()
            ours = (line for line in lines if line.startswith("c2f "))
            found.extend((page, tuple(shlex.split(line, comments=True)[1:])) for line in ours)
    return found


def snippet(name: str, page: str = "README.md") -> str:
    text = (ROOT / page).read_text(encoding="utf-8")
    match = re.search(rf"<!-- snippet: {name} -->\n```python\n(.*?)```", text, re.DOTALL)
    assert match is not None
    return match[1]


def table(page: str, head: str) -> list[tuple[str, ...]]:
    """The cells of the table whose first line begins so, a tuple a row."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(head)) + 2
    rows = takewhile(lambda line: line.startswith("|"), lines[start:])
    return [tuple(cell.strip() for cell in row.strip("|").split("|")) for row in rows]


def test_the_readmes_five_lines_read_an_image(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    taxonomy = Taxonomy("t", ("family", "genus", "species"), (("F", "G", "S"),))
    size = (tmp_path / "a.png").stat().st_size
    record = ImageRecord("a.png", "a.png", 0, "train", size)
    index = DatasetIndex("t", tmp_path, "test", taxonomy, (record,))
    levels = plan_levels(taxonomy, {"family": 12, "genus": 25})
    manifest = write_shards(index, levels, ResampleSpec(), tmp_path / "shards")
    code = snippet("read-a-shard")
    assert len(code.strip().splitlines()) == 5
    names: dict[str, object] = {
        "h5py": h5py,
        "io": io,
        "Image": Image,
        "name": tmp_path / "shards" / manifest.shards[0].file,
        "i": 0,
    }
    exec(code, names)
    image, labels = names["image"], names["labels"]
    assert isinstance(image, Image.Image)
    assert image.size == (30, 25)
    assert labels == {"family": 0, "genus": 0, "species": 0}


def test_the_worked_example_finds_what_is_printed() -> None:
    """The snippet's answer, its cost, and what it asked for, step by step."""
    names: dict[str, Any] = {}
    exec(snippet("find-a-crossing", "docs/calibration.md"), names)
    found = names["found"]
    truth = 60 * 2 ** float(norm.ppf(0.8))
    assert (found.bracket, found.interval, round(truth, 1)) == ((80, 112), (80, 160), 107.5)
    text = " ".join((ROOT / "docs/calibration.md").read_text(encoding="utf-8").split())
    total = len(names["grid"]) * 500
    cost = f"{found.images_evaluated:,} of {total:,}, {found.images_evaluated / total:.0%}"
    assert cost.replace("%", " %") in text
    for right in (338, 403, 465):
        low, high = wilson(right, 500)
        assert f"{low:.3f} to {high:.3f}" in text

    steps: list[Step] = []
    search = CrossingSearch(names["score"], names["grid"], 500, seed=0, watch=steps.append)
    search.find(0.8, Question())
    said = {True: "below", False: "at or above"}
    decided = dict.fromkeys(
        (str(s.resolution), str(s.right), str(s.seen), said[s.below])
        for s in steps
        if s.below is not None
    )
    assert [row[1:] for row in table("docs/calibration.md", "| step |")] == list(decided)


def test_the_costs_that_are_printed_are_of_the_curves_of_the_benchmark() -> None:
    """Names and true crossings; the rest takes minutes, and the command stands beside it."""
    printed = {row[0].strip("`"): row[1] for row in table("docs/calibration.md", "| curve |")}
    truths = {name: crossing_of(curve, THRESHOLD) for name, curve in CURVES.items()}
    assert printed == {name: "" if t is None else f"{t:.1f}" for name, t in truths.items()}


def test_options_named_in_the_texts_exist() -> None:
    known = {
        word
        for command in c2f.commands.values()
        for parameter in command.params
        for word in (*parameter.opts, *parameter.secondary_opts)
    }
    elsewhere = {"--runs", "--points", "--images", "--threads", "--clock", "--full"}  # benchmarks
    elsewhere |= {"--head", "--port"}  # of `ray start`
    elsewhere |= {"--nnodes", "--nproc-per-node", "--rdzv-backend", "--rdzv-endpoint", "--rdzv-id"}
    elsewhere |= {"--logdir"}  # of tensorboard; those above are torchrun's
    elsewhere |= {"--data-binary"}  # of curl
    for page in PAGES:
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", page.read_text(encoding="utf-8")))
        assert named <= known | elsewhere, f"{page.name}: {named - known - elsewhere}"


def test_the_outcomes_that_are_explained_are_those_of_the_code() -> None:
    rows = table("docs/calibration.md", "| outcome |")
    assert {row[0].strip("`") for row in rows} == {outcome.value for outcome in Outcome}


def test_the_keys_of_a_result_are_those_that_are_explained() -> None:
    explained = set(
        re.findall(r"`(\w+)`", " ".join(r[0] for r in table("docs/formats.md", "| key |")))
    )
    also = {
        "dataset",
        "layout",
        "index_fingerprint",
        "taxonomy_fingerprint",
        "warnings",
        "provenance",
    }
    assert explained | also == {field.name for field in fields(CalibrationResult)}


def test_every_command_has_help_with_an_example() -> None:
    for name in c2f.commands:
        result = CliRunner().invoke(c2f, [name, "-h"])
        assert result.exit_code == 0, name
        assert "Example:" in result.stdout, name
        assert f"c2f {name}" in result.stdout, name


def test_the_readme_names_every_command() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in c2f.commands:
        assert f"c2f {name}" in text, name


def test_links_between_the_documents_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "taxonomies/README.md"]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_commands_printed_in_the_documents_parse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every option is there and takes the value that is printed; nothing is run."""
    monkeypatch.chdir(tmp_path)
    for name in ("my_images", "photos"):
        (tmp_path / name).mkdir()
    for page, words in printed_commands():
        command = c2f.commands[words[0]]
        try:
            command.make_context(words[0], list(words[1:])).close()
        except click.ClickException as error:
            pytest.fail(f"{page.name}: c2f {' '.join(words)}: {error.format_message()}")


def test_built_in_hierarchies_printed_in_the_documents_are_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    built = {words for _, words in printed_commands() if words[:1] == ("build-hierarchy",)}
    built = {words for words in built if words[1] in ("cub", "cars")}
    assert len(built) > 3
    for words in sorted(built):
        assert run([*words, "--overwrite"]) == 0, f"{words}: {capsys.readouterr().err}"


def test_hierarchies_named_in_the_documents_are_known() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"\b(?:cub|cars):[a-z0-9]+\b", text))
    assert {"cub:aou2016", "cars:d9"} <= named
    for name in named:
        builtin_taxonomy(name)


def test_the_tables_of_editions_and_rules_are_those_of_the_code() -> None:
    text = (ROOT / "docs/datasets.md").read_text(encoding="utf-8")
    row = re.compile(r"^\| `(\w+)`(?: \(default\))? \|.*\| (\d+) \| (\d+) \|$", re.MULTILINE)
    printed = {name: (int(genera), int(families)) for name, genera, families in row.findall(text)}
    assert printed == {
        variant.name: (variant.genera, variant.families)
        for variant in (*EDITIONS.values(), *RULES.values())
    }


def test_the_topics_of_doctor_are_those_of_the_code() -> None:
    text = (ROOT / "docs/datasets.md").read_text(encoding="utf-8")
    rows = text.partition("## Is the copy sound?")[2].partition("\n## ")[0].splitlines()
    cells = [row.split("|")[1] for row in rows if row.startswith("| `")]
    printed = set(re.findall(r"`(\w+)`", "".join(cells)))
    said = (Finding.__doc__ or "").partition("topic:")[2].partition("message:")[0]
    assert printed == set(re.findall(r"``(\w+)``", said))


def test_the_rooms_of_the_architecture_are_there() -> None:
    """Each file and folder that it names exists, and each package has a room."""
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rooms = text.partition("```\n")[2].partition("```")[0]
    base, packages = ROOT, set()
    for line in rooms.splitlines():
        if not line.startswith(" "):
            base = ROOT / line.split()[0]
            assert base.is_dir(), line
        elif re.match(r"  \w+/", line):
            base = base if base.parent == ROOT else base.parent
            base = base / line.split()[0]
            packages.add(base.relative_to(ROOT).as_posix())
        elif re.match(r"  \w+\.py", line):
            base = base if base.parent == ROOT else base.parent
        for name in re.findall(r"\b\w+\.py\b", line):
            assert (base / name).is_file(), f"{base / name} of {line!r}"
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    installed = {name.replace(".", "/") for name in settings["tool"]["setuptools"]["packages"]}
    assert {name for name in installed if "/" in name} <= packages


def test_what_make_and_python_are_asked_in_the_documents_is_there() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in [*PAGES, ROOT / "CONTRIBUTING.md"])
    text += (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE):
        assert f"\n{target}:" in makefile, target
    for module in re.findall(r"python -m ([a-z_.0-9]+)", text):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for extra in ",".join(re.findall(r"pip install '[^\[']*\[([a-z,]+)\]'", text)).split(","):
        assert extra in extras["project"]["optional-dependencies"], extra
