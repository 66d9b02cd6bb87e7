"""Gradients of layers by their input and by every weight, against finite differences in float64."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore import layers
from deepcore.autograd import gradcheck
from deepcore.tensor import Tensor

MASK = np.array([[1, 1, 0], [0, 1, 1]], bool)
WIDE = {"dtype": "float64"}

LAYERS = {
    "activity": (lambda: layers.ActivityRegularization(0.1, 0.2, **WIDE), (3, 4), {}),
    "alpha dropout": (lambda: layers.AlphaDropout(0.4, seed=1, **WIDE), (3, 4), {"training": True}),
    "batch norm": (lambda: layers.BatchNormalization(**WIDE), (5, 3), {"training": True}),
    "batch norm of an axis": (lambda: layers.BatchNormalization(axis=1, **WIDE), (3, 2, 4), {"training": True}),
    "batch norm, frozen": (lambda: layers.BatchNormalization(trainable=False, **WIDE), (5, 3), {"training": True}),
    "batch norm, masked": (lambda: layers.BatchNormalization(**WIDE), (2, 3, 4), {"training": True, "mask": MASK}),
    "brightness": (lambda: layers.RandomBrightness(0.1, (-9, 9), seed=1, **WIDE), (2, 3, 4, 2), {}),
    "centre crop": (lambda: layers.CenterCrop(2, 5, **WIDE), (1, 4, 3, 2), {}),
    "contrast": (lambda: layers.RandomContrast(0.5, (-9, 9), seed=1, **WIDE), (2, 3, 4, 2), {}),
    "crop": (lambda: layers.RandomCrop(2, 2, **WIDE), (1, 4, 4, 1), {"training": False}),
    "einsum": (lambda: layers.EinsumDense("abc,cd->abd", (None, 4), "tanh", "bd", **WIDE), (2, 3, 5), {}),
    "einsum in batches": (lambda: layers.EinsumDense("abc,bcd->dab", (2, 3), **WIDE), (2, 3, 5), {}),
    "einsum summed": (lambda: layers.EinsumDense("abc,bd->ad", 3, **WIDE), (2, 3, 5), {}),
    "elu": (lambda: layers.ELU(0.7, **WIDE), (3, 4), {}),
    "dropout": (lambda: layers.Dropout(0.4, (None, 1), seed=1, **WIDE), (5, 4), {"training": True}),
    "dropout of channels": (lambda: layers.SpatialDropout1D(0.4, 1, **WIDE), (3, 2, 4), {"training": True}),
    "flip": (lambda: layers.RandomFlip(seed=1, **WIDE), (4, 3, 2, 1), {}),
    "gaussian dropout": (lambda: layers.GaussianDropout(0.4, seed=1, **WIDE), (3, 4), {"training": True}),
    "gaussian noise": (lambda: layers.GaussianNoise(0.4, seed=1, **WIDE), (3, 4), {"training": True}),
    "group norm": (lambda: layers.GroupNormalization(2, **WIDE), (2, 3, 4), {}),
    "group norm of an axis": (lambda: layers.GroupNormalization(-1, axis=1, **WIDE), (2, 3, 4), {}),
    "layer norm": (lambda: layers.LayerNormalization(axis=[1, 2], **WIDE), (2, 3, 4), {}),
    "leaky relu": (lambda: layers.LeakyReLU(**WIDE), (3, 4), {}),
    "local response": (lambda: layers.LocalResponseNormalization(1, axis=1, **WIDE), (2, 4, 3), {}),
    "masking": (lambda: layers.Masking(0.5, **WIDE), (2, 3, 4), {}),
    "normalization": (lambda: layers.Normalization(mean=1.0, variance=4.0, **WIDE), (3, 4), {}),
    "prelu": (lambda: layers.PReLU(**WIDE), (3, 4), {}),
    "prelu, shared": (lambda: layers.PReLU(shared_axes=[1], **WIDE), (2, 3, 4), {}),
    "rescaling": (lambda: layers.Rescaling(0.5, 2.0, **WIDE), (3, 4), {}),
    "resizing": (lambda: layers.Resizing(3, 5, **WIDE), (1, 4, 3, 2), {}),
    "rms norm": (lambda: layers.RMSNormalization(axis=[1, -1], **WIDE), (2, 3, 4), {}),
    "rotation": (lambda: layers.RandomRotation((0.07, 0.07), **WIDE), (1, 4, 5, 2), {}),
    "softmax": (lambda: layers.Softmax(**WIDE), (2, 3, 4), {}),
    "softmax of two axes": (lambda: layers.Softmax(axis=(0, 2), **WIDE), (2, 3, 4), {}),
    "softmax, masked": (lambda: layers.Softmax(**WIDE), (2, 3), {"mask": MASK}),
    "spectral norm": (lambda: layers.SpectralNormalization(layers.Dense(3, **WIDE), **WIDE), (3, 4), {}),
    "translation": (
        lambda: layers.RandomTranslation((0.13, 0.13), (0.2, 0.2), fill_mode="nearest", **WIDE),
        (1, 4, 5, 2),
        {},
    ),
    "unit norm": (lambda: layers.UnitNormalization(axis=[1, 2], **WIDE), (2, 3, 4), {}),
    "zoom": (lambda: layers.RandomZoom((0.3, 0.3), (-0.2, -0.2), **WIDE), (1, 4, 5, 2), {}),
}


def gradients_hold(layer, x, call, owner=None):
    """Finite differences by x and by the weights that learn, which are put into the layer as the inputs are."""
    owner = owner or layer
    weights = layer.trainable_weights
    names = [next(name for name, value in vars(owner).items() if value is v) for v in weights]

    streams = [vars(layer)[name] for name in ("generator", "seed_generator") if name in vars(layer)]

    def run(*points):
        for stream in streams:
            stream.offset = 0  # the same numbers at every point
        for name, point in zip(names, points[len(points) - len(names) :], strict=True):
            setattr(owner, name, point)
        try:
            return layer(points[0], **call) if len(points) > len(names) else layer(x, **call)
        finally:
            for name, weight in zip(names, weights, strict=True):
                setattr(owner, name, weight)

    inputs = [x] if np.asarray(x).dtype.kind == "f" else []
    return gradcheck(run, [*inputs, *(v.numpy() for v in weights)])


@pytest.mark.parametrize("name", LAYERS)
def test_gradients(name, rng):
    make, shape, call = LAYERS[name]
    layer = make()
    x = rng.uniform(0.2, 1.5, shape) * rng.choice([-1.0, 1.0], shape)
    call = {key: Tensor(value) if isinstance(value, np.ndarray) else value for key, value in call.items()}
    layer(x, **call)
    layer.set_weights([rng.uniform(0.3, 1.2, v.shape) for v in layer.weights])
    assert gradients_hold(layer, x, call, getattr(layer, "layer", None))


def test_rows_of_an_embedding_have_the_sum_of_what_arrives_at_each_use(rng):
    layer = layers.Embedding(5, 3, **WIDE)
    ids = np.array([[0, 2, 2], [4, 0, 2]])
    layer(ids)
    assert gradients_hold(layer, ids, {})
