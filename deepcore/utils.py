"""Small helps for scripts, by Keras's names."""

from __future__ import annotations

import random as python_random
from typing import Any

import numpy as np

from deepcore import random
from deepcore.models.dataset import PyDataset, pack_x_y_sample_weight, unpack_x_y_sample_weight
from deepcore.naming import reset_names

Sequence = PyDataset

__all__ = [
    "PyDataset",
    "Sequence",
    "clear_session",
    "pack_x_y_sample_weight",
    "set_random_seed",
    "to_categorical",
    "unpack_x_y_sample_weight",
]


def set_random_seed(seed: int) -> None:
    """Seeds deepcore, NumPy and Python: what follows is the same in every run.

    Raises ``ValueError`` unless ``seed`` is a whole number from 0 to 2**32 - 1.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"A seed is a whole number from 0 to 2**32 - 1; got {seed!r}.")
    python_random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    random.set_seed(seed)


def clear_session() -> None:
    """Counts the names of new layers from the beginning again."""
    reset_names()


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray[Any, Any]:
    """One-hot rows, float32 [..., num_classes], of class numbers [...] or [..., 1].

    ``num_classes`` is the largest number plus one by default. Raises ``ValueError`` for numbers out of range.

    >>> to_categorical([0, 2])
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    labels = np.asarray(x)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    labels = labels.astype(np.int64)
    classes = int(labels.max()) + 1 if num_classes is None else int(num_classes)
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise ValueError(f"Class numbers must be from 0 to {classes - 1}; got {labels.min()} to {labels.max()}.")
    return np.eye(classes, dtype=np.float32)[labels]
