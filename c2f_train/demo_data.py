"""The embedded data set: rendered on first use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from c2f_data.open_dataset import DatasetChoice
from c2f_data.workspace import DEMO
from c2f_train.progress import Progress, counting


def demo_root() -> Path:
    """Where the demo of these settings is kept: one folder a setting, in the cache."""
    from c2f_data.artefacts import fingerprint
    from c2f_data.demo import DemoSpec
    from c2f_data.demo.spec import RENDERER_VERSION
    from c2f_data.sources.locate import cache_folder

    return cache_folder() / f"demo-{fingerprint([DemoSpec(), RENDERER_VERSION])[:8]}"


def ensure_demo(name: str, choice: DatasetChoice, progress: Progress) -> DatasetChoice:
    """Render the demo if that is the data set and no root was given.

    Args:
        name: of the data set.

    Returns:
        The choice, with the demo's root where it is one.

    Raises:
        ArtefactError: the disk refused.
    """
    if name != DEMO or choice.root is not None:
        return choice
    from c2f_data.demo import DemoSpec, demo_birds, render_dataset

    root = demo_root()
    if not (root / "demo.json").exists():
        progress.note(f"Rendering the demo data set into {root}")
        birds = len(demo_birds()) * DemoSpec().images_per_species
        with progress.task("Rendering", birds) as task:
            render_dataset(DemoSpec(), root, progress=counting(task))
    return replace(choice, root=root)
