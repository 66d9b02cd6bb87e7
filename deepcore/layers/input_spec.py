"""What a layer expects of its input's shape."""

from __future__ import annotations

from typing import Any


class InputSpec:
    """Rank and sizes that a layer's input must have.

    Args:
        shape: the whole shape; None where any size will do.
        ndim, min_ndim, max_ndim: the rank, or its bounds.
        axes: axis -> size.
    """

    def __init__(
        self,
        shape: tuple[int | None, ...] | None = None,
        ndim: int | None = None,
        min_ndim: int | None = None,
        max_ndim: int | None = None,
        axes: dict[int, int] | None = None,
    ) -> None:
        self.shape = shape
        self.ndim = len(shape) if shape is not None else ndim
        self.min_ndim, self.max_ndim = min_ndim, max_ndim
        self.axes = axes or {}

    def check(self, shape: Any) -> None:
        """Raises ``ValueError`` with what was expected and the shape that came."""
        rank = len(shape)
        if self.ndim is not None and rank != self.ndim:
            hint = " If it has one channel, give it that axis: x[..., None]." if rank == self.ndim - 1 == 3 else ""
            raise ValueError(f"expected an input of rank {self.ndim}, got shape {shape} of rank {rank}.{hint}")
        if self.min_ndim is not None and rank < self.min_ndim:
            raise ValueError(f"expected an input of rank {self.min_ndim} or more, got shape {shape} of rank {rank}.")
        if self.max_ndim is not None and rank > self.max_ndim:
            raise ValueError(f"expected an input of rank {self.max_ndim} or less, got shape {shape} of rank {rank}.")
        sizes = dict(self.axes)
        if self.shape is not None:
            sizes.update({axis: size for axis, size in enumerate(self.shape) if size is not None})
        for axis, size in sizes.items():
            if not -rank <= axis < rank or shape[axis] not in (size, None):
                found = shape[axis] if -rank <= axis < rank else "no such axis"
                raise ValueError(f"expected size {size} on axis {axis} of its input, got {found} (shape {shape}).")

    def __repr__(self) -> str:
        given = {k: v for k, v in vars(self).items() if v}
        return f"InputSpec({', '.join(f'{k}={v}' for k, v in given.items())})"
