"""Stanford Cars: where copies are, and what to check, since its own address is gone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that others have put up; c2f neither hosts nor vouches for it.

    Attributes:
        site: ``Kaggle`` or ``Hugging Face``.
        name: of the data set there.
        layout: what one finds in it.
    """

    site: str
    name: str
    layout: str

    @property
    def address(self) -> str:
        """Its page."""
        kaggle = self.site == "Kaggle"
        return f"https://{'www.kaggle.com' if kaggle else 'huggingface.co'}/datasets/{self.name}"


WHY = (
    "Stanford Cars has no address that c2f could download from: the original one",
    "has been dead since 2023. Others have put up copies, for which c2f can't vouch.",
)
COPIES = (
    Copy(
        "Kaggle",
        "emanuelriquelmem/stanford-cars-pytorch",
        "cars_train, cars_test, devkit, labels of the test images",
    ),
    Copy(
        "Kaggle",
        "jessicali9530/stanford-cars-dataset",
        "cars_train/cars_train, cars_test/cars_test; often without a devkit",
    ),
    Copy("Kaggle", "cyizhuo/stanford-cars-by-classes-folder", "a folder a class"),
    Copy("Hugging Face", "tanganke/stanford_cars", "parquet, train and test"),
    Copy(
        "Hugging Face",
        "Multimodal-Fatima/StanfordCars_train",
        "parquet, train; the test images are in StanfordCars_test",
    ),
)
CHECKS = (
    "8,144 training and 8,041 test images of 196 classes.",
    "Original layout: the devkit, and cars_test_annos_withlabels.mat, which has the "
    "labels of the test images and is missing from many copies.",
    "Annotations that belong to these files: in some copies they do not.",
)
