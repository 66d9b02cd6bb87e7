"""What all backends agree on beside their functions: names, constants, and how random numbers are counted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

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


def blocks_used(size: int, dtype: np.dtype | str = "float32") -> int:
    """How far drawing ``size`` random numbers advances the offset: the blocks of four 32-bit words that they take.

    A float64 takes two words, anything else one. Dropout takes one word an element whatever the dtype.

    >>> blocks_used(5), blocks_used(5, "float64")
    (2, 3)
    """
    words = 2 if np.dtype(dtype) == np.float64 else 1
    return -(-size * words // 4)


def matched_arrays(op: str, lists: Mapping[str, Sequence[Any]]) -> list[tuple[Any, ...]]:
    """What an optimizer's update works on: for every place in the lists a tuple of one array from each.

    Args:
        op: name of the update, for messages.
        lists: lists of arrays by name, the parameters first; equally long.

    Raises:
        ValueError: lists of different lengths, shapes or dtypes that differ within a place, or an array that is not
            C-contiguous.
    """
    names = tuple(lists)
    for name in names[1:]:
        if len(lists[name]) != len(lists[names[0]]):
            raise ValueError(f"{op}: {len(lists[names[0]])} {names[0]} but {len(lists[name])} {name}; one for each.")
    groups = list(zip(*lists.values(), strict=True))
    for place, group in enumerate(groups):
        first = group[0]
        for name, array in zip(names, group, strict=True):
            if array.shape != first.shape or array.dtype != first.dtype:
                raise ValueError(
                    f"{op}: {name}[{place}] is {array.dtype} {array.shape}, but {names[0]}[{place}] is "
                    f"{first.dtype} {first.shape}; they must agree."
                )
            if not array.flags.c_contiguous:
                raise ValueError(
                    f"{op}: {name}[{place}] of shape {array.shape} and strides {array.strides} is not C-contiguous; "
                    "updates are in place, so pass numpy.ascontiguousarray of it and keep that array."
                )
    return groups


def adam_rate(learning_rate: float, beta_1: float, beta_2: float, step: int) -> float:
    """Adam's learning rate with the bias of both moments taken out; ``step`` counts from 1, else ``ValueError``."""
    if step < 1:
        raise ValueError(f"adam_update: step counts from 1; got {step}.")
    return learning_rate * math.sqrt(1 - beta_2**step) / (1 - beta_1**step)
