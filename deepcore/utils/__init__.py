"""Small helps for scripts, by Keras's names."""

from __future__ import annotations

import random as python_random
from typing import Any

import numpy as np

from deepcore import ops, random
from deepcore.errors import explain_missing
from deepcore.models.dataset import PyDataset, pack_x_y_sample_weight, unpack_x_y_sample_weight
from deepcore.naming import reset_names
from deepcore.tensor import Tensor
from deepcore.utils.images import array_to_img, img_to_array, load_img, save_img
from deepcore.utils.plotting import model_to_dot, plot_model
from deepcore.utils.sequences import pad_sequences

Sequence = PyDataset

__all__ = [
    "PyDataset",
    "Sequence",
    "array_to_img",
    "clear_session",
    "img_to_array",
    "load_img",
    "model_to_dot",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "plot_model",
    "save_img",
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


def normalize(x: Any, axis: int = -1, order: Any = 2) -> Any:
    """``x`` divided by its norm of ``order`` along ``axis``; where that is zero, ``x`` as it is.

    A tensor gives a tensor, anything else an array.

    >>> normalize(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    if isinstance(x, Tensor):
        return ops.normalize(x, axis=axis, order=order)
    values = np.asarray(x)
    length = np.linalg.norm(values, order, axis, keepdims=True)
    return values / np.where(length == 0, np.ones_like(length), length)


explain_missing(__name__)
