"""Linear probes: multinomial logistic regression on frozen, pooled features."""

from __future__ import annotations

import warnings
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import nn

from c2f_train.model import HierarchicalClassifier, share_trunk

# Inverse strength of the l2 penalty, for features of unit length; between 10 and 100 the accuracy
# hardly moves (docs/reproduction.md).
PENALTY_C = 10.0
ITERATIONS = 1000


def fit_probe(
    model: HierarchicalClassifier,
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
) -> HierarchicalClassifier:
    """Fit every level's classifier on features of I_high.

    Args:
        model: gives the frozen trunk; it is shared, not copied.
        features: (n, F), of comparable size: unit length, for example.
        labels: (n, levels) class ids; a class without images gets no probability.

    Returns:
        A model with the same backbone and pooling and its own classifiers.
    """
    fitted = share_trunk(model)
    for level, classifier in enumerate(fitted.classifiers):
        linear = cast("nn.Linear", classifier)
        weight, bias, classes = _logistic(features, labels[:, level])
        with torch.no_grad():
            linear.weight.zero_()
            linear.bias.fill_(-1e4)
            linear.weight[classes] = torch.from_numpy(weight).to(linear.weight.dtype)
            linear.bias[classes] = torch.from_numpy(bias).to(linear.bias.dtype)
    return fitted


def _logistic(
    features: NDArray[np.float32], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """(classes, F) weights, (classes,) biases and the class ids they are for."""
    classes = np.unique(labels)
    if classes.size == 1:
        return np.zeros((1, features.shape[1])), np.zeros(1), classes
    regression = LogisticRegression(C=PENALTY_C, max_iter=ITERATIONS)
    with warnings.catch_warnings():
        # Not converged to the last digit is not a failure of a probe.
        warnings.simplefilter("ignore", ConvergenceWarning)
        regression.fit(features, labels)
    weight, bias = regression.coef_, regression.intercept_
    if classes.size == 2:
        # scikit-learn keeps one row for two classes: the log-odds of the second.
        weight = np.concatenate([-weight / 2, weight / 2])
        bias = np.concatenate([-bias / 2, bias / 2])
    return weight, bias, classes
