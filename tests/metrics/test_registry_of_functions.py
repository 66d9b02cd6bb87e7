"""Functions of metrics in the configuration of a compiled model."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore import metrics
from deepcore.layers import Dense, Input
from deepcore.models import Sequential, model_from_json

FUNCTIONS = {"binary_accuracy": 0.75, "categorical_accuracy": 0.5}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_compiled_model_names_its_functions(name):
    model = Sequential([Input((2,)), Dense(2, kernel_initializer="identity")])
    model.compile("sgd", "mse", metrics=[getattr(metrics, name)])
    again = model_from_json(model.to_json())
    x = np.array([[0.9, 0.1], [0.6, 0.8]], np.float32)
    y = np.array([[1.0, 0.0], [1.0, 0.0]], np.float32)
    told = again.evaluate(x, y, verbose=0, return_dict=True)
    assert told[name] == FUNCTIONS[name]
