"""Write the imports and the ``__all__`` of a package from its table PUBLIC: for type checkers.

Usage: python -m tools.public_names
"""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

from c2f_data.lazy import homes_of

PACKAGES = ("c2f_data", "c2f_train")
ROOT = Path(__file__).parents[1]
BEGIN = "# For type checkers: python -m tools.public_names writes the imports and __all__.\n"
END = "_HOMES = homes_of(PUBLIC)\n"


def source_of(package: str) -> str:
    """The text that the package's ``__init__.py`` should have."""
    path = ROOT / package / "__init__.py"
    head, found, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, also, tail = rest.partition(END)
    if not (found and also):
        message = f"{path}: no line {BEGIN!r} or {END!r}"
        raise SystemExit(message)
    return _formatted(head + BEGIN + _generated(package) + END + tail)


def _generated(package: str) -> str:
    homes = homes_of(import_module(package).PUBLIC)
    lines = ["if TYPE_CHECKING:"]
    for name, (module, attribute) in homes.items():
        renamed = "" if attribute == name else f" as {name}"
        lines.append(f"    from {module} import {attribute}{renamed}")
    names = "".join(f'"{name}", ' for name in sorted(homes))
    return "\n".join([*lines, "", f"__all__ = [{names}]", ""])


def _formatted(text: str) -> str:
    ruff = [sys.executable, "-m", "ruff"]
    for words in (["check", "--fix-only", "--select", "I,RUF022"], ["format"]):
        done = subprocess.run(
            [*ruff, *words, "--quiet", "--stdin-filename", str(ROOT / "c2f_data/_.py"), "-"],
            input=text,
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
        text = done.stdout
    return text


def main() -> None:
    """Rewrite both packages' files."""
    for package in PACKAGES:
        text = source_of(package)
        (ROOT / package / "__init__.py").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
