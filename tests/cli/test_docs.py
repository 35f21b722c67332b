"""What the documents print is true."""

from __future__ import annotations

import io
import re
from pathlib import Path

import h5py
import numpy as np
from click.testing import CliRunner
from PIL import Image

from c2f_cli.main import c2f
from c2f_data.index import DatasetIndex, ImageRecord
from c2f_data.resample import ResampleSpec
from c2f_data.shards.schema import plan_levels
from c2f_data.shards.writer import write_shards
from c2f_data.taxonomy import Taxonomy

ROOT = Path(__file__).parents[2]


def snippet(name: str) -> str:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    match = re.search(rf"<!-- snippet: {name} -->\n```python\n(.*?)```", text, re.DOTALL)
    assert match is not None
    return match[1]


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


def test_commands_printed_in_the_documents_exist() -> None:
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                words = line.split("#")[0].split()
                if words[:1] != ["c2f"]:
                    continue
                command = c2f.commands[words[1]]
                known = {name for option in command.params for name in option.opts}
                for word in words[2:]:
                    if word.startswith("--"):
                        assert word.split("=")[0] in known, f"{page.name}: {line}"
