"""The embedded data set: rendered on first use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from c2f_data.open_dataset import DatasetChoice
from c2f_data.workspace import DEMO

from .console import Console
from .steps import counting


def demo_root() -> Path:
    """Where the demo of these settings is kept: one folder a setting, in the cache."""
    from c2f_data.artefacts import fingerprint
    from c2f_data.demo import DemoSpec
    from c2f_data.demo.spec import RENDERER_VERSION
    from c2f_data.sources.locate import cache_folder

    return cache_folder() / f"demo-{fingerprint([DemoSpec(), RENDERER_VERSION])[:8]}"


def ensure_demo(name: str, choice: DatasetChoice, console: Console) -> DatasetChoice:
    """Render the demo if that is the data set and no --root was given."""
    if name != DEMO or choice.root is not None:
        return choice
    from c2f_data.demo import DemoSpec, demo_birds, render_dataset

    root = demo_root()
    if not (root / "demo.json").exists():
        console.note(f"Rendering the demo data set into {root}")
        birds = len(demo_birds()) * DemoSpec().images_per_species
        with console.task("Rendering", birds) as task:
            render_dataset(DemoSpec(), root, progress=counting(task))
    return replace(choice, root=root)
