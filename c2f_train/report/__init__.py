"""The report: what was measured, as one JSON file and one self-contained HTML page."""

from c2f_train.report.failures import Failures, find_failures, read_failures
from c2f_train.report.images import Strip, make_strip
from c2f_train.report.render import render, write_report
from c2f_train.report.run_report import DatasetFacts, RunReport, build_report, read_report

__all__ = [
    "DatasetFacts",
    "Failures",
    "RunReport",
    "Strip",
    "build_report",
    "find_failures",
    "make_strip",
    "read_failures",
    "read_report",
    "render",
    "write_report",
]
