"""Hierarchies and answers drawn at random, for the tests of evaluation."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from c2f_data.taxonomy import Taxonomy

LEVELS = ("order", "family", "genus", "species")


@st.composite
def taxonomies(draw: st.DrawFn) -> Taxonomy:
    """Two to four levels, up to seven classes of the finest one."""
    depth = draw(st.integers(2, 4))
    branches = st.tuples(*[st.integers(0, 2)] * (depth - 1))
    paths = []
    for number, branch in enumerate(draw(st.lists(branches, min_size=1, max_size=7))):
        nodes = tuple("-".join(map(str, branch[: i + 1])) for i in range(depth - 1))
        paths.append((*nodes, f"s{number}"))
    return Taxonomy("drawn", LEVELS[-depth:], tuple(paths))


@st.composite
def answered(draw: st.DrawFn) -> tuple[Taxonomy, NDArray[np.int64], NDArray[np.int64]]:
    """A hierarchy, (n, levels) true class ids, and (n, levels) answers, each level on its own."""
    taxonomy = draw(taxonomies())
    n = draw(st.integers(1, 12))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    true = taxonomy.codes[random.integers(0, len(taxonomy.paths), n)]
    counts = [taxonomy.count(level) for level in taxonomy.levels]
    predicted = random.integers(0, counts, (n, len(counts)))
    # Some right ones, or nothing would ever agree.
    predicted = np.where(random.random(predicted.shape) < 0.5, true, predicted)
    return taxonomy, true, predicted
