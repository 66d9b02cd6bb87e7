"""Features and targets in an ``.npz`` file with ``x`` and ``y``: what the two housing data sets share."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from deepcore.datasets.words import place_of, shuffled
from deepcore.errors import CorruptedFileError


def load_table(
    path: str | os.PathLike[str], name: str, sha256: str, test_split: float, seed: int, rows: int | None
) -> Any:
    """Rows in the order of ``seed``, cut in two; ``rows`` is how many of the file's are used, None for all.

    Raises ``ValueError`` for a ``test_split`` out of range, ``CorruptedFileError`` for a damaged file.
    """
    if not 0 <= test_split < 1:
        raise ValueError(f"test_split must be from 0 to below 1; got {test_split}.")
    place = place_of(path, name, sha256)
    try:
        with open(place, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            x, y = np.asarray(file["x"])[:rows], np.asarray(file["y"])[:rows]
    # A damaged zip file, or a header in it, can raise almost anything.
    except Exception as error:
        raise CorruptedFileError(f"{place} cannot be read as an .npz file with x and y: {error!r}.") from error
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise CorruptedFileError(f"{place}: x is {x.shape} and y {y.shape}; expected [n, features] and [n].")
    x, y = shuffled(x, y, seed)
    cut = int(len(x) * (1 - test_split))
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])
