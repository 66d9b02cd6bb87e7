"""Every loss, metric and initializer goes through a file with its arguments, and comes back to the same numbers."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from deepcore import initializers, layers, losses, metrics, saving
from deepcore.models import Sequential, load_model

HOT = np.eye(3, dtype=np.float32)[[0, 2, 1, 1, 0, 2]]
NUMBERS = HOT.argmax(1)
X = np.random.default_rng(5).standard_normal((6, 4)).astype(np.float32)

LOSSES = {
    "BinaryCrossentropy": ({"label_smoothing": 0.1, "reduction": "sum"}, HOT),
    "BinaryFocalCrossentropy": ({"gamma": 1.5, "apply_class_balancing": True}, HOT),
    "CategoricalCrossentropy": ({"label_smoothing": 0.2}, HOT),
    "CategoricalFocalCrossentropy": ({"alpha": 0.3}, HOT),
    "CategoricalGeneralizedCrossEntropy": ({"q": 0.7}, NUMBERS),
    "CategoricalHinge": ({"reduction": "sum"}, HOT),
    "Circle": ({"gamma": 3.0, "margin": 0.3}, NUMBERS),
    "CosineSimilarity": ({"axis": -1}, HOT),
    "Dice": ({"axis": -1}, HOT),
    "Hinge": ({"reduction": "sum"}, 2 * HOT - 1),
    "Huber": ({"delta": 0.2}, HOT),
    "KLDivergence": ({"name": "divergence"}, HOT),
    "LogCosh": ({"reduction": "sum"}, HOT),
    "MeanAbsoluteError": ({"reduction": "sum"}, HOT),
    "MeanAbsolutePercentageError": ({}, HOT + 1),
    "MeanSquaredError": ({"name": "squares"}, HOT),
    "MeanSquaredLogarithmicError": ({"reduction": "sum"}, HOT),
    "Poisson": ({"reduction": "sum"}, HOT),
    "SparseCategoricalCrossentropy": ({"ignore_class": 1}, NUMBERS),
    "SquaredHinge": ({"reduction": "sum"}, 2 * HOT - 1),
    "Tversky": ({"alpha": 0.3, "beta": 0.7}, HOT),
    "ZeroOne": ({"reduction": "sum"}, NUMBERS),
}

METRICS = {
    "AUC": ({"num_thresholds": 7, "curve": "PR"}, HOT),
    "Accuracy": ({"name": "hits"}, HOT),
    "BinaryAccuracy": ({"threshold": 0.3}, HOT),
    "BinaryCrossentropy": ({"label_smoothing": 0.1}, HOT),
    "BinaryIoU": ({"target_class_ids": [1], "threshold": 0.3}, HOT),
    "CategoricalAccuracy": ({"name": "hits"}, HOT),
    "CategoricalCrossentropy": ({"label_smoothing": 0.1}, HOT),
    "CategoricalHinge": ({"name": "hinge"}, HOT),
    "ConcordanceCorrelation": ({"axis": 0}, HOT),
    "CosineSimilarity": ({"axis": 0}, HOT),
    "F1Score": ({"average": "macro", "threshold": 0.3}, HOT),
    "FBetaScore": ({"average": "weighted", "beta": 2.0}, HOT),
    "FalseNegatives": ({"thresholds": [0.2, 0.4]}, HOT),
    "FalsePositives": ({"thresholds": 0.3}, HOT),
    "Hinge": ({"name": "margin"}, 2 * HOT - 1),
    "IoU": ({"num_classes": 3, "target_class_ids": [0, 2], "sparse_y_pred": False}, NUMBERS),
    "KLDivergence": ({"name": "divergence"}, HOT),
    "LogCoshError": ({"name": "error"}, HOT),
    "MeanAbsoluteError": ({"name": "error"}, HOT),
    "MeanAbsolutePercentageError": ({"name": "error"}, HOT + 1),
    "MeanIoU": ({"num_classes": 3, "sparse_y_pred": False}, NUMBERS),
    "MeanMetricWrapper": ({"fn": losses.mean_squared_error, "name": "squares"}, HOT),
    "MeanSquaredError": ({"name": "error"}, HOT),
    "MeanSquaredLogarithmicError": ({"name": "error"}, HOT),
    "OneHotIoU": ({"num_classes": 3, "target_class_ids": [1]}, HOT),
    "OneHotMeanIoU": ({"num_classes": 3}, HOT),
    "PearsonCorrelation": ({"axis": 0}, HOT),
    "Poisson": ({"name": "error"}, HOT),
    "Precision": ({"top_k": 2}, HOT),
    "PrecisionAtRecall": ({"recall": 0.4, "num_thresholds": 9}, HOT),
    "R2Score": ({"class_aggregation": "variance_weighted_average"}, HOT),
    "Recall": ({"class_id": 1, "thresholds": 0.3}, HOT),
    "RecallAtPrecision": ({"precision": 0.2, "num_thresholds": 9}, HOT),
    "RootMeanSquaredError": ({"name": "error"}, HOT),
    "SensitivityAtSpecificity": ({"specificity": 0.4, "num_thresholds": 9}, HOT),
    "SparseCategoricalAccuracy": ({"name": "hits"}, NUMBERS),
    "SparseCategoricalCrossentropy": ({"ignore_class": 1}, NUMBERS),
    "SparseTopKCategoricalAccuracy": ({"k": 2}, NUMBERS),
    "SpecificityAtSensitivity": ({"sensitivity": 0.4, "num_thresholds": 9}, HOT),
    "SquaredHinge": ({"name": "margin"}, 2 * HOT - 1),
    "TopKCategoricalAccuracy": ({"k": 2}, HOT),
    "TrueNegatives": ({"thresholds": 0.3}, HOT),
    "TruePositives": ({"thresholds": [0.2, 0.4]}, HOT),
}

INITIALIZERS = {
    "Constant": {"value": 0.25},
    "GlorotNormal": {"seed": 3},
    "GlorotUniform": {"seed": 3},
    "HeNormal": {"seed": 3},
    "HeUniform": {"seed": 3},
    "Identity": {"gain": 2.0},
    "LecunNormal": {"seed": 3},
    "LecunUniform": {"seed": 3},
    "Ones": {},
    "Orthogonal": {"gain": 0.5, "seed": 3},
    "RandomNormal": {"mean": 1.0, "stddev": 0.2, "seed": 3},
    "RandomUniform": {"minval": 0.5, "maxval": 0.7, "seed": 3},
    "TruncatedNormal": {"stddev": 0.2, "seed": 3},
    "VarianceScaling": {"scale": 0.4, "mode": "fan_out", "seed": 3},
    "Zeros": {},
}


def network(**arguments):
    return Sequential([layers.Input((4,)), layers.Dense(3, "softmax", **arguments)])


def classes_of(module, base, besides=()):
    """Names of a module's exported classes that can be made."""
    found = {
        thing.__name__ for thing in vars(module).values() if inspect.isclass(thing) and issubclass(thing, base)
    } - {base.__name__, *besides}
    return {name for name in found if not name.startswith("_") and hasattr(module, name)}


def saved_and_loaded(model, folder):
    model.save(folder / "m.keras")
    return load_model(folder / "m.keras")


@pytest.mark.parametrize("name", sorted(classes_of(losses, losses.Loss, ["LossFunction"])))
def test_losses(name, tmp_path):
    assert name in LOSSES, f"{name} has no case here: add its arguments, and targets."
    arguments, y = LOSSES[name]
    model = network()
    model.compile("sgd", getattr(losses, name)(**arguments))
    again = saved_and_loaded(model, tmp_path)
    assert type(again.loss) is getattr(losses, name)
    assert again.loss.get_config() == model.loss.get_config()
    assert arguments.items() <= again.loss.get_config().items()
    expected = model.evaluate(X, y, verbose=0)
    assert np.isfinite(expected)
    assert again.evaluate(X, y, verbose=0) == expected


@pytest.mark.parametrize("name", sorted(classes_of(metrics, metrics.Metric, ["Mean", "Sum"])))
def test_metrics(name, tmp_path):
    assert name in METRICS, f"{name} has no case here: add its arguments, and targets."
    arguments, y = METRICS[name]
    model = network()
    model.compile("sgd", metrics=[getattr(metrics, name)(**arguments)])
    again = saved_and_loaded(model, tmp_path)
    assert again.get_compile_config() == model.get_compile_config()
    found = []
    for each in (model, again):
        metric = each._compile_arguments["metrics"][0]
        assert type(metric) is getattr(metrics, name)
        for half in (slice(0, 3), slice(3, None)):
            metric.update_state(y[half], each(X[half]))
        found.append(np.array(metric.result()))
    assert np.isfinite(found[0]).all()
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("kind", [metrics.Mean, metrics.Sum])
def test_metrics_of_numbers(kind):
    again = saving.deserialize_keras_object(saving.serialize_keras_object(kind(name="mine")))
    assert type(again) is kind
    assert again.get_config() == kind(name="mine").get_config()


@pytest.mark.parametrize("name", sorted(classes_of(initializers, initializers.Initializer, ["RandomInitializer"])))
def test_initializers(name, tmp_path):
    assert name in INITIALIZERS, f"{name} has no case here: add its arguments."
    initializer = getattr(initializers, name)(**INITIALIZERS[name])
    layer = saved_and_loaded(network(kernel_initializer=initializer), tmp_path).layers[-1]
    assert type(layer.kernel_initializer) is type(initializer)
    assert layer.kernel_initializer.get_config() == initializer.get_config()
    assert INITIALIZERS[name].items() <= initializer.get_config().items()
    fresh = getattr(initializers, name)(**INITIALIZERS[name])
    np.testing.assert_array_equal(layer.kernel_initializer((4, 3)).numpy(), fresh((4, 3)).numpy())
    np.testing.assert_array_equal(layer.kernel.numpy(), fresh((4, 3)).numpy())
