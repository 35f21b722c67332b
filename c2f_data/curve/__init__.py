"""The statistics of a calibration: accuracy points, curves, crossings and the search for them.

No network here. A crossing is found by :func:`find_crossing` (bisection that measures as little as
it can) or read off points that are all measured by :func:`locate_crossing`.
"""

from c2f_data.curve.crossing import Crossing, Outcome, largest_threshold, locate_crossing
from c2f_data.curve.margins import Criterion, paired_margin, wilson
from c2f_data.curve.points import AccuracyPoint, CalibrationCurve, accuracy_curve, accuracy_point
from c2f_data.curve.search import CrossingSearch, find_crossing

__all__ = [
    "AccuracyPoint",
    "CalibrationCurve",
    "Criterion",
    "Crossing",
    "CrossingSearch",
    "Outcome",
    "accuracy_curve",
    "accuracy_point",
    "find_crossing",
    "largest_threshold",
    "locate_crossing",
    "paired_margin",
    "wilson",
]
