"""The paper's own figures, to stand beside ours: Huo et al., SIGIR 2019.

Tables 1 to 3 of "Coarse-to-Fine Grained Classification", doi 10.1145/3331184.3331336. Nothing here
was measured by c2f.
"""

from __future__ import annotations

from dataclasses import dataclass

CITATION = "Huo et al., “Coarse-to-Fine Grained Classification”, SIGIR 2019"
DOI = "10.1145/3331184.3331336"
BACKBONE = "vgg16"
INPUT_SIZE = 448


@dataclass(frozen=True, slots=True)
class PaperDataset:
    """A data set of the paper.

    Attributes:
        name: its full name.
        train, test: number of images (Table 1).
        counts: families, genera, categories (Table 2), coarse to fine.
        remark: what to know about the counts.
    """

    name: str
    train: int
    test: int
    counts: tuple[int, int, int]
    remark: str


@dataclass(frozen=True, slots=True)
class PaperSystem:
    """A row of Table 3: accuracies in %.

    Attributes:
        accuracy: data set key to (coarse, middle, fine); None where the table has no figure.
        model: c2f's name of the same system; empty where it has none.
        annotated: it saw bounding boxes or parts.
    """

    system: str
    accuracy: dict[str, tuple[float | None, float | None, float | None]]
    model: str = ""
    annotated: bool = False


DATASETS = {
    "cub": PaperDataset(
        "CUB-200-2011",
        5994,
        5794,
        (36, 113, 200),
        "The paper names no source for its 113 genera and 36 families; c2f's own table follows "
        "the eBird/Clements v2025 checklist, which has 124 and 37 for the same 200 species.",
    ),
    "cars": PaperDataset(
        "Stanford Cars",
        8144,
        8041,
        (14, 113, 196),
        "Table 2 of the paper gives 14 families, its text 13.",
    ),
}


def _system(
    name: str, cub: float | None, cars: float | None, model: str = "", *, annotated: bool = False
) -> PaperSystem:
    return PaperSystem(
        name, {"cub": (None, None, cub), "cars": (None, None, cars)}, model, annotated
    )


SYSTEMS = (
    _system("Part-based R-CNN, with annotations", 76.4, None, annotated=True),
    _system("B-CNN, with annotations", 85.1, None, "bcnn", annotated=True),
    _system("CB-CNN, with annotations", 84.6, None, "cbcnn", annotated=True),
    _system("Part-based R-CNN", 73.9, None),
    _system("B-CNN", 84.1, 91.3, "bcnn"),
    _system("KP", 86.2, 92.4, "kp"),
    _system("HBP", 86.8, 93.6, "hbp"),
    _system("MLP (native images alone)", 87.0, 93.8, "mlp"),
    PaperSystem("MLPH", {"cub": (94.5, 91.7, 87.3), "cars": (94.7, 94.1, 94.0)}, "mlph"),
)


def system_of(model: str, *, annotated: bool = False) -> PaperSystem | None:
    """The row of a model of c2f, with annotations or without; None where the paper has none."""
    known = {(system.model, system.annotated): system for system in SYSTEMS if system.model}
    return known.get((model, annotated))
