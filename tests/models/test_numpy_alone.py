"""Training where nothing is compiled: what NumPy alone computes is what compiled code does."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np

PROGRAM = """
import json
import sys
import numpy as np
import deepcore
from deepcore import layers

deepcore.random.set_seed(11)
model = deepcore.Sequential([
    layers.Input((12, 12, 3)),
    layers.Conv2D(8, 3, padding="same", activation="relu"),
    layers.MaxPooling2D(),
    layers.DepthwiseConv2D(3, padding="same", use_bias=False),
    layers.BatchNormalization(),
    layers.ReLU(),
    layers.Conv2D(20, 1),
    layers.AveragePooling2D(3, strides=2, padding="same"),
    layers.Flatten(),
    layers.Dropout(0.3),
    layers.Dense(17, activation="tanh"),
    layers.Dense(4),
])
model.compile("rmsprop", deepcore.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
rng = np.random.default_rng(0)
x, y = rng.standard_normal((48, 12, 12, 3)).astype(np.float32), rng.integers(0, 4, 48)
losses = model.fit(x, y, 16, epochs=2, shuffle=False, verbose=0).history["loss"]
arrays = [model.predict(x, verbose=0), *model.get_weights()]
print(json.dumps([losses, [array.tolist() for array in arrays], "llvmlite" in sys.modules]))
"""


def train(disabled):
    environment = {**os.environ, "DEEPCORE_DISABLE_JIT": disabled}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_numpy_alone_trains_as_compiled_code_does():
    losses, arrays, compiles = train("0")
    losses_alone, arrays_alone, compiles_alone = train("1")
    assert compiles
    assert not compiles_alone
    np.testing.assert_allclose(losses_alone, losses, rtol=1e-5)
    for alone, array in zip(arrays_alone, arrays, strict=True):
        np.testing.assert_allclose(alone, array, rtol=1e-3, atol=1e-4)
