"""Small data and small models that tests of training share."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore import random
from deepcore.layers import Dense, Input
from deepcore.models import Sequential


@pytest.fixture
def data(rng):
    """50 examples of 6 numbers, and their class of 3 by a linear rule."""
    x = rng.standard_normal((50, 6)).astype(np.float32)
    return x, (x @ rng.standard_normal((6, 3))).argmax(1)


@pytest.fixture
def model():
    """A compiled classifier of 6 numbers in 3 classes."""
    random.set_seed(1)
    made = Sequential([Input((6,)), Dense(8, activation="relu", name="hidden"), Dense(3, activation="softmax")])
    made.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made
