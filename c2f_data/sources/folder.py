"""Class folders with a hierarchy table: the adapter for any data set of one's own.

Without train and test folders, 30 % of each class become the test images.
"""

from __future__ import annotations

from c2f_data.index import DatasetIndex
from c2f_data.sources.class_folders import (
    TEST_SHARE,
    carve_test,
    find_class_images,
    image_record,
    refuse_boxes,
)
from c2f_data.sources.classes import match_classes, some
from c2f_data.sources.request import SourceRequest

LAYOUT = "class folders"


def read_folder(request: SourceRequest) -> DatasetIndex:
    """Read class folders.

    Raises:
        DataSetError: no class folders, a class that has test images only, or boxes are asked for.
        TaxonomyError: folders and table don't name the same classes.
    """
    root = request.folder
    refuse_boxes(request, LAYOUT)
    found = find_class_images(root)
    taxonomy, ids = match_classes(
        found.class_names, request.taxonomy, allow_partial=request.allow_partial, owner=str(root)
    )
    records = [image_record(root, i.split, ids[i.class_name], i.path) for i in found.images]
    warnings = []
    if not found.split_given:
        records = carve_test(records)
        warnings.append(
            f"no train and test folders: {TEST_SHARE:.0%} of each class became test images"
        )
    if found.others:
        warnings.append(
            f"{len(found.others)} files are not images and are left out: {some(found.others)}"
        )
    return DatasetIndex(request.dataset, root, LAYOUT, taxonomy, tuple(records), tuple(warnings))
