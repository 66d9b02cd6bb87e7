"""The activations and their derivatives in a few float64 lines, as Keras 3 documents them."""

import math

import numpy as np


def _each(function):
    return lambda z: np.array([function(float(v)) for v in np.ravel(z)]).reshape(np.shape(z))


def _sigmoid(v):
    return 1 / (1 + math.exp(-v)) if v > -700 else math.exp(v)


def _exp(v):
    return math.inf if v > 709 else math.exp(v)


def _or_nan(function):
    return lambda v: v if math.isnan(v) else function(v)


SELU_ALPHA, SELU_SCALE = 1.6732632423543772848, 1.0507009873554804934

ACTIVATIONS = {
    "linear": _each(lambda v: v),
    "relu": _each(_or_nan(lambda v: max(v, 0.0))),
    "relu6": _each(_or_nan(lambda v: min(max(v, 0.0), 6.0))),
    "leaky_relu": _each(lambda v: v if v > 0 else 0.2 * v),
    "elu": _each(lambda v: v if v > 0 else math.expm1(v)),
    "selu": _each(lambda v: SELU_SCALE * (v if v > 0 else SELU_ALPHA * math.expm1(v))),
    "sigmoid": _each(_sigmoid),
    "hard_sigmoid": _each(_or_nan(lambda v: min(max(v + 3.0, 0.0), 6.0) / 6)),
    "tanh": _each(math.tanh),
    "exponential": _each(_exp),
    "softplus": _each(lambda v: max(v, 0.0) + math.log1p(math.exp(-abs(v))) if not math.isnan(v) else v),
}

DERIVATIVES = {
    "linear": _each(lambda z: 1.0),
    "relu": _each(lambda z: float(z > 0)),
    "relu6": _each(lambda z: float(0 < z < 6)),
    "leaky_relu": _each(lambda z: 1.0 if z > 0 else 0.2),
    "elu": _each(lambda z: 1.0 if z > 0 else math.exp(z)),
    "selu": _each(lambda z: SELU_SCALE if z > 0 else SELU_SCALE * SELU_ALPHA * math.exp(z)),
    "sigmoid": _each(lambda z: _sigmoid(z) * (1 - _sigmoid(z))),
    "hard_sigmoid": _each(lambda z: 1 / 6 if -3 < z < 3 else 0.0),
    "tanh": _each(lambda z: 1 - math.tanh(z) ** 2),
    "exponential": _each(math.exp),
    "softplus": _each(_sigmoid),
}
