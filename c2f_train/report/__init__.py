"""The report: what was measured, as one JSON file and one self-contained HTML page."""

from c2f_train.report.class_map import ClassMap, class_map, read_kept
from c2f_train.report.failures import Failures, find_failures, read_failures
from c2f_train.report.gather import GatheredReport, gather_report
from c2f_train.report.images import Strip, make_strip
from c2f_train.report.render import render, write_report
from c2f_train.report.run_report import DatasetFacts, RunReport, build_report, read_report
from c2f_train.report.samples import choose_images, choose_resolutions, make_samples

__all__ = [
    "ClassMap",
    "DatasetFacts",
    "Failures",
    "GatheredReport",
    "RunReport",
    "Strip",
    "build_report",
    "choose_images",
    "choose_resolutions",
    "class_map",
    "find_failures",
    "gather_report",
    "make_samples",
    "make_strip",
    "read_failures",
    "read_kept",
    "read_report",
    "render",
    "write_report",
]
