"""Small predictions whose every figure can be counted by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from c2f_data.predictions import Predictions
from c2f_data.taxonomy import Taxonomy

# Two families, three genera, six species: ids 0 to 5 at the finest level.
BIRDS = Taxonomy(
    "birds",
    ("family", "genus", "species"),
    (
        ("Gulls", "Larus", "herring"),
        ("Gulls", "Larus", "mew"),
        ("Gulls", "Sterna", "tern"),
        ("Crows", "Corvus", "raven"),
        ("Crows", "Corvus", "rook"),
        ("Crows", "Corvus", "jackdaw"),
    ),
)


def sweep(
    true: Sequence[int],
    answers: Sequence[Sequence[int]],
    resolutions: Sequence[int] = (100, 50, 25),
    taxonomy: Taxonomy = BIRDS,
) -> list[Predictions]:
    """Species answers at each resolution, native first; coarser answers are rolled up."""
    found = []
    for i, (r, row) in enumerate(zip(resolutions, answers, strict=False)):
        codes = taxonomy.codes[np.asarray(true, np.int64)]
        found.append(
            Predictions(
                resolution=r,
                native=i == 0,
                levels=taxonomy.levels,
                image_ids=tuple(f"{k}.jpg" for k in range(len(true))),
                true=codes,
                predicted=taxonomy.codes[np.asarray(row, np.int64)],
                confidence=np.full(codes.shape, 0.5),
                reduced=np.full(len(true), i > 0),
            )
        )
    return found
