"""The lines that load an export, for the card and for the one who has just written it."""

from __future__ import annotations

import json

from c2f_data.export.class_folders import level_folders
from c2f_data.export.parquet import FOLDER
from c2f_data.export.plan import ExportPlan
from c2f_data.export.tally import Tally
from c2f_data.export.webdataset import field_names
from c2f_data.index import TRAIN


def loading_lines(plan: ExportPlan, folder: str, tally: Tally) -> tuple[str, ...]:
    """Python that loads the training images, or those of the only split.

    Of pictures that are files of their own, the finest level's are loaded.

    Args:
        folder: where the export is.
        tally: of what was written there.
    """
    split = TRAIN if TRAIN in plan.splits else plan.splits[0]
    if plan.target == "webdataset":
        last = len(plan.entries(split)) - 1
        tars = f"{folder}/{split}-{{000000..{last:06d}}}.tar"
        # Native images may be of several kinds, and to the library each kind is a field.
        fields = ";".join(f"{field_names(plan)[-1]}.{kind}" for kind in sorted(tally.suffixes[-1]))
        opened = f"webdataset.WebDataset({_text(tars)}, shardshuffle=False)"
        wanted = f'decode("pil").to_tuple({_text(fields)}, "json")'
        return "import webdataset", f"images = {opened}.{wanted}"
    if plan.target == "parquet":
        files = f"{folder}/{FOLDER}/{split}-*.parquet"
        given = f'"parquet", data_files={{"{split}": {_text(files)}}}, split="{split}"'
        return "from datasets import load_dataset", f"images = load_dataset({given})"
    top = f"{folder}/{level_folders(plan)[-1]}/{split}"
    return (
        "from torchvision.datasets import ImageFolder",
        f"images = ImageFolder({_text(top)}{', allow_empty=True' if tally.gaps(split) else ''})",
    )


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
