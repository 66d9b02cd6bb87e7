"""A small regression that tests of callbacks share."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore import random
from deepcore.layers import Dense, Input
from deepcore.models import Sequential
from deepcore.optimizers import SGD


@pytest.fixture
def problem(rng):
    """20 examples of 3 numbers, and one target each."""
    x = rng.standard_normal((20, 3)).astype(np.float32)
    return x, (x @ rng.standard_normal((3, 1))).astype(np.float32)


@pytest.fixture
def model():
    """A compiled line of 3 inputs."""
    random.set_seed(1)
    made = Sequential([Input((3,)), Dense(1, name="line")])
    made.compile(SGD(0.1), "mse", metrics=["mae"])
    return made
