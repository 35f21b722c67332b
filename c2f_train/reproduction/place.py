"""Where a reproduction works, and on which images."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from c2f_data.open_dataset import DatasetChoice
from c2f_data.sources.request import WHOLE
from c2f_data.workspace import DatasetFolder, Workspace
from c2f_train.progress import Progress


@dataclass(frozen=True)
class Place:
    """Where a reproduction works.

    Attributes:
        choice: what the user said about the data set; the crop is the reproduction's.
        jobs: processes that write shards.
    """

    workspace: Workspace
    choice: DatasetChoice
    device: torch.device
    progress: Progress
    jobs: int = 1

    def cropped(self, crop: str) -> Place:
        """The same data set cut to boxes or parts has a workspace of its own, inside."""
        if crop == WHOLE:
            return replace(self, choice=replace(self.choice, crop=WHOLE))
        inner = Workspace(self.workspace.folder / f"crop-{crop}")
        return replace(self, workspace=inner, choice=replace(self.choice, crop=crop))

    def folder(self) -> DatasetFolder:
        """Of the data set."""
        assert self.choice.dataset is not None
        return self.workspace.dataset(self.choice.dataset)
