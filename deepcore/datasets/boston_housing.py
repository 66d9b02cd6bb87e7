"""Boston housing: 506 districts of 1978 (Harrison and Rubinfeld; one of its features is a racial index)."""

from __future__ import annotations

import os
from typing import Any

from deepcore.datasets.table import load_table

FILE = "boston_housing.npz"
SHA256 = "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5"


def load_data(path: str | os.PathLike[str] = FILE, test_split: float = 0.2, seed: int = 113) -> Any:
    """Load it, as ``keras.datasets.boston_housing.load_data`` does.

    Args:
        path: the published file, downloaded on first use, or an ``.npz`` file on disk with ``x`` and ``y``.
        test_split: the part, the last of the shuffled order, that is for tests: 0 to below 1.
        seed: of the order.

    Returns ``(x_train, y_train), (x_test, y_test)``: 13 features, and prices in 1,000 dollars.
    Raises ``ValueError`` for other arguments, ``CorruptedFileError`` for a damaged file.
    """
    return load_table(path, FILE, SHA256, test_split, seed, None)
