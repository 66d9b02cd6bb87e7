"""California housing: 20,640 districts of the census of 1990 (Pace and Barry 1997)."""

from __future__ import annotations

import os
from typing import Any

from deepcore.datasets.table import load_table

FILE = "california_housing.npz"
SHA256 = "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f"


def load_data(
    version: str = "large", path: str | os.PathLike[str] = FILE, test_split: float = 0.2, seed: int = 113
) -> Any:
    """Load it, as ``keras.datasets.california_housing.load_data`` does.

    Args:
        version: ``"large"`` for all 20,640 districts, ``"small"`` for the first 600 of the file.
        path: the published file, downloaded on first use, or an ``.npz`` file on disk with ``x`` and ``y``.
        test_split: the part, the last of the shuffled order, that is for tests: 0 to below 1.
        seed: of the order.

    Returns ``(x_train, y_train), (x_test, y_test)``: 8 features, and prices in dollars.
    Raises ``ValueError`` for other arguments, ``CorruptedFileError`` for a damaged file.
    """
    if version not in ("small", "large"):
        raise ValueError(f"version must be 'small' or 'large'; got {version!r}.")
    return load_table(path, FILE, SHA256, test_split, seed, 600 if version == "small" else None)
