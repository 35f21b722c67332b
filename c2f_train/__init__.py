"""Networks: calibration, coarse-to-fine training and reports on data sets that c2f_data reads.

The names below are the public ones; docs/api.md describes them. They are loaded on first use, so
importing the package does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from c2f_data.lazy import Sections, homes_of, loader_of

PUBLIC: Sections = {
    "Device and progress": {
        "c2f_train.device": ("pick_device", "pick_precision"),
        "c2f_train.progress": ("Progress", "Task", "Silent", "Look"),
    },
    "Calibrating": {
        "c2f_train.calibration_config": ("CalibrateConfig",),
        "c2f_train.calibrate": ("calibrate_dataset=calibrate",),
    },
    "Training": {
        "c2f_train.config": ("TrainConfig",),
        "c2f_train.training_defaults": ("train_defaults",),
        "c2f_train.train": ("train_model=train",),
        "c2f_train.results": ("RunResult", "LevelAccuracy", "EpochMetrics", "read_run"),
    },
    "Evaluating": {
        "c2f_train.evaluation.measure": ("Compute",),
        "c2f_train.evaluation.evaluate_run": ("evaluate_run",),
        "c2f_train.evaluation": (
            "EvaluationResult",
            "read_evaluation",
            "Comparison",
            "compare_runs=compare",
            "read_evaluated",
        ),
    },
    "Predicting": {
        "c2f_train.predict": (
            "Predictor",
            "Prediction",
            "Failure",
            "Node",
            "LevelAnswers",
            "UsableResolution",
            "Guarantee",
        ),
    },
    "Reports": {
        "c2f_train.report": (
            "DatasetFacts",
            "gather_report",
            "GatheredReport",
            "RunReport",
            "build_report",
            "read_failures",
            "read_report",
            "Strip",
            "make_strip",
            "write_report",
        ),
        "c2f_train.report.run_answers": ("RunAnswers", "read_run_answers"),
        "c2f_train.report.comparison": ("RunComparison", "runs_beside=compare_runs"),
        "c2f_train.publication": ("write_figures", "write_tables"),
    },
    "Poolings": {
        "c2f_train.pooling.multilinear": ("MultiLinearPooling",),
        "c2f_train.pooling.bilinear": ("BilinearPooling",),
        "c2f_train.pooling.compact": ("TensorSketchPooling", "RandomMaclaurinPooling"),
        "c2f_train.pooling.kernel": ("KernelPooling",),
        "c2f_train.pooling.factorised": ("FactorisedPooling",),
        "c2f_train.pooling.average": ("AveragePooling",),
    },
    "Models": {
        "c2f_train.pooling": ("MODELS", "Model"),
        "c2f_train.checkpoint": ("ModelMeta", "load_models"),
        "c2f_train.model": ("HierarchicalClassifier",),
        "c2f_train.external": ("ExternalRequest", "load_external"),
        "c2f_train.export_model": ("export_model_file=export_model", "ModelExport"),
    },
}

# For type checkers: python -m tools.public_names writes the imports and __all__.
if TYPE_CHECKING:
    from c2f_train.calibrate import calibrate as calibrate_dataset
    from c2f_train.calibration_config import CalibrateConfig
    from c2f_train.checkpoint import ModelMeta, load_models
    from c2f_train.config import TrainConfig
    from c2f_train.device import pick_device, pick_precision
    from c2f_train.evaluation import Comparison, EvaluationResult, read_evaluated, read_evaluation
    from c2f_train.evaluation import compare as compare_runs
    from c2f_train.evaluation.evaluate_run import evaluate_run
    from c2f_train.evaluation.measure import Compute
    from c2f_train.export_model import ModelExport
    from c2f_train.export_model import export_model as export_model_file
    from c2f_train.external import ExternalRequest, load_external
    from c2f_train.model import HierarchicalClassifier
    from c2f_train.pooling import MODELS, Model
    from c2f_train.pooling.average import AveragePooling
    from c2f_train.pooling.bilinear import BilinearPooling
    from c2f_train.pooling.compact import RandomMaclaurinPooling, TensorSketchPooling
    from c2f_train.pooling.factorised import FactorisedPooling
    from c2f_train.pooling.kernel import KernelPooling
    from c2f_train.pooling.multilinear import MultiLinearPooling
    from c2f_train.predict import (
        Failure,
        Guarantee,
        LevelAnswers,
        Node,
        Prediction,
        Predictor,
        UsableResolution,
    )
    from c2f_train.progress import Look, Progress, Silent, Task
    from c2f_train.publication import write_figures, write_tables
    from c2f_train.report import (
        DatasetFacts,
        GatheredReport,
        RunReport,
        Strip,
        build_report,
        gather_report,
        make_strip,
        read_failures,
        read_report,
        write_report,
    )
    from c2f_train.report.comparison import RunComparison
    from c2f_train.report.comparison import compare_runs as runs_beside
    from c2f_train.report.run_answers import RunAnswers, read_run_answers
    from c2f_train.results import EpochMetrics, LevelAccuracy, RunResult, read_run
    from c2f_train.train import train as train_model
    from c2f_train.training_defaults import train_defaults

__all__ = [
    "MODELS",
    "AveragePooling",
    "BilinearPooling",
    "CalibrateConfig",
    "Comparison",
    "Compute",
    "DatasetFacts",
    "EpochMetrics",
    "EvaluationResult",
    "ExternalRequest",
    "FactorisedPooling",
    "Failure",
    "GatheredReport",
    "Guarantee",
    "HierarchicalClassifier",
    "KernelPooling",
    "LevelAccuracy",
    "LevelAnswers",
    "Look",
    "Model",
    "ModelExport",
    "ModelMeta",
    "MultiLinearPooling",
    "Node",
    "Prediction",
    "Predictor",
    "Progress",
    "RandomMaclaurinPooling",
    "RunAnswers",
    "RunComparison",
    "RunReport",
    "RunResult",
    "Silent",
    "Strip",
    "Task",
    "TensorSketchPooling",
    "TrainConfig",
    "UsableResolution",
    "build_report",
    "calibrate_dataset",
    "compare_runs",
    "evaluate_run",
    "export_model_file",
    "gather_report",
    "load_external",
    "load_models",
    "make_strip",
    "pick_device",
    "pick_precision",
    "read_evaluated",
    "read_evaluation",
    "read_failures",
    "read_report",
    "read_run",
    "read_run_answers",
    "runs_beside",
    "train_defaults",
    "train_model",
    "write_figures",
    "write_report",
    "write_tables",
]
_HOMES = homes_of(PUBLIC)
__getattr__ = loader_of(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
