"""Small helps for scripts, by Keras's names."""

from __future__ import annotations

import gc
import random as python_random
from typing import Any

import numpy as np

from deepcore import ops, random
from deepcore.backend.dtype import standardize_dtype
from deepcore.config import disable_interactive_logging, enable_interactive_logging, is_interactive_logging_enabled
from deepcore.errors import explain_missing
from deepcore.models.dataset import PyDataset, pack_x_y_sample_weight, unpack_x_y_sample_weight
from deepcore.naming import reset_names
from deepcore.saving import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)
from deepcore.symbolic import SymbolicTensor, is_keras_tensor
from deepcore.tensor import Tensor
from deepcore.utils.directories import image_dataset_from_directory, text_dataset_from_directory
from deepcore.utils.downloads import get_file
from deepcore.utils.images import array_to_img, img_to_array, load_img, save_img
from deepcore.utils.plotting import model_to_dot, plot_model
from deepcore.utils.progbar import Progbar
from deepcore.utils.samples import split_dataset, timeseries_dataset_from_array
from deepcore.utils.sequences import pad_sequences
from deepcore.utils.settings import Config

Sequence = PyDataset

__all__ = [
    "Config",
    "CustomObjectScope",
    "Progbar",
    "PyDataset",
    "Sequence",
    "array_to_img",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "disable_interactive_logging",
    "enable_interactive_logging",
    "get_custom_objects",
    "get_file",
    "get_registered_name",
    "get_registered_object",
    "get_source_inputs",
    "image_dataset_from_directory",
    "img_to_array",
    "is_interactive_logging_enabled",
    "is_keras_tensor",
    "load_img",
    "model_to_dot",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "plot_model",
    "register_keras_serializable",
    "save_img",
    "serialize_keras_object",
    "set_random_seed",
    "split_dataset",
    "standardize_dtype",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
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


def clear_session(free_memory: bool = True) -> None:
    """Counts the names of new layers from the beginning again, and collects what no one uses any more."""
    reset_names()
    if free_memory:
        gc.collect()


def get_source_inputs(tensor: Any) -> Any:
    """The symbolic tensors, of ``Input``, that a symbolic tensor was drawn from; anything else comes back as it is.

    >>> from deepcore.layers import Dense, Input
    >>> x = Input((3,))
    >>> get_source_inputs(Dense(2)(Dense(4)(x)))[0] is x
    True
    """
    if not isinstance(tensor, SymbolicTensor):
        return tensor
    found: list[SymbolicTensor] = []
    seen: set[int] = set()
    waiting = [tensor]
    while waiting:
        one = waiting.pop()
        if id(one) not in seen:
            seen.add(id(one))
            behind = one.node.inputs if one.node is not None else []
            waiting += reversed(behind)
            if not behind:
                found.append(one)
    return found


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
