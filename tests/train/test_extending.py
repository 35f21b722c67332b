"""docs/extending.md: a file and a line are all that a new pooling or a new backbone needs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import c2f_train
from c2f_train.pooling import MODELS, POOLINGS, make_pooling

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
CODE = """
import json, sys
from pathlib import Path
import torch
import c2f_train
from click.testing import CliRunner
from c2f_cli.main import c2f
from c2f_train.checkpoint import load_models
from c2f_train.config import TrainConfig
from c2f_train.backbones import default_input_size
from c2f_train.progress import Silent
from c2f_train.train import train

shards, folder = map(Path, sys.argv[1:])
config = TrainConfig(
    model="largest", backbone="stairs", input_size=default_input_size("stairs"),
    stage1_epochs=1, stage2_epochs=1,
)
result = train(shards, config, folder, torch.device("cpu"), Silent())
(model,), meta = load_models(folder / "model")
said = CliRunner().invoke(c2f, ["train", "--help"]).stdout
print(json.dumps({
    "package": c2f_train.__file__,
    "levels": [test.level for test in result.test],
    "size": config.input_size,
    "meta": [meta.backbone, meta.pooling],
    "features": model.pooling.out_features,
    "choices": "|largest]" in said.replace("\\n", "") or "largest|" in said,
    "title": "largest: Max pooling" in " ".join(said.split()),
}))
"""


def snippet(name: str) -> str:
    match = re.search(rf"<!-- snippet: {name} -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    assert match is not None, name
    return match[1]


def add_line(file: Path, registry: str, line: str) -> None:
    """Put a line at the head of a registry."""
    text = file.read_text(encoding="utf-8")
    changed, count = re.subn(rf"^({registry}: .* = {{\n)", rf"\1{line}", text, flags=re.MULTILINE)
    assert count == 1
    file.write_text(changed, encoding="utf-8")


@pytest.fixture
def extended(tmp_path: Path) -> Path:
    """A copy of c2f_train with the page's two files and two lines."""
    package = tmp_path / "site" / "c2f_train"
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(c2f_train.__file__).parent, package, ignore=skip)
    for name in ("pooling-line", "backbone-line"):
        assert len(snippet(name).strip().splitlines()) == 1
    (package / "pooling" / "largest.py").write_text(snippet("pooling-file"), encoding="utf-8")
    (package / "stairs.py").write_text(snippet("backbone-file"), encoding="utf-8")
    add_line(package / "pooling" / "__init__.py", "POOLINGS", snippet("pooling-line"))
    add_line(package / "backbones.py", "TRUNKS", snippet("backbone-line"))
    return package.parent


def test_a_pooling_in_a_network_of_ones_own() -> None:
    names: dict[str, Any] = {}
    exec(snippet("own-network"), names)

    class Trunk(nn.Module):
        def forward(self, images: Tensor) -> list[Tensor]:
            return [images.mean(1, keepdim=True).expand(-1, c, -1, -1) for c in (4, 4, 3)]

    network = names["Birds"](Trunk(), (4, 4, 3), 5)
    assert network.pooling.trilinear
    scores = network(torch.zeros(2, 3, 6, 6))
    assert scores.shape == (2, 5)
    # Maps of zeros: features of zeros, finite gradients.
    torch.testing.assert_close(scores, network.classifier.bias.expand(2, 5))
    scores.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_a_file_and_a_line_are_enough(extended: Path, shards: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(shards), str(tmp_path / "run")],
        env={**os.environ, "PYTHONPATH": str(extended)},
        cwd=extended,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert Path(found.pop("package")).is_relative_to(extended)
    assert found == {
        "levels": ["species"],
        "size": 64,
        "meta": ["stairs", "largest"],
        "features": 16,
        "choices": True,
        "title": True,
    }


def test_the_table_is_that_of_the_registry() -> None:
    rows = [
        tuple(cell.strip(" `") for cell in row.strip("|").split("|")[:5])
        for row in PAGE.splitlines()
        if row.startswith("| `")
    ]
    told = []
    for name, model in MODELS.items():
        line = POOLINGS[model.pooling]
        width = make_pooling(model.pooling, (512, 512, 512), model.dim or 1).out_features
        told.append((name, model.pooling, line.maps, str(model.dim or ""), str(width)))
    assert sorted(rows) == sorted(told)
