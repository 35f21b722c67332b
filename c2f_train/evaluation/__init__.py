"""What finished runs are worth: every level's classifier at every resolution, whole paths, and
paired comparisons of runs.

:func:`c2f_train.evaluation.evaluate_run.evaluate_run` makes an :class:`EvaluationResult`; it alone
needs a network. Everything else is computed from the kept answers.
"""

from c2f_train.evaluation.compare import Comparison, compare, read_evaluated
from c2f_train.evaluation.matrix import ClassifierScore, Estimate, PathScore
from c2f_train.evaluation.result import EvaluationResult, read_evaluation, result_path

__all__ = [
    "ClassifierScore",
    "Comparison",
    "Estimate",
    "EvaluationResult",
    "PathScore",
    "compare",
    "read_evaluated",
    "read_evaluation",
    "result_path",
]
