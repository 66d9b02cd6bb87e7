"""Sequences of different lengths as one array."""

from __future__ import annotations

from typing import Any

import numpy as np


def pad_sequences(
    sequences: Any,
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: float | str = 0.0,
) -> np.ndarray[Any, Any]:
    """One row for each sequence, filled up with ``value``, or cut, to ``maxlen`` steps (the longest by default).

    Args:
        sequences: a list of sequences [steps, ...], whose further axes agree.
        maxlen: steps of the result.
        dtype: of the result.
        padding, truncating: ``"pre"`` or ``"post"``: the side that is filled, and the side that is cut.
        value: what fills.

    Returns [len(sequences), maxlen, ...]. Raises ``ValueError`` for anything else.

    >>> pad_sequences([[1], [2, 3, 4]], maxlen=2)
    array([[0, 1],
           [3, 4]], dtype=int32)
    """
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in ("pre", "post"):
            raise ValueError(f"pad_sequences: {name} must be 'pre' or 'post'; got {side!r}.")
    if not hasattr(sequences, "__len__"):
        raise ValueError(f"pad_sequences expects a list of sequences; got {sequences!r}.")
    for i, row in enumerate(sequences):
        if not hasattr(row, "__len__"):
            raise ValueError(f"pad_sequences expects a list of sequences; number {i} is {row!r}.")
    if isinstance(value, str) and np.dtype(dtype).kind not in "OSU":
        raise ValueError(f"pad_sequences: value={value!r} does not fit dtype={dtype!r}; pass dtype=object.")
    rows = [np.asarray(row, dtype=dtype) for row in sequences]
    inner = next((row.shape[1:] for row in rows if len(row)), ())
    steps = max((len(row) for row in rows), default=0) if maxlen is None else int(maxlen)
    padded = np.full((len(rows), steps, *inner), value, dtype=dtype)
    for i, row in enumerate(rows):
        if not len(row):
            continue
        if row.shape[1:] != inner:
            raise ValueError(f"pad_sequences: sequence {i} has steps of shape {row.shape[1:]}; others have {inner}.")
        kept = row[:steps] if truncating == "post" else row[max(len(row) - steps, 0) :]
        start = steps - len(kept) if padding == "pre" else 0
        padded[i, start : start + len(kept)] = kept
    return padded
