"""What all backends agree on beside their functions: names, constants, and how random numbers are counted."""

from __future__ import annotations

import numpy as np

# The activations whose derivative follows from their result. A compiled loop or kernel is told one by its position.
ACTIVATIONS = (
    "linear",
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "selu",
    "sigmoid",
    "hard_sigmoid",
    "tanh",
    "exponential",
    "softplus",
)

# Constants of Keras 3; those of selu are from Klambauer et al. 2017, "Self-Normalizing Neural Networks".
LEAKY_RELU_SLOPE = 0.2
SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805
PROBABILITY_EPSILON = 1e-7  # a cross-entropy holds probabilities from here to 1 less this


def blocks_used(size: int, dtype: np.dtype | str = "float32") -> int:
    """How far drawing ``size`` random numbers advances the offset: the blocks of four 32-bit words that they take.

    A float64 takes two words, anything else one. Dropout takes one word an element whatever the dtype.

    >>> blocks_used(5), blocks_used(5, "float64")
    (2, 3)
    """
    words = 2 if np.dtype(dtype) == np.float64 else 1
    return -(-size * words // 4)
