"""The public names of the packages: complete, cheap to import, described in docs/api.md."""

from __future__ import annotations

import dataclasses
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import c2f_data
import c2f_train
from c2f_cli.main import c2f
from c2f_data.lazy import homes_of
from tools.api import PAGE, page
from tools.public_names import ROOT, source_of

PACKAGES = (c2f_data, c2f_train)
NAMES = [(package, name) for package in PACKAGES for name in package.__all__]


def public(name: str) -> Any:
    return getattr(c2f_train if name in c2f_train.__all__ else c2f_data, name)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_type_checkers_see_what_is_loaded(package: ModuleType) -> None:
    path = ROOT / package.__name__ / "__init__.py"
    assert path.read_text(encoding="utf-8") == source_of(package.__name__), "run make pages"
    assert sorted(package.__all__) == sorted(homes_of(package.PUBLIC))


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_no_public_name_is_a_modules(package: ModuleType) -> None:
    """Importing a module sets its name in its package, whatever stood there."""
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert not modules & set(package.__all__)


def test_the_page_is_that_of_the_docstrings() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run make pages"


@pytest.mark.parametrize(("package", "name"), NAMES)
def test_every_public_name_says_what_it_is(package: ModuleType, name: str) -> None:
    thing = getattr(package, name)
    if not (inspect.isclass(thing) or inspect.isfunction(thing)):
        return
    said = inspect.cleandoc(thing.__doc__ or "")
    generated = f"{thing.__name__}("  # what dataclass writes where there is none
    assert said, name
    assert not said.startswith(generated), name
    if not inspect.isclass(thing):
        return
    for member, value in vars(thing).items():
        if member.startswith("_"):
            continue
        function = getattr(value, "fget", None) or getattr(value, "func", value)
        if inspect.isfunction(function):
            assert function.__doc__, f"{name}.{member}"


@pytest.mark.parametrize(("package", "name"), NAMES)
def test_what_is_explained_is_there(package: ModuleType, name: str) -> None:
    """A name under Args or Attributes is a parameter, a field or an attribute."""
    thing = getattr(package, name)
    if not (inspect.isclass(thing) or inspect.isfunction(thing)):
        return
    said = inspect.cleandoc(thing.__doc__ or "")
    block = re.search(r"^(?:Args|Attributes):\n((?:(?:    .*)?\n?)*)", said, re.MULTILINE)
    explained = re.findall(r"^    (\w+(?:, \w+)*): ", block[1], re.MULTILINE) if block else []
    words = {word for entry in explained for word in entry.split(", ")}
    if inspect.isfunction(thing):
        known = set(inspect.signature(thing).parameters)
    elif dataclasses.is_dataclass(thing):
        known = {field.name for field in dataclasses.fields(thing)}
    else:
        known = words if issubclass(thing, Exception) else {*dir(thing), *words}
    assert words <= known, f"{name}: {words - known}"


def test_importing_the_packages_loads_nothing_else() -> None:
    code = (
        "import sys; before = set(sys.modules); import c2f_data, c2f_train;"
        "heavy = {'torch', 'numpy', 'pandas', 'h5py', 'PIL', 'cattrs'} & set(sys.modules);"
        "assert not heavy, heavy; assert 'train_model' in dir(c2f_train);"
        "assert c2f_data.C2FError.__module__ == 'c2f_data.errors'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="'c2f_train' has no attribute 'trian'"):
        c2f_train.trian  # noqa: B018
    with pytest.raises(ImportError):
        exec("from c2f_data import nothing", {})


def test_every_command_has_a_line_that_names_public_names() -> None:
    head = PAGE.read_text(encoding="utf-8").partition("<!-- Below")[0]
    lines = re.findall(r"^\| `c2f ([a-z-]+)` \| (.*) \|$", head, re.MULTILINE)
    assert {command for command, _ in lines} == set(c2f.commands)
    for command, text in lines:
        # What needs an extra, or is a whole programme, stays in its module.
        own = re.sub(r"`c2f_train\.[^`]+`", "", text)
        for name in re.findall(r"\w+_\w+|\b[A-Z]\w+[A-Z]\w+\b", own):
            assert public(name), command


def test_the_whole_job_from_python(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sys.path.insert(0, str(ROOT / "tests/cli"))
    from birds import make_folder

    match = re.search(
        r"<!-- snippet: whole-job -->\n```python\n(.*?)```",
        PAGE.read_text(encoding="utf-8"),
        re.DOTALL,
    )
    assert match is not None
    names: dict[str, Any] = {
        "images": make_folder(tmp_path / "images", train=4, test=3),
        "ws": tmp_path / "ws",
    }
    exec(match[1], names)
    assert names["html"].stat().st_size > 10_000
    assert [test.level for test in names["run"].test] == ["family", "genus", "species"]
    assert "species" in capsys.readouterr().out
    read = c2f_data.read_calibration(names["folder"].result)
    assert read == names["result"]


@pytest.mark.slow
def test_mypy_sees_the_types_of_public_names(tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(
        "import c2f_data, c2f_train\n"
        "reveal_type(c2f_data.open_images)\n"
        "reveal_type(c2f_train.TrainConfig().dim)\n"
        "c2f_train.TrainConfig(dim='wide')\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(tmp_path / "user.py")],
        capture_output=True,
        encoding="utf-8",
        cwd=ROOT,
        timeout=590,
    )
    assert 'Revealed type is "builtins.int"' in done.stdout, done.stdout
    assert "DatasetIndex" in done.stdout
    assert 'incompatible type "str"; expected "int"' in done.stdout
