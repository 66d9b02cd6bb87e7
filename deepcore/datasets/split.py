"""The form that every data set is returned in, and the checks that it passes first."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from deepcore.errors import CorruptedFileError

UInt8Array: TypeAlias = npt.NDArray[np.uint8]
Split: TypeAlias = tuple[tuple[UInt8Array, UInt8Array], tuple[UInt8Array, UInt8Array]]


def check_images(
    source: object, images: np.ndarray, labels: np.ndarray, image_shape: tuple[int, ...], classes: int = 10
) -> None:
    """Check images and labels of a data set.

    Args:
        source: What the message names: a path, and a part of it.
        images: Must be uint8 ``[n, *image_shape]``, with n > 0.
        labels: Must be uint8 ``[n]``, each less than ``classes``.
        image_shape: The shape of one image.
        classes: How many there are.

    Raises:
        CorruptedFileError: One of these does not hold.
    """
    for name, array, shape in (("images", images, image_shape), ("labels", labels, ())):
        if array.dtype != np.uint8 or array.ndim != 1 + len(shape) or array.shape[1:] != shape:
            expected = ", ".join(["n", *map(str, shape)])
            raise CorruptedFileError(
                f"{source}: the {name} are {array.dtype} {list(array.shape)}; expected uint8 [{expected}]."
            )
    if len(images) != len(labels) or not len(images):
        raise CorruptedFileError(
            f"{source}: {len(images)} images and {len(labels)} labels; expected a label an image, and at least one."
        )
    if labels.max() >= classes:
        raise CorruptedFileError(f"{source}: a label is {labels.max()}; labels are 0 to {classes - 1}.")
