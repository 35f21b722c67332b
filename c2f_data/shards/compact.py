"""A shard's head for keeping: the same values in half of the memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import overload

import numpy as np

from c2f_data.shards.head import Head
from c2f_data.tables import fixed_text


def compact(head: Head) -> Head:
    """The same head with numbers as narrow as in the file, and its texts in one block."""
    columns = {
        name: replace(column, sizes=column.sizes.astype(np.int32))
        for name, column in head.columns.items()
    }
    return replace(
        head,
        image_ids=PackedTexts(head.image_ids),
        labels=head.labels.astype(np.int32),
        native_sizes=head.native_sizes.astype(np.int32),
        columns=columns,
    )


class PackedTexts(Sequence[str]):
    """Texts as UTF-8 of one length, an object only while it is looked at."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._encoded = fixed_text(texts)

    def __len__(self) -> int:
        return len(self._encoded)

    @overload
    def __getitem__(self, which: int) -> str: ...
    @overload
    def __getitem__(self, which: slice) -> tuple[str, ...]: ...
    def __getitem__(self, which: int | slice) -> str | tuple[str, ...]:
        if isinstance(which, slice):
            return tuple(text.decode() for text in self._encoded[which].tolist())
        return bytes(self._encoded[which]).decode()
